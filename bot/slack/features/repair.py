"""Repairs a dataset in Slack: `/datasets repair NAME` and the card's button open a form for one person.

Each decision makes a new version (finetune/data/dataset_repair.py) and can be undone; the dataset's owner and admins may
decide. Only the form quotes tickets.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.label_check import check_labels
from bot.slack.failures import error_text, send_direct_message, send_error, wrap_listener
from bot.slack.payload import Body, Command, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui.blocks import section
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.limits import validate_view
from bot.slack.ui.repair_page import repair_view, waiting_view
from bot.slack.users import Person
from finetune.data.card import Card
from finetune.data.dataset_repair import DECIDED, Decider, Inspection
from finetune.data.repair import Decision, Repairs, decision_line
from finetune.data.ticket import DatasetError

LARGE_ROWS = 20_000  # from this many rows a decision takes seconds, and the form shows a waiting text
CACHE_SIZE = 4
OWNER_NOTICE_INTERVAL = timedelta(days=1)


class InspectionCache:
    """The inspections of the datasets under repair, so that "Next" reads no rows.

    All teams share the cache but no inspection: the key holds the team's home.
    """

    def __init__(self) -> None:
        self._inspections: OrderedDict[str, Inspection] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, services: Services, card: Card, refresh: bool = False) -> Inspection:
        """The inspection of a version; `refresh` reads the rows again."""
        key = f"{services.home} {card.digest} {card.repairs}"
        with self._lock:
            inspection = None if refresh else self._inspections.get(key)
        inspection = inspection or services.datasets.repairs.inspect(card)
        with self._lock:
            self._inspections[key] = inspection
            self._inspections.move_to_end(key)
            while len(self._inspections) > CACHE_SIZE:
                self._inspections.popitem(last=False)
        return inspection


@dataclass(frozen=True)
class Form:
    """An open form: its view, metadata and person."""

    client: WebClient
    view_id: str
    metadata: FormMetadata
    person: Person

    def show(self, inspection: Inspection, after: str = "", notice: str = "") -> None:
        """Shows the question that follows `after` in the form."""
        view = repair_view(inspection, self.metadata, after, notice)
        self.client.views_update(view_id=self.view_id, view=validate_view(view))


def register(app: App, teams: Teams) -> None:
    """Registers the sub-command (before the others of `/datasets`), the card's button, and the form's buttons."""
    inspections = InspectionCache()
    app.command("/datasets", matchers=[is_repair_command])(
        wrap_listener(teams, partial(on_command, inspections=inspections))
    )
    app.action("dataset_repair")(wrap_listener(teams, partial(on_button, inspections=inspections)))
    app.action(re.compile("^repair:"))(wrap_listener(teams, partial(on_choice, inspections=inspections)))


def is_repair_command(command: Command) -> bool:
    """Whether the command's text names a dataset to repair."""
    words = question_of(str(command.get("text") or "")).lower().split()
    return words[:1] == ["repair"] and len(words) == 2


def repairable(services: Services, name: str, person: Person, channel: str) -> Card:
    """The newest version of the dataset, if this person may repair it: its owner, or an admin."""
    admin = services.permissions.is_admin(person)
    card = services.datasets.get(name.strip("`"), None if admin else services.scopes(channel))
    if denial := services.permissions.denies_repair(person, card.name, card.added_by):
        raise BotError(denial)
    newest = [one for one in services.datasets.versions(card.name) if not one.erased][-1]
    if newest.version != card.version:
        raise BotError(f"{card.name} has a newer version, which is for another channel. Repair it there.")
    return card


def on_command(
    services: Services, ack: Ack, command: Command, client: WebClient, *, inspections: InspectionCache
) -> None:
    """Opens the form for the named dataset."""
    ack()
    name, user = question_of(command["text"]).split()[1], command["user_id"]
    _open(services, client, (name, user, command["channel_id"], command["trigger_id"]), inspections)


def on_button(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, *, inspections: InspectionCache
) -> None:
    """Opens the form for the dataset of the card."""
    ack()
    channel, user, _ = origin_of(body)
    _open(services, client, (str(action.get("value")), user, channel, body["trigger_id"]), inspections)


def _open(
    services: Services, client: WebClient, order: tuple[str, str, str, str], inspections: InspectionCache
) -> None:
    name, user, channel, trigger = order
    person = services.users.person(user)
    card = repairable(services, name, person, channel)
    metadata = FormMetadata(channel, None, card.name)
    answer = client.views_open(trigger_id=trigger, view=validate_view(waiting_view(card, metadata)))
    form = Form(client, str(answer["view"]["id"]), metadata, person)
    _queue(services, form, lambda: form.show(inspections.get(services, card)))


