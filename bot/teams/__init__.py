"""Many workspaces in one bot: their directory, state, runtimes, tokens, installation and removal."""
