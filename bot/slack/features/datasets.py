"""Adding and removing datasets on behalf of a person in a channel.

A file becomes a dataset in two steps: its head is read and its columns shown in a form, and what the person
confirms is read whole (bot/slack/features/dataset_import.py). Nothing is added before that.
"""

from __future__ import annotations

import logging
import re
from functools import partial

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.label_check import check_labels
from bot.slack.failures import PrivateFailure, guard
from bot.slack.features.dataset_import import (
    CANCEL,
    Heads,
    add_dataset,
    ask_columns,
    on_column_change,
    on_import_cancel,
)
from bot.slack.features.dataset_runs import compare, runs_page
from bot.slack.payload import Body, Command, Shortcut, View, _direct_channel, where
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui import lists
from bot.slack.ui.blocks import actions, button, modal
from bot.slack.ui.column_form import Upload, column_errors, step_line
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import DATASET_KINDS, FormValues, Memory, dataset_modal, note_modal
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.lists import dataset_card
from finetune.data.store import check_name, suggest_name
from finetune.data.ticket import DatasetError

log = logging.getLogger(__name__)
SUMMARY = "`/datasets` lists, adds, pulls, checks, repairs, shares and removes tickets."


def register(app: App, teams: Teams) -> None:
    """`/datasets`, the shortcut on a message with a file, the buttons and the two pages of the form."""
    app.command("/datasets")(guard(teams, on_datasets))
    app.shortcut("add_dataset_from_message")(guard(teams, on_dataset_from_message))
    app.action("dataset_add")(guard(teams, on_dataset_add))
    app.action("home_datasets")(guard(teams, on_home_datasets))
    app.action("home_add_dataset")(guard(teams, on_home_add_dataset))
    heads = Heads()
    app.view("dataset_add")(guard(teams, partial(on_dataset_form, heads=heads)))
    app.action(re.compile("^column:"))(guard(teams, partial(on_column_change, heads=heads)))
    app.view("dataset_columns")(guard(teams, on_columns_form))
    app.action(CANCEL)(guard(teams, on_import_cancel))


READING = f"{step_line(1)}\nYou will be asked which column is which; nothing is added before that."


def on_dataset_form(
    services: Services, ack: Ack, body: Body, view: View, client: WebClient, *, heads: Heads
) -> None:
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
        ask_columns(services, client, upload, body["user"]["id"], view, heads)


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


def on_home_datasets(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The button in home: the tickets that are there, and the way to add more."""
    ack()
    memory = Memory(_direct_channel(client, body))
    cards = services.datasets.list(services.scopes(memory.channel))
    add = actions([button("Add tickets", "home_add_dataset", style="primary")], block_id="datasets")
    blocks = [add, *lists.dataset_list(cards, frozenset(), "Tickets that you can use anywhere")]
    view = modal("note", "Tickets", blocks, memory=memory.pack())
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_home_add_dataset(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The form takes the list's place."""
    ack()
    view = dataset_modal(Memory.parse(body["view"]["private_metadata"]))
    client.views_update(view_id=body["view"]["id"], view=validate_view(view))


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
            "`/datasets add`, `/datasets pull`, `/datasets check NAME`, `/datasets repair NAME`, `/datasets share NAME everyone|here` and `/datasets remove NAME`."
        )
