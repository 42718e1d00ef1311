"""Adding and removing datasets on behalf of a person in a channel.

A file becomes a dataset in two steps: its head is read and its columns shown in a form, and what the person
confirms is read whole. Nothing is added before that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.errors import BotError
from bot.slack.delivery.posting import update_submitted
from bot.slack.failures import PrivateFailure, advice, apologise, guard, whisper
from bot.slack.features.dataset_runs import compare, runs_page
from bot.slack.features.label_check import check_labels
from bot.slack.files import check_publishing, local_copy, look_up
from bot.slack.payload import Body, Command, Shortcut, View, _direct_channel, where
from bot.slack.services import Services, scopes_of
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui import lists
from bot.slack.ui.blocks import Block, actions, button, context, modal, section
from bot.slack.ui.column_form import Upload, chosen_columns, column_errors, columns_modal
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import DATASET_KINDS, FormValues, Memory, dataset_modal, note_modal
from bot.slack.ui.limits import split_text, validate_message, validate_view
from bot.slack.ui.lists import dataset_card
from bot.slack.users import Person
from finetune.data.card import Card
from finetune.data.reading import preview
from finetune.data.store import check_name, suggest_name
from finetune.data.ticket import DatasetError
from finetune.evaluation.dataset_plot import card_alt, card_png

log = logging.getLogger(__name__)
CLOSED = (
    "The form was closed before the columns of `{name}` were confirmed, so nothing was added. "
    "Add the file again."
)
SUMMARY = "`/datasets` lists, adds, checks, shares and removes tickets."


def register(app: App, services: Services) -> None:
    """`/datasets`, the shortcut on a message with a file, the buttons and the two pages of the form."""
    app.command("/datasets")(guard(services, on_datasets))
    app.shortcut("add_dataset_from_message")(guard(services, on_dataset_from_message))
    app.action("dataset_add")(guard(services, on_dataset_add))
    app.action("home_add_dataset")(guard(services, on_home_add_dataset))
    app.view("dataset_add")(guard(services, on_dataset_form))
    app.view("dataset_columns")(guard(services, on_columns_form))


def ask_columns(services: Services, client: WebClient, upload: Upload, user: str, form: Block) -> None:
    """Queues reading the head of the file; the submitted form then asks which column is which, or says what is wrong."""

    def work(_stop: threading.Event) -> None:
        text = CLOSED.format(name=upload.name)
        try:
            file = look_up(client, upload.file, user, upload.channel)
            with local_copy(file, services.download, services.home) as path:
                view = validate_view(columns_modal(upload, file.name, preview(path)))
        except Exception as error:  # the edge: this thread has no caller to tell
            text = advice(error)
            view = _refusal(text)
        try:
            update_submitted(client, form["id"], form["hash"], view)
        except SLACK_TROUBLE as refused:
            log.info("no form to ask in: %s", type(refused).__name__)
            whisper(client, text, upload.channel, user)

    services.thread_queue.submit(("columns", form["id"]), work)


def _refusal(text: str) -> Block:
    pieces = [section(f"⚠️ {piece}") for piece in split_text(text, 2900)][:10]
    return modal("note", "Add tickets", [*pieces, context("Nothing was added.")])


def add_dataset(
    services: Services, client: WebClient, upload: Upload, values: Mapping[str, str], person: Person
) -> None:
    """Queues the import; the channel gets the card of the dataset, the person alone any problem by line.

    `values` are what the form holds: a column (`c0` is the first) for each field.
    """

    def work(_stop: threading.Event) -> None:
        try:
            file = look_up(client, upload.file, person.id, upload.channel)
            check_publishing(file, upload.scope, person.id, services.permissions.is_admin(person))
            with local_copy(file, services.download, services.home) as path:
                columns = chosen_columns(values, preview(path))
                guard_name(services, upload.name, person)
                problems = path.with_name("problems.csv")
                scopes = scopes_of(upload.scope, upload.channel)
                origin = (upload.name, person.id, scopes, upload.licence, columns)
                try:
                    card = services.datasets.add(path, *origin, problems_to=problems)
                finally:
                    send_problems(client, person, upload.name, problems)
            place = show_added(client, card, person, services.quiet_place(upload.channel, person))
            if not card.noise:
                check_labels(
                    services,
                    client,
                    card,
                    person,
                    upload.channel,
                    then=partial(_show_again, client, person, place),
                )
        except Exception as error:  # the edge: this thread has no caller to tell
            apologise(client, error, upload.channel, person.id)

    services.thread_queue.submit(("dataset", upload.name), work)


def guard_name(services: Services, name: str, person: Person) -> None:
    """A name that someone else added in a place that this person may not manage is refused."""
    owners = {card.added_by for card in services.datasets.versions(name)}
    if owners and person.id not in owners and not services.permissions.is_admin(person):
        raise BotError(f"The name `{name}` is taken by someone else's dataset. Choose another name.")


def show_added(client: WebClient, card: Card, person: Person, channel: str) -> tuple[str, str]:
    """The dataset's card in the channel, and its picture below it in the thread; channel and ts of the card."""
    message = client.chat_postMessage(channel=channel, **_dataset_message(card, person))
    with suppress(SlackClientError):  # the picture is a courtesy: the card has said it all
        client.files_upload_v2(
            channel=message["channel"],
            thread_ts=message["ts"],
            filename=f"{card.name}.png",
            title=f"{card.name} in one picture",
            content=card_png(card),
            alt_txt=card_alt(card),
        )
    return str(message["channel"]), str(message["ts"])


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


