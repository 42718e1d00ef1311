"""Handles the two events of a workspace that removes the app."""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_bolt.context import BoltContext

from bot.slack.teams import Teams
from bot.teams.runtimes import TeamRuntimes


class UninstallEvents:
    """A feature of the app (bot/slack/app.py) whose listeners act on a whole team."""

    def __init__(self, runtimes: TeamRuntimes) -> None:
        self.runtimes = runtimes

    def register(self, app: App, teams: Teams) -> None:
        """Registers `app_uninstalled` and `tokens_revoked`; their order and number do not matter."""
        app.event("app_uninstalled")(self.on_uninstall)
        app.event("tokens_revoked")(self.on_uninstall)

    def on_uninstall(self, ack: Ack, context: BoltContext) -> None:
        """Removes the team if its token does not work any more."""
        ack()
        self.runtimes.check_removal(context)
