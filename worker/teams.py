"""The place of a team's data in each store; bot and workers use the same rule.

The team "" belongs to a bot with one team: it uses the configured places themselves. Every other team has `teams/ID` below
each of them, and its own stream of events.
"""

from __future__ import annotations

import re

TEAM = re.compile(r"[TE][A-Z0-9]{1,31}")


def is_team(team: str) -> bool:
    """Whether it is the id of a team of Slack's, or "" for the one team; nothing else becomes part of a path."""
    return isinstance(team, str) and (not team or TEAM.fullmatch(team) is not None)


def place_of(url: str, team: str) -> str:
    """The team's place below a folder or an fsspec URL."""
    if not is_team(team):
        raise ValueError(f"{team[:40]!r} is no team")
    return f"{url.rstrip('/')}/teams/{team}" if team else url


def run_name(token: str, team: str) -> str:
    """The name of a run; it names the team, and so the stream of its events, also after a crash."""
    return f"{token}-{team}" if team else token


def team_of_run(run: str) -> str:
    """The team in a run's name."""
    team = run.partition("-")[2]
    return team if is_team(team) else ""
