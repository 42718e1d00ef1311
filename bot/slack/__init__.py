"""The Slack app: listeners by feature, what is sent, and how it looks."""
