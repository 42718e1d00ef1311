"""Replies: a causal model that writes what the team would answer."""
