"""Who is who in the workspace, asked from Slack and remembered for ten minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from slack_sdk import WebClient

from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.escape import one_line


@dataclass(frozen=True)
class Person:
    """A member: `name` is fit to show (not escaped), `admin` is what Slack says, not what a payload says."""

    id: str
    name: str
    admin: bool = False


class Users:
    """`person(id)` and `in_group(id, groups)`, each one Slack call at most every ten minutes."""

    def __init__(
        self, client: WebClient, keep_s: float = 600, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._keep_s, self._clock = client, keep_s, clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, object]] = {}

    def person(self, user: str) -> Person:
        """The member; when Slack cannot be asked, one without any right, named by the id."""
        member = self._remember(f"user:{user}", lambda: self._ask_person(user))
        return member if isinstance(member, Person) else Person(user, user)

    def in_group(self, user: str, groups: frozenset[str]) -> bool:
        """Whether the user is in one of the user groups; False when Slack cannot be asked."""
        return any(user in self._members(group) for group in sorted(groups))

    def _members(self, group: str) -> tuple[str, ...]:
        members = self._remember(f"group:{group}", lambda: self._ask_group(group))
        return members if isinstance(members, tuple) else ()

    def _ask_person(self, user: str) -> Person:
        member = self._client.users_info(user=user)["user"]
        profile = member.get("profile") or {}
        name = profile.get("display_name") or member.get("real_name") or member.get("name") or user
        admin = bool(member.get("is_admin") or member.get("is_owner")) and not member.get("deleted")
        return Person(user, one_line(str(name), 60), admin)

    def _ask_group(self, group: str) -> tuple[str, ...]:
        return tuple(self._client.usergroups_users_list(usergroup=group)["users"])

    def _remember(self, key: str, ask: Callable[[], object]) -> object | None:
        now = self._clock()
        with self._lock:
            entry = self._cache.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            answer = ask()
        except SLACK_TROUBLE:
            return entry[1] if entry else None
        with self._lock:
            self._cache[key] = (now + self._keep_s, answer)
        return answer
