"""App Home: the tab is published when a person opens or refreshes it; Messages gets the suggested prompts."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.failures import wrap_listener
from bot.slack.home_tab import home_view
from bot.slack.payload import Body, team_of
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.teams import Teams
from bot.slack.ui.limits import validate_view
from bot.slack.ui.prompts import PROMPTS


def register(app: App, teams: Teams) -> None:
    """Registers the tab's event and its refresh button."""
    app.event("app_home_opened")(wrap_listener(teams, on_home))
    app.action("home_refresh")(wrap_listener(teams, on_home_refresh))


def on_home_refresh(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    person = services.users.person(body["user"]["id"])
    client.views_publish(user_id=person.id, view=validate_view(home_view(services, person, team_of(body))))


def on_home(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """Publishes the home tab; sets suggested prompts in the messages tab."""
    if event.get("tab") == "messages":
        try:
            client.assistant_threads_setSuggestedPrompts(channel_id=event["channel"], prompts=PROMPTS)
        except SLACK_ERRORS:  # older workspaces have no agent view
            return
        return
    person = services.users.person(event["user"])
    client.views_publish(
        user_id=person.id, view=validate_view(home_view(services, person, str(context.team_id)))
    )
