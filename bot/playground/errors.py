"""What the local workspace raises: refusals in Slack's words, and mistakes of the person at the keyboard."""

from __future__ import annotations

from typing import Any

from bot.errors import BotError


class PlaygroundError(BotError):
    """The local workspace cannot do what was asked; the text says why and what to do."""


class ApiError(Exception):
    """A Web API refusal: `code` is Slack's error string, `extra` what else Slack puts in the answer."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The JSON answer."""
        return {"ok": False, "error": self.code, **self.extra}


class NoAck(Exception):
    """The app did not acknowledge a delivery; `reason` is Slack's retry reason. `is_final`: it asks for no other try."""

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_final = reason, is_final


def invalid_arguments(*messages: str, code: str = "invalid_arguments") -> ApiError:
    """Slack's shape for a refusal that explains itself in response_metadata.messages."""
    details = [f"[ERROR] {message}" for message in messages]
    return ApiError(code, errors=list(messages), response_metadata={"messages": details})
