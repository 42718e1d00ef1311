"""Slack's rules for blocks and forms, enforced as Slack does."""
