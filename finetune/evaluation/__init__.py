"""Scores of every system on the same held-out tickets, and what they mean."""
