"""How the workspace reaches the app: events, commands, clicks, by socket or signed HTTP."""
