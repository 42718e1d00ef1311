"""Triage: a classifier that sends each ticket to its queue."""
