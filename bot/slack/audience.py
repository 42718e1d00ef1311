"""Who reads along in a channel: people from outside make it a place where nothing of the team's is said.

Asked from Slack and remembered for ten minutes; a person who joins makes it be asked again. What cannot be found
out counts as overheard.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.users import BOT, GONE, Users

MANY = 20  # from so many unknown members on the whole list is asked for
AGAIN_S = 5.0  # after so long Slack is asked again when it could not be
CLOSED = ("channel_not_found", "not_in_channel", "is_archived")
LATER = ("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable")


class Audience:
    """`is_overheard(channel)`; two Slack calls for a channel at most every ten minutes, and one a member."""

    def __init__(
        self,
        client: WebClient,
        users: Users,
        keep_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._users, self._keep_s, self._clock = client, users, keep_s, clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, bool | None]] = {}

    def is_overheard(self, channel: str) -> bool:
        """Whether people from outside read here; True as well where Slack does not tell."""
        return self.overhears(channel) is not False

    def overhears(self, channel: str) -> bool | None:
        """As `is_overheard`, with None while Slack cannot be asked: whoever can wait asks again."""
        now = self._clock()
        with self._lock:
            entry = self._cache.get(channel)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            answer = self._ask(channel)
        except SlackApiError as refused:
            code = str(refused.response.get("error"))
            if code in CLOSED:  # nothing can be said there: whoever tries learns why
                return False
            if code in LATER or getattr(refused.response, "status_code", 200) in (429, 500, 502, 503):
                return self._later(channel, entry[1] if entry else None)
            answer = True
        except SLACK_TROUBLE:
            return self._later(channel, entry[1] if entry else None)
        with self._lock:
            self._cache[channel] = (now + self._keep_s, answer)
        return answer

    def _later(self, channel: str, answer: bool | None) -> bool | None:
        """The earlier answer, kept for a moment: Slack is not asked again at once."""
        with self._lock:
            self._cache[channel] = (self._clock() + AGAIN_S, answer)
        return answer

    def mark_shared(self, channel: str) -> None:
        """Slack has said that the channel is shared with another company."""
        with self._lock:
            self._cache[channel] = (self._clock() + self._keep_s, True)

    def forget(self, channel: str) -> None:
        """Somebody joined: it is asked again."""
        with self._lock:
            self._cache.pop(channel, None)

    def _ask(self, channel: str) -> bool:
        info = self._client.conversations_info(channel=channel)["channel"]
        if info.get("is_ext_shared") or info.get("is_pending_ext_shared") or info.get("is_org_shared"):
            return True
        members = list(self._members(channel))
        if sum(not self._users.is_cached(member) for member in members) > MANY:
            self._users.take_list()
        outside = (self._users.person(member).outside for member in members)
        return any(why not in ("", BOT, GONE) for why in outside)

    def _members(self, channel: str) -> Iterator[str]:
        cursor = ""
        while True:
            page = self._client.conversations_members(channel=channel, limit=200, cursor=cursor)
            yield from page["members"]
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return
