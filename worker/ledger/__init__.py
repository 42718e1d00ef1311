"""The one database of jobs and of everything owed to the queue and to Slack."""
