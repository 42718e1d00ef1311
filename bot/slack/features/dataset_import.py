"""Imports an uploaded file as a dataset: reads its head for the form about columns, then the whole file with a progress bar.

Both run in the background. Before a file is added, its head is kept in memory only.
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
from bot.slack.failures import error_text, send_ephemeral, send_error
from bot.slack.files import check_publishing, downloaded_copy, find_shared_file
from bot.slack.payload import Body
from bot.slack.services import Services, scopes_of
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import Block, actions, button, context, modal, section
from bot.slack.ui.column_form import Upload, chosen_columns, columns_modal, step_line
from bot.slack.ui.escape import escape
from bot.slack.ui.forms import FormValues
from bot.slack.ui.limits import split_text, validate_view
from bot.slack.ui.lists import dataset_card
from bot.slack.users import Person
from finetune.data.card import Card
from finetune.data.importing import IMPORTS, ImportOrder, add_file_in_subprocess
from finetune.data.reading import Preview, preview
from finetune.data.store import check_name
from finetune.errors import Stopped
from finetune.evaluation.dataset_plot import card_alt, card_png

log = logging.getLogger(__name__)
MOST_HEADS = 32
CANCEL = "import_cancel"
UPDATE_INTERVAL_S = 3.0  # between two updates of the bar
STEP_OF_PHASE = {"reading": 3, "cleaning": 4, "redacting": 4, "describing": 4, "storing": 4}
DETAIL_OF_PHASE = {"describing": "looking for copies", "storing": "storing"}
RESUME_HINT = "Add the same file again: what was done is not done twice."
CLOSED_TEXT = (
    "The form was closed before the columns of `{name}` were confirmed, so nothing was added. "
    "Add the file again."
)


class Head(NamedTuple):
    """The beginning of a file before its import: name, first rows and guessed columns."""

    file_name: str
    preview: Preview


class FileHeads:
    """The heads of files whose column form is open: the newest MOST_HEADS, in memory only.

    All teams share the limit but no head: the key holds the team's home.
    """

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[Path, Upload], Head] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, home: Path, upload: Upload, head: Head) -> None:
        """Stores a head and drops the oldest beyond MOST_HEADS."""
        with self._lock:
            self._heads[home, upload] = head
            self._heads.move_to_end((home, upload))
            while len(self._heads) > MOST_HEADS:
                self._heads.popitem(last=False)

    def get(self, home: Path, upload: Upload) -> Head | None:
        """The head of an upload; None when it was dropped."""
        with self._lock:
            return self._heads.get((home, upload))


def ask_columns(
    services: Services, client: WebClient, upload: Upload, user: str, form: Block, heads: FileHeads
) -> None:
    """Queues reading the head of the file; the submitted form then asks for the columns, or shows the error."""

    def work(_stop: threading.Event) -> None:
        text = CLOSED_TEXT.format(name=upload.name)
        try:
            head = read_head(services, client, upload, user)
            heads.keep(services.home, upload, head)
            view = validate_view(columns_modal(upload, head.file_name, head.preview))
        except Exception as error:  # the edge: this thread has no caller to tell
            text = error_text(error)
            view = _refusal(text)
        try:
            update_submitted(client, form["id"], form["hash"], view)
        except SLACK_ERRORS as refused:
            log.info("no form to ask in: %s", type(refused).__name__)
            send_ephemeral(client, text, upload.channel, user)

    services.thread_queue.submit(("columns", form["id"]), work)


def on_column_change(
    services: Services, ack: Ack, body: Body, client: WebClient, *, heads: FileHeads
) -> None:
    """Updates the preview rows when another column is chosen in the form."""
    ack()
    view, user = body["view"], str(body["user"]["id"])
    upload, values = Upload.parse(view["private_metadata"]), FormValues.of(view).values

    def work(_stop: threading.Event) -> None:
        try:
            head = heads.get(services.home, upload) or read_head(services, client, upload, user)
            heads.keep(services.home, upload, head)
            form = validate_view(columns_modal(upload, head.file_name, head.preview, values))
            client.views_update(view_id=view["id"], view=form)
        except SLACK_ERRORS as refused:  # the form was closed or submitted meanwhile
            log.info("no preview: %s", type(refused).__name__)
        except Exception as error:  # the edge: this thread has no caller to tell
            send_error(client, error, upload.channel, user)

    services.thread_queue.submit(("columns", view["id"]), work)


def read_head(services: Services, client: WebClient, upload: Upload, user: str) -> Head:
    """The first rows of an upload and its guessed columns; raises DatasetError or BadFile when it cannot be read."""
    file = find_shared_file(client, upload.file, user, upload.channel)
    with downloaded_copy(file, services.download, services.home) as path:
        return Head(file.name, preview(path))


def _refusal(text: str) -> Block:
    pieces = [section(f"⚠️ {piece}") for piece in split_text(text, 2900)][:10]
    return modal("note", "Add tickets", [*pieces, context("Nothing was added.")])


def add_dataset(
    services: Services, client: WebClient, upload: Upload, values: Mapping[str, str], person: Person
) -> None:
    """Queues the import; the channel gets the dataset's card, the person privately gets the problems by line.

    `values` are the form's values: a column (`c0` is the first) per field.
    """

    run = uuid.uuid4().hex[:12]

    def work(stop: threading.Event) -> None:
        steps = ImportProgress(client, upload, person, services.job_channel(upload.channel, person), run)
        try:
            card = _import(services, client, upload, values, person, steps, stop)
            place = steps.show_card(card)
            if not card.noise:
                show = partial(_refresh_card, client, person, place)
                check_labels(services, client, card, person, upload.channel, then=show)
        except Stopped:
            steps.show_cancelled()
        except Exception as error:  # the edge: this thread has no caller to tell
            steps.delete_message()
            send_error(client, error, upload.channel, person.id)

    services.thread_queue.submit(("dataset", upload.name), work, work_id=run)


def _import(
    services: Services,
    client: WebClient,
    upload: Upload,
    values: Mapping[str, str],
    person: Person,
    steps: ImportProgress,
    stop: threading.Event,
) -> Card:
    """Imports an upload in a child process; `steps` shows the progress, `stop` ends it. Returns the dataset's card.

    The person gets the rows that were left out.
    """
    steps.show(2)
    file = find_shared_file(client, upload.file, person.id, upload.channel)
    check_publishing(file, upload.scope, person.id, services.permissions.is_admin(person))
    with downloaded_copy(file, services.download, services.home) as path:
        columns = chosen_columns(values, preview(path))
        check_name_owner(services, check_name(upload.name), person)
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
            return add_file_in_subprocess(order, steps.on_event, lambda: "cancel" if stop.is_set() else None)
        finally:
            send_problems(client, person, upload.name, problems)


class ImportProgress:
    """The import's message in the channel: the progress, then the dataset's card; deleted when the import fails."""

    def __init__(self, client: WebClient, upload: Upload, person: Person, channel: str, run: str) -> None:
        self._client, self._upload, self._person, self._channel = client, upload, person, channel
        self._run = run
        self._place: tuple[str, str] | None = None
        self._step, self._updated_at = 0, 0.0
        self._who, self._what = f"📥 {escape(person.name)}", f"*{escape(upload.name)}*"

    def show(self, step: int, detail: str = "") -> None:
        """Shows the bar at this step; the first call posts the message."""
        text = f"{self._who} adds {self._what}\n{step_line(step, detail)}"
        cancel = button(
            "Cancel", CANCEL, f"{self._person.id}:{self._upload.name}:{self._run}", style="danger"
        )
        call: dict[str, Any] = {"text": text, "blocks": [section(text), actions([cancel])]}
        if self._place is None:
            message = self._client.chat_postMessage(channel=self._channel, **call)
            self._place = str(message["channel"]), str(message["ts"])
        else:
            with suppress(SlackClientError):  # progress is best effort; the card is not
                self._client.chat_update(channel=self._place[0], ts=self._place[1], **call)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Shows an event of the import: a new phase at once, row counts at most every UPDATE_INTERVAL_S."""
        if event["kind"] == "phase":
            self._step = STEP_OF_PHASE[event["phase"]]
            self.show(self._step, DETAIL_OF_PHASE.get(event["phase"], ""))
            self._updated_at = time.monotonic()
        elif event["kind"] == "step" and time.monotonic() - self._updated_at >= UPDATE_INTERVAL_S:
            self.show(self._step, f"{event['step']:,} of about {event['steps']:,} rows")
            self._updated_at = time.monotonic()
        elif event["kind"] == "note":
            self.show(self._step, str(event["text"]))

    def show_cancelled(self) -> None:
        """Replaces the message by a text that nothing was added and how to resume."""
        text = f"{self._who} cancelled adding {self._what}. Nothing was added. {RESUME_HINT}"
        if self._place is not None:
            with suppress(SlackClientError):
                call: dict[str, Any] = {"text": text, "blocks": [section(text)]}
                self._client.chat_update(channel=self._place[0], ts=self._place[1], **call)

    def show_card(self, card: Card) -> tuple[str, str]:
        """Replaces the message by the dataset's card and posts its picture below; returns channel and ts."""
        assert self._place is not None
        show_added(self._client, card, self._person, self._place)
        return self._place

    def delete_message(self) -> None:
        """Deletes the message, because nothing was added."""
        if self._place is not None:
            with suppress(SlackClientError):
                self._client.chat_delete(channel=self._place[0], ts=self._place[1])


