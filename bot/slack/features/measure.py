"""\"Measure it\" in Slack: the button and the command open the form, bot/submissions.py launches."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, Respond
from slack_sdk import WebClient

from bot.measure_form import measure_modal, measure_spec, typed
from bot.slack.features.answering import card_at
from bot.slack.features.channel_settings import say_where
from bot.slack.features.finetune import Place, launch
from bot.slack.services import Services
from bot.slack.thread_memory import Conversation
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import Memory, note_modal
from bot.slack.ui.limits import checked_view
from finetune.data.ticket import DatasetError
from finetune.spec import SpecError

Body = dict[str, Any]
NO_LABELS = "There are no labelled tickets yet. Add some with /datasets add, then come back."


def on_button(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The button \"Measure it\" on a verdict card: the form, filled in with what the thread has said already."""
    ack()
    container, message = body.get("container") or {}, body.get("message") or {}
    channel = str(container.get("channel_id") or (body.get("channel") or {}).get("id"))
    ts = str(container.get("message_ts") or message.get("ts"))
    thread = str(container.get("thread_ts") or message.get("thread_ts") or ts)
    card_at(services, channel, thread, ts)
    memory = Conversation.from_json(services.ledger.thread(channel, thread))
    open_form(services, client, body["trigger_id"], Memory(channel, thread), said(memory))


def said(memory: Conversation) -> dict[str, str]:
    """Fields of the form that the thread's signals fill in."""
    signals = (memory.state or {}).get("signals") or {}
    found = {"target": signals.get("target"), "volume": signals.get("volume_month")}
    return {name: f"{value:g}" if name == "target" else str(value) for name, value in found.items() if value}


def open_form(
    services: Services, client: WebClient, trigger_id: str, memory: Memory, chosen: dict[str, str]
) -> None:
    """The form, or a sentence where there is nothing to measure on."""
    cards = services.datasets.list(services.scopes(memory.channel))
    labelled = [card for card in cards if card.kind == "triage"]
    view = measure_modal(labelled, memory, chosen) if labelled else note_modal("Measure it", NO_LABELS)
    client.views_open(trigger_id=trigger_id, view=checked_view(view))


def is_order(services: Services, text: str, channel: str) -> bool:
    """Whether `/should-i-train TEXT` asks for a measurement, and not a question that begins with "measure"."""
    first, _, rest = text.strip().partition(" ")
    if first.lower() != "measure":
        return False
    form = typed(rest)
    if form is None:
        return False
    if len(form) > 1 or not form or "dataset" not in form:
        return True
    try:
        return bool(services.datasets.get(form["dataset"], services.scopes(channel)))
    except DatasetError:
        return False


def on_command(services: Services, ack: Ack, command: Body, client: WebClient, respond: Respond) -> None:
    """`/should-i-train measure` opens the form; with arguments it launches, and acknowledges a kept job."""
    channel = command["channel_id"]
    form = typed(command.get("text", "").strip().partition(" ")[2]) or {}
    if not form:
        ack()
        open_form(services, client, command["trigger_id"], Memory(channel), {})
        return
    try:
        spec = measure_spec(services, form, channel)
    except SpecError as wrong:
        lines = "\n".join(f"• *{escape(name)}*: {escape(text)}" for name, text in wrong.problems.items())
        ack()
        told = f"I did not start anything:\n{lines}\nOr use the form: `/should-i-train measure`"
        respond(text=told, response_type="ephemeral")
        return
    key = f"command:{command['trigger_id']}"
    place = Place(command["user_id"], command["team_id"], channel, None, key)
    job = launch(services, "measure", spec, place)
    ack()
    say_where(client, job)
