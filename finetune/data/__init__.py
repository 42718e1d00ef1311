"""Tickets: read, cleaned, redacted, split and kept."""
