"""One file for each thing that people do in Slack: its command, buttons and form."""
