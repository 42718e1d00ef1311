"""The exceptions that a call of Slack's API can raise."""

from __future__ import annotations

from http.client import HTTPException

from slack_sdk.errors import SlackClientError

SLACK_ERRORS = (SlackClientError, OSError, HTTPException)
