"""The training machine: runs one order at a time and never loses its outcome."""
