"""Tells members of the team from people from outside; asks Slack and caches the answers for ten minutes.

From outside are guests, people of another company (Slack Connect) or of another workspace of an Enterprise Grid,
bots, deactivated accounts, and everybody whom Slack does not describe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.escape import one_line

RETRY_S = 5.0  # after a failed call
STALE_TTL_S = 24 * 3600.0  # how long an expired answer still counts while Slack cannot be asked
UNKNOWN, GUEST, STRANGER, BOT, DEACTIVATED = "unknown", "guest", "another company", "bot", "account ended"


@dataclass(frozen=True)
class Person:
    """A person: `name` for display (not escaped); `admin` comes from Slack's API, never from a payload.

    `outside` is the reason why the person is no member of the team (UNKNOWN, GUEST, ...), empty for members. `teams` are
    the ids of the person's workspaces.
    """

    id: str
    name: str
    admin: bool = False
    outside: str = ""
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Team:
    """The bot's workspace, and its Enterprise Grid if it has one."""

    id: str
    enterprise: str = ""


class Users:
    """`person(id)` and `in_group(id, groups)`, each at most one Slack call every ten minutes.

    `admin_ids` are the admins of the settings: they always count as members. `team` is the bot's own team; without it
    Slack is asked, which for an organisation's token names the organisation.
    """

    def __init__(
        self,
        client: WebClient,
        ttl_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
        admin_ids: frozenset[str] = frozenset(),
        team: Team | None = None,
    ) -> None:
        self._client, self._ttl_s, self._clock, self._admin_ids = client, ttl_s, clock, admin_ids
        self._known_team = team
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, object]] = {}

    def person(self, user: str) -> Person:
        """The person; while Slack cannot be asked, a person from outside without rights, whose name is the id."""
        answer = self._cached_call(f"user:{user}", lambda: self._ask_person(user)) if user else None
        person = answer if isinstance(answer, Person) else Person(user, user, outside=UNKNOWN)
        return replace(person, outside="") if user in self._admin_ids else person

    def is_cached(self, user: str) -> bool:
        """Whether `person` answers from the cache."""
        with self._lock:
            entry = self._cache.get(f"user:{user}")
        return entry is not None and entry[0] > self._clock()

    def mark_outside(self, user: str, why: str) -> Person:
        """Records that a payload of Slack shows the person as external, whatever users.info said; returns the person."""
        person = replace(self.person(user), admin=False, outside=why)
        with self._lock:
            self._cache[f"user:{user}"] = (self._clock() + self._ttl_s, person)
        return self.person(user)

    def team(self) -> Team:
        """The bot's own team; an empty one while Slack cannot be asked."""
        answer = self._cached_call("team", self._ask_team)
        return answer if isinstance(answer, Team) else Team("")

    def fetch_all(self) -> list[Person]:
        """Fetches everybody with users.list and caches them: a few calls for many people."""
        people: list[Person] = []
        cursor = ""
        if not self.team().id:
            raise SlackClientError("the team is not known")
        while True:
            page = self._client.users_list(limit=200, cursor=cursor)
            people += [self._person_of(member) for member in page.get("members") or []]
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        with self._lock:
            now = self._clock()
            for person in people:
                entry = self._cache.get(f"user:{person.id}")
                if entry is None or entry[0] <= now:  # keeps what `mark_outside` recorded
                    self._cache[f"user:{person.id}"] = (now + self._ttl_s, person)
        return people

    def admins(self) -> tuple[str, ...]:
        """The ids of the workspace's admins; () while Slack cannot be asked."""
        admins = self._cached_call("admins", self._ask_admins)
        return admins if isinstance(admins, tuple) else ()

    def group_members(self, groups: frozenset[str]) -> frozenset[str]:
        """The members of these user groups; () for a group while Slack cannot be asked."""
        return frozenset(member for group in groups for member in self._members(group))

    def in_group(self, user: str, groups: frozenset[str]) -> bool:
        """Whether the user is in one of the user groups; False when Slack cannot be asked."""
        return any(user in self._members(group) for group in sorted(groups))

    def _members(self, group: str) -> tuple[str, ...]:
        members = self._cached_call(f"group:{group}", lambda: self._ask_group(group))
        return members if isinstance(members, tuple) else ()

    def _ask_person(self, user: str) -> Person:
        if not self.team().id:  # without it no membership can be decided
            raise SlackClientError("the team is not known")
        return self._person_of(self._client.users_info(user=user)["user"])

    def _person_of(self, member: Mapping[str, Any]) -> Person:
        profile = member.get("profile") or {}
        user = str(member["id"])
        name = profile.get("display_name") or member.get("real_name") or member.get("name") or user
        outside = outside_reason(member, self._own_team())
        admin = bool(member.get("is_admin") or member.get("is_owner")) and not outside
        grid = member.get("enterprise_user") or {}
        teams = frozenset({str(member.get("team_id") or ""), *(grid.get("teams") or ())})
        return Person(user, one_line(str(name), 60), admin, outside, teams)

    def _own_team(self) -> Team:
        """The team from the cache; an empty one where the call failed."""
        entry = self._cache.get("team")
        return entry[1] if entry and isinstance(entry[1], Team) else Team("")

    def _ask_team(self) -> Team:
        if self._known_team is not None:
            return self._known_team
        answer = self._client.auth_test()
        return Team(str(answer["team_id"]), str(answer.get("enterprise_id") or ""))

    def _ask_admins(self) -> tuple[str, ...]:
        return tuple(person.id for person in self.fetch_all() if person.admin)

    def _ask_group(self, group: str) -> tuple[str, ...]:
        return tuple(self._client.usergroups_users_list(usergroup=group)["users"])

    def _cached_call(self, key: str, ask: Callable[[], object]) -> object | None:
        now, ttl_s = self._clock(), self._ttl_s
        with self._lock:
            entry = self._cache.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            answer: object | None = ask()
        except (*SLACK_ERRORS, KeyError):
            if entry is not None and entry[1] is not None and now < entry[0] + STALE_TTL_S:
                return entry[1]
            answer, ttl_s = None, RETRY_S
        with self._lock:
            self._cache[key] = (now + ttl_s, answer)
        return answer


def outside_reason(member: Mapping[str, Any], team: Team) -> str:
    """The reason why Slack's user object is no full member of the team; empty for members. Pure.

    In an Enterprise Grid a person is a member of each workspace in `enterprise_user.teams`.
    """
    if not team.id or not member.get("team_id"):
        return UNKNOWN
    if member.get("deleted"):
        return DEACTIVATED
    if member.get("is_bot") or member.get("is_workflow_bot") or member.get("id") == "USLACKBOT":
        return BOT
    if member.get("is_stranger"):
        return STRANGER
    if member.get("is_restricted") or member.get("is_ultra_restricted") or member.get("is_invited_user"):
        return GUEST
    grid = member.get("enterprise_user") or {}
    if member["team_id"] != team.id and team.id not in (grid.get("teams") or ()):
        return STRANGER
    return ""
