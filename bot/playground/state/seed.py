"""The workspace as it is on the first day: Northwind's support team, people from outside, the app installed by its admin.

In #partners Northwind shares a channel with Southwind: a stranger of theirs and two guests of ours read there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

TEAM_ID = "T0NORTHWIND"
APP_ID = "A0TRAINWISE"
BOT_ID = "B0TRAINWISE"
BOT_USER = "U0TRAINWISE"


@dataclass(frozen=True)
class Team:
    """A workspace of Slack's; `neighbour` is the one that it shares a channel with."""

    id: str
    name: str
    domain: str
    neighbour: str


@dataclass
class User:
    """A member of the workspace; `color` is the avatar's background."""

    id: str
    name: str
    real_name: str
    title: str
    color: str
    is_admin: bool = False
    is_bot: bool = False
    team: str = TEAM_ID  # another one: a person of Slack Connect, or of another workspace of the Grid
    is_restricted: bool = False  # a guest of several channels
    is_ultra_restricted: bool = False  # a guest of one channel
    is_stranger: bool = False
    deleted: bool = False
    grid_teams: list[str] = field(default_factory=list)  # in an Enterprise Grid: where the person is a member
    home: str = TEAM_ID  # the workspace that shows the person

    @property
    def is_outside(self) -> bool:
        """Whether the person sees only the channels that they are in."""
        return self.team != self.home or self.is_restricted or self.is_ultra_restricted


@dataclass
class Channel:
    """A conversation; `kind` is "channel" (public), "group" (private), "mpim" (several people) or "im" (with the app;
    `user` is the person)."""

    id: str
    name: str
    kind: str
    members: list[str] = field(default_factory=list)
    topic: str = ""
    purpose: str = ""
    user: str | None = None
    is_archived: bool = False
    shared_with: list[str] = field(default_factory=list)  # other companies' teams (Slack Connect)
    team: str = TEAM_ID


MAYA, RAVI, ANA = "U0MAYA00001", "U0RAVI00001", "U0ANA000001"
GUS, SAM, STELLA = "U0GUS000001", "U0SAM000001", "U0STELLA001"
OTHER_TEAM = "T0SOUTHWIND"
NORTHWIND = Team(TEAM_ID, "Northwind", "northwind", OTHER_TEAM)
SOUTHWIND = Team(OTHER_TEAM, "Southwind", "southwind", TEAM_ID)


def first_users(bot_name: str, team: Team = NORTHWIND) -> list[User]:
    """Maya leads support, Ravi builds models, Ana administers; Gus and Sam are guests, Stella is of the neighbour; the app.

    A second workspace has the same people and channels with the same ids: nothing but the team tells them apart.
    """
    people = [
        User(MAYA, "maya", "Maya Okafor", "Support lead", "#c2185b"),
        User(RAVI, "ravi", "Ravi Menon", "ML engineer", "#1f7a6d"),
        User(ANA, "ana", "Ana Lindqvist", "Workspace admin", "#5b4bb7", is_admin=True),
        User(GUS, "gus", "Gus Lind", "Agency (guest)", "#8a5a00", is_restricted=True),
        User(
            SAM,
            "sam",
            "Sam Osei",
            "Freelancer (guest)",
            "#6b7280",
            is_restricted=True,
            is_ultra_restricted=True,
        ),
        User(STELLA, "stella", "Stella Rossi", "Partner", "#b45309", is_stranger=True),
        User(BOT_USER, bot_name.lower().replace(" ", "_"), bot_name, "", "#174ea6", is_bot=True),
    ]
    return [replace(one, team=team.neighbour if one.is_stranger else team.id, home=team.id) for one in people]


def first_channels(team: Team = NORTHWIND) -> list[Channel]:
    """The app is in #support-ml, #general and #partners, not in #random; each person has a DM with it."""
    people = [MAYA, RAVI, ANA]
    channels = [
        Channel(
            "C0SUPPORTML",
            "support-ml",
            "channel",
            [*people, BOT_USER],
            "Can a model take this off our plate?",
        ),
        Channel("C0GENERAL01", "general", "channel", [*people, BOT_USER], "Company-wide announcements"),
        Channel("C0RANDOM001", "random", "channel", list(people), "Everything else"),
        Channel(
            "C0PARTNERS1",
            "partners",
            "channel",
            [*people, GUS, SAM, STELLA, BOT_USER],
            "Shared with a partner, with guests",
            shared_with=[team.neighbour],
        ),
        Channel("G0MLLEADS01", "ml-leads", "group", [RAVI, ANA], "Private: budgets and roadmaps"),
    ]
    direct = [
        Channel(f"D0{user[2:8]}", "", "im", [user, BOT_USER], user=user)
        for user in (*people, GUS, SAM, STELLA)
    ]
    return [replace(one, team=team.id) for one in channels + direct]


def first_usergroups(team: Team = NORTHWIND) -> list[dict[str, object]]:
    """One user group, so that mentions of groups can be tried."""
    return [
        {
            "id": "S0SUPPORT01",
            "team_id": team.id,
            "is_usergroup": True,
            "name": "Support team",
            "handle": "support-team",
            "description": "Everyone who answers tickets",
            "users": [MAYA, ANA],
            "user_count": 2,
            "date_create": 1_767_225_600,
            "date_delete": 0,
        }
    ]
