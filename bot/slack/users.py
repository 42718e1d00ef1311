"""Who is who: members of the team and people from outside, asked from Slack and remembered for ten minutes.

From outside are guests, people of another company (Slack Connect) or of another workspace of an Enterprise Grid,
bots, whose account has ended, and whoever Slack does not tell about: what is not known is taken for outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.escape import one_line

AGAIN_S = 5.0  # after so long Slack is asked again about whom it did not tell of
TRUST_STALE_S = 24 * 3600.0  # how long an earlier answer counts while Slack cannot be asked
UNKNOWN, GUEST, STRANGER, BOT, GONE = "unknown", "guest", "another company", "bot", "account ended"


@dataclass(frozen=True)
class Person:
    """A person: `name` is fit to show (not escaped), `admin` is what Slack says, not what a payload says.

    `outside` says why this is no member of the team (UNKNOWN, GUEST, ...); empty for members. `teams` are the ids of
    the workspaces that Slack says they belong to.
    """

    id: str
    name: str
    admin: bool = False
    outside: str = ""
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Team:
    """The workspace that the bot belongs to, and its Enterprise Grid if it is in one."""

    id: str
    enterprise: str = ""


class Users:
    """`person(id)` and `in_group(id, groups)`, each one Slack call at most every ten minutes.

    `insiders` are ids that the settings name as admins: they count as members whatever Slack says. `team` is the
    bot's own where it is known; else Slack is asked (of an organisation's token it would name the organisation).
    """

    def __init__(
        self,
        client: WebClient,
        keep_s: float = 600,
        clock: Callable[[], float] = time.monotonic,
        insiders: frozenset[str] = frozenset(),
        team: Team | None = None,
    ) -> None:
        self._client, self._keep_s, self._clock, self._insiders = client, keep_s, clock, insiders
        self._own = team
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, object]] = {}

    def person(self, user: str) -> Person:
        """The person; when Slack cannot be asked, one from outside without any right, named by the id."""
        answer = self._remember(f"user:{user}", lambda: self._ask_person(user)) if user else None
        person = answer if isinstance(answer, Person) else Person(user, user, outside=UNKNOWN)
        return replace(person, outside="") if user in self._insiders else person

    def is_cached(self, user: str) -> bool:
        """Whether `person` answers without a call."""
        with self._lock:
            entry = self._cache.get(f"user:{user}")
        return entry is not None and entry[0] > self._clock()

    def mark_outside(self, user: str, why: str) -> Person:
        """Takes a person for outside because a payload of Slack says so, whatever users.info said; the person."""
        person = replace(self.person(user), admin=False, outside=why)
        with self._lock:
            self._cache[f"user:{user}"] = (self._clock() + self._keep_s, person)
        return self.person(user)

    def team(self) -> Team:
        """The bot's own team; an empty one while Slack cannot be asked."""
        answer = self._remember("team", self._ask_team)
        return answer if isinstance(answer, Team) else Team("")

    def take_list(self) -> list[Person]:
        """Everybody that users.list names, and remembers them: many people cost a few calls."""
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
                if entry is None or entry[0] <= now:  # what a payload told stays
                    self._cache[f"user:{person.id}"] = (now + self._keep_s, person)
        return people

    def admins(self) -> tuple[str, ...]:
        """The ids of the workspace's admins; () while Slack cannot be asked."""
        admins = self._remember("admins", self._ask_admins)
        return admins if isinstance(admins, tuple) else ()

    def group_members(self, groups: frozenset[str]) -> frozenset[str]:
        """Everybody in these user groups, as far as Slack tells."""
        return frozenset(member for group in groups for member in self._members(group))

    def in_group(self, user: str, groups: frozenset[str]) -> bool:
        """Whether the user is in one of the user groups; False when Slack cannot be asked."""
        return any(user in self._members(group) for group in sorted(groups))

    def _members(self, group: str) -> tuple[str, ...]:
        members = self._remember(f"group:{group}", lambda: self._ask_group(group))
        return members if isinstance(members, tuple) else ()

    def _ask_person(self, user: str) -> Person:
        if not self.team().id:  # without it nobody could be told for a member
            raise SlackClientError("the team is not known")
        return self._person_of(self._client.users_info(user=user)["user"])

    def _person_of(self, member: Mapping[str, Any]) -> Person:
        profile = member.get("profile") or {}
        user = str(member["id"])
        name = profile.get("display_name") or member.get("real_name") or member.get("name") or user
        outside = why_outside(member, self._own_team())
        admin = bool(member.get("is_admin") or member.get("is_owner")) and not outside
        grid = member.get("enterprise_user") or {}
        teams = frozenset({str(member.get("team_id") or ""), *(grid.get("teams") or ())})
        return Person(user, one_line(str(name), 60), admin, outside, teams)

    def _own_team(self) -> Team:
        """The team as it was asked for before; an empty one where that failed."""
        entry = self._cache.get("team")
        return entry[1] if entry and isinstance(entry[1], Team) else Team("")

    def _ask_team(self) -> Team:
        if self._own is not None:
            return self._own
        answer = self._client.auth_test()
        return Team(str(answer["team_id"]), str(answer.get("enterprise_id") or ""))

    def _ask_admins(self) -> tuple[str, ...]:
        return tuple(person.id for person in self.take_list() if person.admin)

    def _ask_group(self, group: str) -> tuple[str, ...]:
        return tuple(self._client.usergroups_users_list(usergroup=group)["users"])

    def _remember(self, key: str, ask: Callable[[], object]) -> object | None:
        now, keep_s = self._clock(), self._keep_s
        with self._lock:
            entry = self._cache.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        try:
            answer: object | None = ask()
        except (*SLACK_TROUBLE, KeyError):
            if entry is not None and entry[1] is not None and now < entry[0] + TRUST_STALE_S:
                return entry[1]
            answer, keep_s = None, AGAIN_S
        with self._lock:
            self._cache[key] = (now + keep_s, answer)
        return answer


def why_outside(member: Mapping[str, Any], team: Team) -> str:
    """Why Slack's user object is no full member of the team; empty for members. Pure.

    In an Enterprise Grid whoever belongs to the team as well (`enterprise_user.teams`) is a member of it.
    """
    if not team.id or not member.get("team_id"):
        return UNKNOWN
    if member.get("deleted"):
        return GONE
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
