"""What a question says: typed signals read from messy text."""
