"""Signed orders and events between bot and workers, over Redis."""
