"""The Slack app: listeners by feature, delivery of messages, and Block Kit builders."""
