"""Trigger ids (once, within 3 s of this machine's time) and response URLs (5 posts in 30 min): the two short-lived handles Slack
gives."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.playground.errors import ApiError
from bot.playground.patience import cpu_share
from bot.playground.state.clock import Clock

TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 30 * 60.0
RESPONSE_POSTS = 5


@dataclass
class Trigger:
    """Where a trigger id came from; `view` is set when it came out of an open modal."""

    user: str
    issued: float
    share: float  # of a core that a process got when it was issued, 0 to 1
    view: str | None = None
    used: bool = False


@dataclass
class ResponseLink:
    """Where posts to a response_url go; `ts` is the message to replace, if there is one."""

    channel: str
    user: str
    expires: float
    ts: str | None = None
    thread_ts: str | None = None
    posts: int = 0


class Links:
    """Issues and redeems both kinds of handle."""

    def __init__(self, clock: Clock, share: Callable[[], float] = cpu_share) -> None:
        self._clock, self._share = clock, share
        self._triggers: dict[str, Trigger] = {}
        self._responses: dict[str, ResponseLink] = {}

    def trigger(self, user: str, view: str | None = None) -> str:
        """A new trigger id."""
        key = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[key] = Trigger(user, self._clock.now(), self._share(), view)
        return key

    def redeem(self, key: Any) -> Trigger:
        """Use a trigger id up; Slack's error for an unknown, used or expired one."""
        trigger = self._triggers.get(str(key))
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.used:
            raise ApiError("exchanged_trigger_id")
        share = min(trigger.share, self._share())
        if (self._clock.now() - trigger.issued) * share > TRIGGER_SECONDS:
            raise ApiError("expired_trigger_id")
        trigger.used = True
        return trigger

    def response(self, channel: str, user: str, ts: str | None = None, thread_ts: str | None = None) -> str:
        """The path of a new response URL."""
        key = secrets.token_hex(12)
        until = self._clock.now() + RESPONSE_SECONDS
        self._responses[key] = ResponseLink(channel, user, until, ts, thread_ts)
        return f"/response/{key}"

    def use_response(self, key: str) -> ResponseLink:
        """Count one post; used_url after the fifth, expired_url after 30 minutes."""
        link = self._responses.get(key)
        if link is None or self._clock.now() > link.expires:
            raise ApiError("expired_url")
        if link.posts >= RESPONSE_POSTS:
            raise ApiError("used_url")
        link.posts += 1
        return link
