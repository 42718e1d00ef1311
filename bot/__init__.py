"""Everything a person touches: Slack, the command line, the local workspace."""
