"""The command `trainwise`: one file for each group of sub-commands."""
