"""A Slack feature in one file, as docs/howto/add-a-slack-feature.md describes it: `/dice` and what follows from it.

The command posts a button, the button opens a form, the form's number is answered in the channel.
"""

from __future__ import annotations

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.payload import Body, Command, View, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.blocks import actions, button, modal, number_field, section
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.limits import validate_message, validate_view

SUMMARY = "`/dice` rolls a die with as many sides as you like."


def register(app: App, teams: Teams) -> None:
    """The command, its button and its form."""
    app.command("/dice")(wrap_listener(teams, on_dice))
    app.action("dice_roll")(wrap_listener(teams, on_roll))
    app.view("dice")(wrap_listener(teams, on_form))


def on_dice(services: Services, ack: Ack, command: Command, client: WebClient) -> None:
    """Posts the button."""
    ack()
    blocks = [section("A die is ready."), actions([button("Roll", "dice_roll")])]
    client.chat_postMessage(
        channel=command["channel_id"], text="A die is ready.", blocks=validate_message(blocks)
    )


def on_roll(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Opens the form."""
    ack()
    channel, _, _ = origin_of(body)
    sides = number_field("sides", "Sides", "6")
    form = modal("dice", "Roll a die", [sides], "Roll", FormMetadata(channel).pack())
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(form))


def on_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Rolls; a die with fewer than two sides is refused, to the person alone."""
    ack()
    metadata, sides = FormMetadata.parse(view["private_metadata"]), int(FormValues.of(view).values["sides"])
    with PrivateErrorReport(client, metadata, body):
        if sides < 2:
            raise BotError("A die has two sides at least.")
        person = services.users.person(body["user"]["id"])
        client.chat_postMessage(channel=metadata.channel, text=f"{person.name} rolls {sides} sides.")
