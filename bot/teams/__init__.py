"""Many workspaces in one bot: who they are, where each one's state lies, what runs for each, how they come and go."""