def on_import_cancel(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Cancels a running import, for its starter and admins."""
    ack()
    owner, name, run = (*str(body["actions"][0].get("value", "")).split(":"), "", "")[:3]
    person = services.users.person(body["user"]["id"])
    if person.id != owner and not services.permissions.is_admin(person):
        raise BotError("Only who added the file, or an admin, can cancel this.")
    if not services.thread_queue.stop(("dataset", name), run or "of an older card"):
        raise BotError(f"This import of `{name}` is over.")


def check_name_owner(services: Services, name: str, person: Person) -> None:
    """Raises BotError when another person added a dataset of this name and this person is no admin."""
    owners = {card.added_by for card in services.datasets.versions(name)}
    if owners and person.id not in owners and not services.permissions.is_admin(person):
        raise BotError(f"The name `{name}` is taken by someone else's dataset. Choose another name.")


def show_added(client: WebClient, card: Card, person: Person, place: tuple[str, str]) -> None:
    """Shows the dataset's card in the message at `place`, and its picture in the thread."""
    _refresh_card(client, person, place, card)
    with suppress(SlackClientError):  # the picture is best effort; the card has all facts
        client.files_upload_v2(
            channel=place[0],
            thread_ts=place[1],
            filename=f"{card.name}.png",
            title=f"{card.name} in one picture",
            content=card_png(card),
            alt_txt=card_alt(card),
        )


def _refresh_card(client: WebClient, person: Person, place: tuple[str, str], card: Card) -> None:
    """Updates the message with the latest card."""
    client.chat_update(channel=place[0], ts=place[1], **_dataset_message(card, person))


def _dataset_message(card: Card, person: Person) -> dict[str, Any]:
    text = f"📥 {escape(person.name)} added *{escape(card.name)}*"
    return {"text": text, "blocks": [section(text), *dataset_card(card)]}


def send_problems(client: WebClient, person: Person, name: str, problems: Path) -> None:
    """Sends the rows that were left out or repaired to the person alone, because they are not redacted."""
    if not problems.is_file():
        return
    with suppress(SlackClientError):  # best effort; the card counts the problems
        direct = client.conversations_open(users=[person.id])["channel"]["id"]
        client.files_upload_v2(
            channel=direct,
            file=str(problems),
            filename=f"{name}.problems.csv",
            title=f"Rows of {name} that were left out or repaired",
            initial_comment=f"Rows of `{name}` with line and reason. Repair them and add the file again.",
        )
