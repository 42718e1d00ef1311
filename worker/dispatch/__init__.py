"""The bot's side of the queue: sends orders, receives events, repairs losses."""
