"""Sends everything that goes to Slack (messages, streams, cards, reports) within Slack's rate limits."""
