"""Finds the services of the team that a payload belongs to.

Each team has its own `Services` on its own stores, so a listener cannot reach another team's data. The gate
(bot/slack/gate.py) refuses payloads of unknown teams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from slack_bolt.context import BoltContext

    from bot.slack.services import Services


class Teams(Protocol):
    """The teams of this bot."""

    def services(self, context: BoltContext) -> Services | None:
        """The services of the payload's team; None for a team that has not installed the app."""


@dataclass(frozen=True)
class OneTeam:
    """The team of a bot with one token: every payload belongs to it."""

    own: Services

    def services(self, context: BoltContext) -> Services | None:
        return self.own
