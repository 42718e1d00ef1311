"""The two events of a workspace that removes the app."""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_bolt.context import BoltContext

from bot.slack.teams import Teams
from bot.teams.runtimes import TeamRuntimes


class Leaving:
    """A feature of the app (bot/slack/app.py) with the only listeners that act on a team as a whole."""

    def __init__(self, runtimes: TeamRuntimes) -> None:
        self.runtimes = runtimes

    def register(self, app: App, teams: Teams) -> None:
        """`app_uninstalled` and `tokens_revoked`; which of them Slack sends first, and how often, is all the same."""
        app.event("app_uninstalled")(self.on_removed)
        app.event("tokens_revoked")(self.on_removed)

    def on_removed(self, ack: Ack, context: BoltContext) -> None:
        """Looks whether the token still works, and lets the team leave where it does not."""
        ack()
        self.runtimes.check(context)
