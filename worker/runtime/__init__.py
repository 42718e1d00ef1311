"""The training machine: takes one order at a time and never loses how it ended."""