def on_choice(
    services: Services, ack: Ack, body: Body, action: Body, client: WebClient, *, inspections: InspectionCache
) -> None:
    """Handles a decision, "Next", "Undo" and the checks, after a permission check."""
    ack()
    person = services.users.person(origin_of(body)[1])
    metadata = FormMetadata.parse(body["view"]["private_metadata"])
    card = repairable(services, metadata.about, person, metadata.channel)
    form = Form(client, str(body["view"]["id"]), metadata, person)
    choice, value = str(action["action_id"]).partition(":")[2], str(action.get("value") or "")
    if choice == "check":
        check_labels(services, client, card, person, metadata.channel)
        notice = "🔎 A model is looking at the labels. I will tell you when it has; then press *Look again*."
        _queue(services, form, lambda: form.show(inspections.get(services, card), notice=notice))
        return
    if card.rows > LARGE_ROWS and choice not in ("next", "again"):
        client.views_update(view_id=form.view_id, view=validate_view(waiting_view(card, metadata)))
    steps: dict[str, Callable[[], None]] = {
        "next": lambda: form.show(inspections.get(services, card), value),
        "again": lambda: form.show(inspections.get(services, card, refresh=True)),
        "undo": lambda: _undo(services, form, value, inspections),
    }
    _queue(services, form, steps.get(choice, lambda: _decide(services, form, choice, value, inspections)))


def _queue(services: Services, form: Form, step: Callable[[], None]) -> None:
    """Queues a step of the dataset's repair; shows errors to the person."""

    def work(_stop: threading.Event) -> None:
        try:
            step()
        except Exception as error:  # the edge: this thread has no caller to tell
            send_error(form.client, error, form.metadata.channel, form.person.id)

    services.thread_queue.submit(("repair", form.metadata.about), work)


def _decide(services: Services, form: Form, choice: str, value: str, inspections: InspectionCache) -> None:
    """Stores the decision on an open question, then shows the next question."""
    id, _, place = value.partition(":")
    card = services.datasets.get(form.metadata.about)
    questions = inspections.get(services, card).questions
    at = next((at for at, one in enumerate(questions) if one.id == id), None)
    if at is None:
        form.show(inspections.get(services, card), notice=f"ℹ️ {DECIDED}")
        return
    before = questions[at - 1].id if at else ""
    try:
        draft = questions[at].draft(f"only:{place}" if choice == "only" else choice)
        new = services.datasets.repairs.decide(card.name, draft, Decider(form.person.id, form.person.name))
    except DatasetError as error:
        form.show(inspections.get(services, card), before, f"⚠️ {error_text(error)}")
        return
    decision = Repairs.from_json(new.repairs, new.digest).decisions[-1]
    version = f": version {new.version}" if new.version != card.version else ""
    notice = f"✅ {escape(one_line(decision_line(decision), 240))}{version}"
    form.show(inspections.get(services, new), before, notice)
    _tell_owner(services, form, new, decision)


def _undo(services: Services, form: Form, value: str, inspections: InspectionCache) -> None:
    """Undoes a decision; its question is open again."""
    card = services.datasets.get(form.metadata.about)
    number = int(value) if value.isdigit() else 0
    try:
        new = services.datasets.repairs.undo(card.name, number, Decider(form.person.id, form.person.name))
        notice = f"↩️ Decision {number} is taken back: version {new.version}"
    except DatasetError as error:
        new, notice = card, f"⚠️ {error_text(error)}"
    form.show(inspections.get(services, new), notice=notice)


def _tell_owner(services: Services, form: Form, card: Card, decision: Decision) -> None:
    """Tells the dataset's owner of an admin's repairs, once a day and without ticket texts."""
    owner, decisions = card.added_by, Repairs.from_json(card.repairs, card.digest).decisions
    if owner == form.person.id or not owner.startswith(("U", "W")):
        return
    since = datetime.fromtimestamp(services.clock(), UTC) - OWNER_NOTICE_INTERVAL
    earlier = (one for one in decisions if one.number < decision.number and one.by == form.person.id)
    if any(datetime.fromisoformat(one.at) >= since for one in earlier):
        return
    text = (
        f"{escape(form.person.name)}, an admin, repairs your dataset *{escape(card.name)}*: "
        f"{escape(one_line(decision_line(decision), 240))}. `/datasets repair {escape(card.name)}` shows every decision and "
        "takes it back."
    )
    send_direct_message(form.client, owner, text, [section(text)])
