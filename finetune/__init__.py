"""Tickets in, tuned model and evaluation out; knows nothing of Slack or Redis."""
