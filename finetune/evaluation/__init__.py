"""Evaluation: scores of every system on the same held-out tickets, and their meaning."""
