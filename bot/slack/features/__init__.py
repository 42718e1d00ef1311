"""One file per feature: its command, buttons and form."""
