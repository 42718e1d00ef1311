"""Finds out whether a channel has external readers (guests, other companies); such a channel gets no team data.

The answer comes from Slack and is cached for ten minutes, or until somebody joins. When Slack does not tell, the channel
counts as one with external readers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.users import BOT, DEACTIVATED, Users

LIST_FROM = 20  # with more unknown members one users.list replaces the calls for each
RETRY_S = 5.0  # after a failed call
CLOSED_ERRORS = ("channel_not_found", "not_in_channel", "is_archived")
TEMPORARY_ERRORS = ("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable")


class Audience:
    """The readers of channels; at most two Slack calls per channel and one per member every ten minutes."""

    def __init__(
        self,
        client: WebClient,
        users: Users,
        ttl_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._users, self._ttl_s, self._clock = client, users, ttl_s, clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, bool | None]] = {}

    def has_external_readers(self, channel: str) -> bool:
        """Whether people from outside read in the channel; True when Slack does not tell."""
        return self.check_external_readers(channel) is not False

    def check_external_readers(self, channel: str) -> bool | None:
        """As `has_external_readers`, but None while Slack cannot be asked, so that the caller can try later."""
        now = self._clock()
        with self._lock:
            entry = self._cache.get(channel)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            answer = self._ask(channel)
        except SlackApiError as refused:
            code = str(refused.response.get("error"))
            if code in CLOSED_ERRORS:  # a post there fails with its own reason
                return False
            if code in TEMPORARY_ERRORS or getattr(refused.response, "status_code", 200) in (
                429,
                500,
                502,
                503,
            ):
                return self._cache_briefly(channel, entry[1] if entry else None)
            answer = True
        except SLACK_ERRORS:
            return self._cache_briefly(channel, entry[1] if entry else None)
        with self._lock:
            self._cache[channel] = (now + self._ttl_s, answer)
        return answer

    def _cache_briefly(self, channel: str, answer: bool | None) -> bool | None:
        """Caches the earlier answer for RETRY_S, so that Slack is not asked again at once."""
        with self._lock:
            self._cache[channel] = (self._clock() + RETRY_S, answer)
        return answer

    def mark_shared(self, channel: str) -> None:
        """Records that the channel is shared with another company, as a payload of Slack said."""
        with self._lock:
            self._cache[channel] = (self._clock() + self._ttl_s, True)

    def forget(self, channel: str) -> None:
        """Drops the cached answer, after somebody joined."""
        with self._lock:
            self._cache.pop(channel, None)

    def _ask(self, channel: str) -> bool:
        info = self._client.conversations_info(channel=channel)["channel"]
        if info.get("is_ext_shared") or info.get("is_pending_ext_shared") or info.get("is_org_shared"):
            return True
        members = list(self._members(channel))
        if sum(not self._users.is_cached(member) for member in members) > LIST_FROM:
            self._users.fetch_all()
        outside = (self._users.person(member).outside for member in members)
        return any(why not in ("", BOT, DEACTIVATED) for why in outside)

    def _members(self, channel: str) -> Iterator[str]:
        cursor = ""
        while True:
            page = self._client.conversations_members(channel=channel, limit=200, cursor=cursor)
            yield from page["members"]
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return
