"""From an uploaded file to a dataset: its head for the form that asks for the columns, then the import with its bar.

Both are read in the background; what is known of a file before it is added stays in memory alone.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from slack_bolt import Ack
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.errors import BotError
from bot.slack.delivery.label_check import check_labels
from bot.slack.delivery.posting import update_submitted
from bot.slack.failures import advice, apologise, whisper
from bot.slack.files import check_publishing, local_copy, look_up
from bot.slack.payload import Body
from bot.slack.services import Services, scopes_of
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import Block, actions, button, context, modal, section
from bot.slack.ui.column_form import Upload, chosen_columns, columns_modal, step_line
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import FormValues
from bot.slack.ui.limits import split_text, validate_view
from bot.slack.ui.lists import dataset_card
from bot.slack.users import Person
from finetune.data.card import Card
from finetune.data.importing import IMPORTS, ImportOrder, add_file_apart
from finetune.data.reading import Preview, preview
from finetune.data.store import check_name
from finetune.errors import Stopped
from finetune.evaluation.dataset_plot import card_alt, card_png

log = logging.getLogger(__name__)
HEADS = 32
CANCEL = "import_cancel"
TOLD_EVERY_S = 3.0  # between two updates of the bar
STEP_OF_PHASE = {"reading": 3, "cleaning": 4, "redacting": 4, "describing": 4, "storing": 4}
DETAIL_OF_PHASE = {"describing": "looking for copies", "storing": "storing"}
GOES_ON = "Add the same file again: what was done is not done twice."
CLOSED = (
    "The form was closed before the columns of `{name}` were confirmed, so nothing was added. "
    "Add the file again."
)


class Head(NamedTuple):
    """What was read of a file before it is added: its name, first rows and guessed columns."""

    file_name: str
    preview: Preview


class Heads:
    """The heads of the files whose columns are being asked for now; only the newest few are kept, and in memory alone.

    All teams share the places, never a head: it is kept under its team's home.
    """

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[Path, Upload], Head] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, home: Path, upload: Upload, head: Head) -> None:
        """Remembers a head, and forgets the oldest beyond HEADS."""
        with self._lock:
            self._heads[home, upload] = head
            self._heads.move_to_end((home, upload))
            while len(self._heads) > HEADS:
                self._heads.popitem(last=False)

    def get(self, home: Path, upload: Upload) -> Head | None:
        """The head of an upload, if it is still remembered."""
        with self._lock:
            return self._heads.get((home, upload))


def ask_columns(
    services: Services, client: WebClient, upload: Upload, user: str, form: Block, heads: Heads
) -> None:
    """Queues reading the head of the file; the submitted form then asks which column is which, or says what is wrong."""

    def work(_stop: threading.Event) -> None:
        text = CLOSED.format(name=upload.name)
        try:
            head = read_head(services, client, upload, user)
            heads.keep(services.home, upload, head)
            view = validate_view(columns_modal(upload, head.file_name, head.preview))
        except Exception as error:  # the edge: this thread has no caller to tell
            text = advice(error)
            view = _refusal(text)
        try:
            update_submitted(client, form["id"], form["hash"], view)
        except SLACK_TROUBLE as refused:
            log.info("no form to ask in: %s", type(refused).__name__)
            whisper(client, text, upload.channel, user)

    services.thread_queue.submit(("columns", form["id"]), work)


def on_column_change(services: Services, ack: Ack, body: Body, client: WebClient, *, heads: Heads) -> None:
    """Another column chosen in the form: the first rows are shown as it gives them."""
    ack()
    view, user = body["view"], str(body["user"]["id"])
    upload, values = Upload.parse(view["private_metadata"]), FormValues.of(view).values

    def work(_stop: threading.Event) -> None:
        try:
            head = heads.get(services.home, upload) or read_head(services, client, upload, user)
            heads.keep(services.home, upload, head)
            form = validate_view(columns_modal(upload, head.file_name, head.preview, values))
            client.views_update(view_id=view["id"], view=form)
        except SLACK_TROUBLE as refused:  # closed or sent meanwhile
            log.info("no preview: %s", type(refused).__name__)
        except Exception as error:  # the edge: this thread has no caller to tell
            apologise(client, error, upload.channel, user)

    services.thread_queue.submit(("columns", view["id"]), work)


def read_head(services: Services, client: WebClient, upload: Upload, user: str) -> Head:
    """The first rows of an upload and the guess of its columns; DatasetError or BadFile where it cannot be read."""
    file = look_up(client, upload.file, user, upload.channel)
    with local_copy(file, services.download, services.home) as path:
        return Head(file.name, preview(path))


def _refusal(text: str) -> Block:
    pieces = [section(f"⚠️ {piece}") for piece in split_text(text, 2900)][:10]
    return modal("note", "Add tickets", [*pieces, context("Nothing was added.")])


def add_dataset(
    services: Services, client: WebClient, upload: Upload, values: Mapping[str, str], person: Person
) -> None:
    """Queues the import; the channel gets the card of the dataset, the person alone any problem by line.

    `values` are what the form holds: a column (`c0` is the first) for each field.
    """

    run = uuid.uuid4().hex[:12]

    def work(stop: threading.Event) -> None:
        steps = ImportSteps(client, upload, person, services.quiet_place(upload.channel, person), run)
        try:
            card = _import(services, client, upload, values, person, steps, stop)
            place = steps.end(card)
            if not card.noise:
                show = partial(_show_again, client, person, place)
                check_labels(services, client, card, person, upload.channel, then=show)
        except Stopped:
            steps.say_cancelled()
        except Exception as error:  # the edge: this thread has no caller to tell
            steps.give_up()
            apologise(client, error, upload.channel, person.id)

    services.thread_queue.submit(("dataset", upload.name), work, run=run)


def _import(
    services: Services,
    client: WebClient,
    upload: Upload,
    values: Mapping[str, str],
    person: Person,
    steps: ImportSteps,
    stop: threading.Event,
) -> Card:
    """The dataset of an upload, made in a process of its own; `steps` shows how far it is, `stop` ends it.

    The person gets the rows that were left out.
    """
    steps.show(2)
    file = look_up(client, upload.file, person.id, upload.channel)
    check_publishing(file, upload.scope, person.id, services.permissions.is_admin(person))
    with local_copy(file, services.download, services.home) as path:
        columns = chosen_columns(values, preview(path))
        guard_name(services, check_name(upload.name), person)
        problems = path.with_name("problems.csv")
        scopes = scopes_of(upload.scope, upload.channel)
        order = ImportOrder(
            services.datasets.url,
            services.home / IMPORTS,
            path,
            upload.name,
            person.id,
            scopes,
            upload.licence,
            columns,
            problems,
            several=values.get("several", "first"),
        )
        try:
            return add_file_apart(order, steps.hear, lambda: "cancel" if stop.is_set() else None)
        finally:
            send_problems(client, person, upload.name, problems)


class ImportSteps:
    """One message in the channel: how far the import is, then the dataset's card in its place; gone where it fails."""

    def __init__(self, client: WebClient, upload: Upload, person: Person, channel: str, run: str) -> None:
        self._client, self._upload, self._person, self._channel = client, upload, person, channel
        self._run = run
        self._place: tuple[str, str] | None = None
        self._step, self._told_at = 0, 0.0
        self._who, self._what = f"📥 {escape(person.name)}", f"*{escape(upload.name)}*"

    def show(self, step: int, detail: str = "") -> None:
        """The bar at this step; the message is posted at the first."""
        text = f"{self._who} adds {self._what}\n{step_line(step, detail)}"
        cancel = button(
            "Cancel", CANCEL, f"{self._person.id}:{self._upload.name}:{self._run}", style="danger"
        )
        call: dict[str, Any] = {"text": text, "blocks": [section(text), actions([cancel])]}
        if self._place is None:
            message = self._client.chat_postMessage(channel=self._channel, **call)
            self._place = str(message["channel"]), str(message["ts"])
        else:
            with suppress(SlackClientError):  # progress is a courtesy; the card is not
                self._client.chat_update(channel=self._place[0], ts=self._place[1], **call)

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event of the import: a new phase at once, rows no more often than Slack likes."""
        if event["kind"] == "phase":
            self._step = STEP_OF_PHASE[event["phase"]]
            self.show(self._step, DETAIL_OF_PHASE.get(event["phase"], ""))
            self._told_at = time.monotonic()
        elif event["kind"] == "step" and time.monotonic() - self._told_at >= TOLD_EVERY_S:
            self.show(self._step, f"{event['step']:,} of about {event['steps']:,} rows")
            self._told_at = time.monotonic()
        elif event["kind"] == "note":
            self.show(self._step, str(event["text"]))

    def say_cancelled(self) -> None:
        """Says in the message's place that nothing was added, and how to go on."""
        text = f"{self._who} cancelled adding {self._what}. Nothing was added. {GOES_ON}"
        if self._place is not None:
            with suppress(SlackClientError):
                call: dict[str, Any] = {"text": text, "blocks": [section(text)]}
                self._client.chat_update(channel=self._place[0], ts=self._place[1], **call)

    def end(self, card: Card) -> tuple[str, str]:
        """The dataset's card in the message's place, its picture below; channel and ts."""
        assert self._place is not None
        show_added(self._client, card, self._person, self._place)
        return self._place

    def give_up(self) -> None:
        """Takes the message away: nothing was added."""
        if self._place is not None:
            with suppress(SlackClientError):
                self._client.chat_delete(channel=self._place[0], ts=self._place[1])


