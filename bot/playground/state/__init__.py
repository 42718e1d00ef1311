"""What the workspace holds: people, messages, views, time."""
