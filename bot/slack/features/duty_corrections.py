"""What people say of a model on duty: the buttons beneath a ticket, and the form with every queue.

Each person's word is kept with name and time; where two disagree both stand, and neither becomes data.
"""

from __future__ import annotations

import re

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateFailure, guard
from bot.slack.on_duty import may_correct
from bot.slack.payload import Body, View, message_place, where
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.duty import NEW_QUEUE, labelled_line, queue_modal
from bot.slack.ui.escape import one_line
from bot.slack.ui.forms import FormValues, Memory
from bot.slack.ui.limits import validate_message, validate_view
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Watch


def register(app: App, teams: Teams) -> None:
    """The buttons of a line, and the form behind "Other queue…"."""
    app.action("duty_right")(guard(teams, on_right))
    app.action(re.compile(r"^duty_pick:[0-9]$"))(guard(teams, on_pick))
    app.action("duty_other")(guard(teams, on_other))
    app.view("duty_queue")(guard(teams, on_queue_form))


def on_right(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """The answer is right."""
    ack()
    ticket, watch, user = _line_of(services, body, action)
    if ticket.queue is None:
        raise BotError("The model gave no answer here: press the right queue.")
    _label(services, client, (watch, ticket, user), ticket.queue, message_place(body))


def on_pick(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """One of the three likeliest queues is right."""
    ack()
    ticket, watch, user = _line_of(services, body, action)
    at = int(str(action["action_id"])[-1])
    if at >= len(ticket.likeliest):
        raise BotError("This line is older than its ticket: press a queue of the newest line.")
    _label(services, client, (watch, ticket, user), ticket.likeliest[at][0], message_place(body))


def on_other(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens the form with every queue that the model knows."""
    ack()
    ticket, watch, _ = _line_of(services, body, action)
    model = services.duty.model_of(watch) if services.duty else None
    classes = model.classes if model is not None else tuple(name for name, _ in ticket.likeliest)
    channel, _, ts = message_place(body)
    memory = Memory(channel, ts, f"{ticket.watch_id}:{ticket.key}").pack()
    view = queue_modal(classes, memory)
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_queue_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """The queue that was chosen, or a new one in words; one that the model does not know is kept as it is."""
    memory, user = Memory.parse(view["private_metadata"]), str(body["user"]["id"])
    values = FormValues.of(view).values
    new = one_line(values.get(NEW_QUEUE, ""), 120)
    ticket, watch = _ticket_and_watch(services, memory.about)
    model = services.duty.model_of(watch) if services.duty else None
    classes = model.classes if model is not None else tuple(name for name, _ in ticket.likeliest)
    number = values.get("queue", "")
    queue = new or (classes[int(number)] if number.isdigit() and int(number) < len(classes) else "")
    if not queue:
        ack(response_action="errors", errors={NEW_QUEUE: "Choose a queue, or write one."})
        return
    ack()
    with PrivateFailure(client, memory, body):
        _check_corrector(services, watch, user)
        _label(services, client, (watch, ticket, user), queue, (memory.channel, "", str(memory.thread_ts)))


def _line_of(services: Services, body: Body, action: Body) -> tuple[DutyTicket, Watch, str]:
    """The ticket of a pressed line, its watch and the person, who may correct it."""
    user = where(body)[1]
    value, _, edits = str(action.get("value")).partition("#")
    ticket, watch = _ticket_and_watch(services, value)
    _check_corrector(services, watch, user)
    if edits not in ("", str(ticket.edits)):  # a line of an earlier version tells no edits
        raise BotError("This ticket was edited after its line was written: press on the line that comes now.")
    return ticket, watch, user


def _ticket_and_watch(services: Services, value: str) -> tuple[DutyTicket, Watch]:
    watch_id, _, key = value.partition(":")
    return duty.ticket_of(services.ledger.engine, watch_id, key), duty.watch_by(
        services.ledger.engine, watch_id
    )


def _check_corrector(services: Services, watch: Watch, user: str) -> None:
    if denial := may_correct(services, watch, services.users.person(user)):
        raise BotError(denial)


def _label(
    services: Services,
    client: WebClient,
    line: tuple[Watch, DutyTicket, str],
    queue: str,
    place: tuple[str, str, str],
) -> None:
    """Keeps the person's word and shows on the line what everyone has said; the line may stand in somebody's messages."""
    (watch, ticket, user), (channel, _, ts) = line, place
    duty.label(services.ledger.engine, watch.id, ticket.key, user, queue, services.clock())
    labels = duty.labels_of(services.ledger.engine, watch.id).get(ticket.key, [])
    text, blocks = labelled_line(ticket, labels)
    client.chat_update(channel=channel, ts=ts, text=text, blocks=validate_message(blocks, text))
    if services.duty:
        services.duty.wake()
