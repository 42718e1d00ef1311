"""Pure facts about jobs: states, records, decisions."""