def on_import_cancel(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Ends an import that runs; whoever started it may, and an admin."""
    ack()
    owner, name, run = (*str(body["actions"][0].get("value", "")).split(":"), "", "")[:3]
    person = services.users.person(body["user"]["id"])
    if person.id != owner and not services.permissions.is_admin(person):
        raise BotError("Only who added the file, or an admin, can cancel this.")
    if not services.thread_queue.stop(("dataset", name), run or "of an older card"):
        raise BotError(f"This import of `{name}` is over.")


def guard_name(services: Services, name: str, person: Person) -> None:
    """A name that someone else added in a place that this person may not manage is refused."""
    owners = {card.added_by for card in services.datasets.versions(name)}
    if owners and person.id not in owners and not services.permissions.is_admin(person):
        raise BotError(f"The name `{name}` is taken by someone else's dataset. Choose another name.")


def show_added(client: WebClient, card: Card, person: Person, place: tuple[str, str]) -> None:
    """The dataset's card in the message at `place`, and its picture below it in the thread."""
    _show_again(client, person, place, card)
    with suppress(SlackClientError):  # the picture is a courtesy: the card has said it all
        client.files_upload_v2(
            channel=place[0],
            thread_ts=place[1],
            filename=f"{card.name}.png",
            title=f"{card.name} in one picture",
            content=card_png(card),
            alt_txt=card_alt(card),
        )


def _show_again(client: WebClient, person: Person, place: tuple[str, str], card: Card) -> None:
    """The same message with what has been found since."""
    client.chat_update(channel=place[0], ts=place[1], **_dataset_message(card, person))


def _dataset_message(card: Card, person: Person) -> dict[str, Any]:
    text = f"📥 {escape(person.name)} added *{escape(card.name)}*"
    return {"text": text, "blocks": [section(text), *dataset_card(card)]}


def send_problems(client: WebClient, person: Person, name: str, problems: Path) -> None:
    """The rows that were left out or repaired, to the person alone: they are not redacted."""
    if not problems.is_file():
        return
    with suppress(SlackClientError):  # what is wrong with the file is told in any case
        direct = client.conversations_open(users=[person.id])["channel"]["id"]
        client.files_upload_v2(
            channel=direct,
            file=str(problems),
            filename=f"{name}.problems.csv",
            title=f"Rows of {name} that were left out or repaired",
            initial_comment=f"Rows of `{name}` with line and reason. Repair them and add the file again.",
        )
