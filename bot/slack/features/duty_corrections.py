"""Stores corrections of a model on duty: the buttons below a ticket, and the form with every queue.

Each label is stored with person and time; when people disagree both labels stay, and the ticket does not become data.
"""

from __future__ import annotations

import re

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.on_duty import denies_correction
from bot.slack.payload import Body, View, message_address, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.duty import NEW_QUEUE, labelled_line, queue_modal
from bot.slack.ui.escape import one_line
from bot.slack.ui.forms import FormMetadata, FormValues
from bot.slack.ui.limits import validate_message, validate_view
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Watch


def register(app: App, teams: Teams) -> None:
    """Registers the buttons of a line and the form behind "Other queue…"."""
    app.action("duty_right")(wrap_listener(teams, on_confirm))
    app.action(re.compile(r"^duty_pick:[0-9]$"))(wrap_listener(teams, on_pick))
    app.action("duty_other")(wrap_listener(teams, on_other))
    app.view("duty_queue")(wrap_listener(teams, on_queue_form))


def on_confirm(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Confirms the model's answer."""
    ack()
    ticket, watch, user = _pressed_line(services, body, action)
    if ticket.queue is None:
        raise BotError("The model gave no answer here: press the right queue.")
    _save_label(services, client, (watch, ticket, user), ticket.queue, message_address(body))


def on_pick(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Labels the ticket with one of the three likeliest queues."""
    ack()
    ticket, watch, user = _pressed_line(services, body, action)
    at = int(str(action["action_id"])[-1])
    if at >= len(ticket.likeliest):
        raise BotError("This line is older than its ticket: press a queue of the newest line.")
    _save_label(services, client, (watch, ticket, user), ticket.likeliest[at][0], message_address(body))


def on_other(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens the form with every queue of the model."""
    ack()
    ticket, watch, _ = _pressed_line(services, body, action)
    model = services.duty.model_of(watch) if services.duty else None
    classes = model.classes if model is not None else tuple(name for name, _ in ticket.likeliest)
    channel, _, ts = message_address(body)
    metadata = FormMetadata(channel, ts, f"{ticket.watch_id}:{ticket.key}").pack()
    view = queue_modal(classes, metadata)
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_queue_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Labels the ticket with the chosen queue, or with a new queue in words that the model does not know."""
    metadata, user = FormMetadata.parse(view["private_metadata"]), str(body["user"]["id"])
    values = FormValues.of(view).values
    new = one_line(values.get(NEW_QUEUE, ""), 120)
    ticket, watch = _ticket_and_watch(services, metadata.about)
    model = services.duty.model_of(watch) if services.duty else None
    classes = model.classes if model is not None else tuple(name for name, _ in ticket.likeliest)
    number = values.get("queue", "")
    queue = new or (classes[int(number)] if number.isdigit() and int(number) < len(classes) else "")
    if not queue:
        ack(response_action="errors", errors={NEW_QUEUE: "Choose a queue, or write one."})
        return
    ack()
    with PrivateErrorReport(client, metadata, body):
        _check_corrector(services, watch, user)
        _save_label(
            services, client, (watch, ticket, user), queue, (metadata.channel, "", str(metadata.thread_ts))
        )


def _pressed_line(services: Services, body: Body, action: Body) -> tuple[DutyTicket, Watch, str]:
    """The ticket of a pressed button, its watch, and the person, who may correct it."""
    user = origin_of(body)[1]
    value, _, edits = str(action.get("value")).partition("#")
    ticket, watch = _ticket_and_watch(services, value)
    _check_corrector(services, watch, user)
    if edits not in ("", str(ticket.edits)):  # a button of an earlier version has no edit count
        raise BotError("This ticket was edited after its line was written: press on the line that comes now.")
    return ticket, watch, user


def _ticket_and_watch(services: Services, value: str) -> tuple[DutyTicket, Watch]:
    watch_id, _, key = value.partition(":")
    return duty.ticket_of(services.ledger.engine, watch_id, key), duty.find_watch(
        services.ledger.engine, watch_id
    )


def _check_corrector(services: Services, watch: Watch, user: str) -> None:
    if denial := denies_correction(services, watch, services.users.person(user)):
        raise BotError(denial)


def _save_label(
    services: Services,
    client: WebClient,
    line: tuple[Watch, DutyTicket, str],
    queue: str,
    place: tuple[str, str, str],
) -> None:
    """Stores the label and updates the line, wherever it is, with all labels."""
    (watch, ticket, user), (channel, _, ts) = line, place
    duty.label(services.ledger.engine, watch.id, ticket.key, user, queue, services.clock())
    labels = duty.labels_of(services.ledger.engine, watch.id).get(ticket.key, [])
    text, blocks = labelled_line(ticket, labels)
    client.chat_update(channel=channel, ts=ts, text=text, blocks=validate_message(blocks, text))
    if services.duty:
        services.duty.wake()
