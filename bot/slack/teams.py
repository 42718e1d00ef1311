"""Which team's services a payload of Slack is answered with.

A team's state is a `Services` of its own, over stores that hold nothing of another team: a listener that was handed
the one has no way to the other. What belongs to no team here is refused by the gate (bot/slack/gate.py).
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
        """The services of the team that Slack delivered this payload for; None where it is none of ours."""


@dataclass(frozen=True)
class OneTeam:
    """A bot with one token: whatever Slack delivers is for the team of that token."""

    own: Services

    def services(self, context: BoltContext) -> Services | None:
        return self.own