READING = "Reading the columns … You will be asked which is which; nothing is added before that."


def on_dataset_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    memory, form = Memory.parse(view["private_metadata"]), FormValues.of(view)
    try:
        check_name(form.values.get("name", ""))
    except DatasetError as wrong:
        ack(response_action="errors", errors={"name": str(wrong)[:300]})
        return
    files = form.files.get("file", ()) or ((memory.about,) if memory.about else ())
    if not files:
        ack(response_action="errors", errors={"file": "Add the file with your tickets."})
        return
    details = (form.values.get(field, "") for field in ("name", "scope", "licence"))
    upload = Upload(memory.channel, files[0], *details)
    ack(response_action="update", view=validate_view(note_modal("Add tickets", READING)))
    with PrivateFailure(client, memory, body):
        ask_columns(services, client, upload, body["user"]["id"], view)


def on_columns_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    upload, form = Upload.parse(view["private_metadata"]), FormValues.of(view)
    if errors := column_errors(form.values):
        ack(response_action="errors", errors=errors)
        return
    ack()
    with PrivateFailure(client, Memory(upload.channel), body):
        person = services.users.person(body["user"]["id"])
        add_dataset(services, client, upload, form.values, person)


def on_dataset_from_message(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """Opens the dataset form for the first ticket file of the message."""
    ack()
    for file in shortcut["message"].get("files") or []:
        name = str(file.get("name", ""))
        if name.rpartition(".")[2].lower() in DATASET_KINDS:
            memory = Memory(shortcut["channel"]["id"], None, str(file["id"]))
            open_dataset(client, shortcut["trigger_id"], memory, suggest_name(name.rpartition(".")[0]), True)
            return
    kinds = ", ".join(DATASET_KINDS)
    raise BotError(f"This message has no file of tickets ({kinds}). Use the shortcut on one that has.")


def open_dataset(
    client: WebClient, trigger_id: str, memory: Memory, name: str = "", has_file: bool = False
) -> None:
    client.views_open(trigger_id=trigger_id, view=validate_view(dataset_modal(memory, name, has_file)))


def on_dataset_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    open_dataset(client, body["trigger_id"], Memory(where(body)[0]))


def on_home_add_dataset(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    open_dataset(client, body["trigger_id"], Memory(_direct_channel(client, body)))


def on_datasets(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Lists, adds, removes."""
    ack()
    words = question_of(command.get("text", "")).split()
    channel, person = command["channel_id"], services.users.person(command["user_id"])
    if not words or words[0].lower() == "list":
        cards = services.datasets.list(services.scopes(channel))
        admin = services.permissions.is_admin(person)
        can_go = frozenset(c.name for c in cards if admin or c.added_by == person.id)
        add = actions([button("Add tickets", "dataset_add", style="primary")], block_id="datasets")
        blocks = [*lists.dataset_list(cards, can_go, "Datasets here"), add]
        respond(text="Datasets", blocks=validate_message(blocks), response_type="ephemeral")
    elif words[0].lower() == "add":
        open_dataset(client, command["trigger_id"], Memory(channel))
    elif words[0].lower() == "check" and len(words) == 2:
        card = services.datasets.get(words[1].strip("`"), services.scopes(channel))
        check_labels(services, client, card, person, channel)
        text = f"Checking the labels of {escape(card.name)}. I will send you those that look wrong."
        respond(text=text, response_type="ephemeral")
    elif words[0].lower() == "show" and len(words) == 2:
        card = services.datasets.get(words[1].strip("`"), services.scopes(channel))
        page = validate_message(runs_page(services, card, channel))
        respond(text=f"Dataset {card.name}", blocks=page, response_type="ephemeral")
    elif words[0].lower() == "compare" and len(words) == 4:
        card = services.datasets.get(words[1].strip("`"), services.scopes(channel))
        ids = words[2].strip("`"), words[3].strip("`")
        page = validate_message(compare(services, card, ids, person.id, channel))
        respond(text=f"Two runs on {card.name}", blocks=page, response_type="ephemeral")
    elif len(words) == 1 or (words[0].lower() == "card" and len(words) == 2):
        card = services.datasets.get(words[-1].strip("`"), services.scopes(channel))
        respond(
            text=f"Dataset {card.name}",
            blocks=validate_message(dataset_card(card)),
            response_type="ephemeral",
        )
    else:
        raise BotError(
            "I know `/datasets`, `/datasets NAME`, `/datasets show NAME`, `/datasets compare NAME JOB JOB`, "
            "`/datasets add`, `/datasets check NAME`, `/datasets share NAME everyone|here` and `/datasets remove NAME`."
        )
