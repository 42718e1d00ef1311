"""Classifies HTTP answers: made, certainly not made, or unknown; for every client. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.platforms.contract import BadKey, NoAnswer, NotMade, PlatformError

DEFAULT_RETRY_S = 30.0
LONGEST_RETRY_S = 3600.0


class Missing(NotMade):
    """The platform does not know what was asked for."""


def refusal(
    label: str, status: int, detail: str = "", headers: Mapping[str, str] | None = None
) -> PlatformError:
    """The error for an answer that is not a success; `detail` is the platform's own word, short and without secrets.

    5xx says nothing about whether something was made; 429 says that nothing was, and when to come back.
    """
    words = f" ({detail[:300]})" if detail else ""
    if status in (401, 403):
        return BadKey(f"{label} refuses the key: HTTP {status}{words}. Replace it where the bot runs.")
    if status == 429:
        return NotMade(f"{label} asks to wait{words}.", retry_after(headers or {}))
    if status == 402:
        return NotMade(
            f"{label} says that the account has no credit left{words}. Add some, then launch it again."
        )
    if 400 <= status < 500 and status not in (408, 425):
        return NotMade(f"{label} refuses the job: HTTP {status}{words}.")
    return NoAnswer(f"{label} answered HTTP {status}{words}.")


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds of a Retry-After header; half a minute where there is none that can be read."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        return min(LONGEST_RETRY_S, max(1.0, float(text)))
    except ValueError:
        return DEFAULT_RETRY_S
