"""The bot's side of the queue: orders out, events in, losses repaired."""
