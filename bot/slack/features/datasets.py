"""`/datasets`: lists, adds, checks and removes datasets for a person in a channel.

A file becomes a dataset in two steps: a form shows the columns of its head, and after the person's confirmation the whole
file is read (bot/slack/features/dataset_import.py).
"""

from __future__ import annotations

import logging
import re
from functools import partial

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.delivery.label_check import check_labels
from bot.slack.failures import PrivateErrorReport, wrap_listener
from bot.slack.features.dataset_import import (
    CANCEL,
    FileHeads,
    add_dataset,
    ask_columns,
    on_column_change,
    on_import_cancel,
)
from bot.slack.features.dataset_runs import compare, runs_page
from bot.slack.home_tab import show_started
from bot.slack.payload import Body, Command, Shortcut, View, open_direct_channel, origin_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.ui import lists
from bot.slack.ui.blocks import actions, button, modal
from bot.slack.ui.column_form import Upload, column_errors, step_line
from bot.slack.ui.escape import escape, question_of
from bot.slack.ui.forms import DATASET_KINDS, FormMetadata, FormValues, dataset_modal, note_modal
from bot.slack.ui.limits import validate_message, validate_view
from bot.slack.ui.lists import dataset_card
from finetune.data.store import check_name, suggest_name
from finetune.data.ticket import DatasetError

log = logging.getLogger(__name__)
VERBS = ("show", "check", "compare", "card", "share")  # what needs a name after it
SUMMARY = "`/datasets` lists, adds, pulls, checks, repairs, shares and removes tickets."


def register(app: App, teams: Teams) -> None:
    """Registers `/datasets`, the message shortcut, the buttons and the two forms."""
    app.command("/datasets")(wrap_listener(teams, on_datasets))
    app.shortcut("add_dataset_from_message")(wrap_listener(teams, on_dataset_from_message))
    app.action("dataset_add")(wrap_listener(teams, on_dataset_add))
    app.action("home_datasets")(wrap_listener(teams, on_home_datasets))
    app.action("home_add_dataset")(wrap_listener(teams, on_home_add_dataset))
    heads = FileHeads()
    app.view("dataset_add")(wrap_listener(teams, partial(on_dataset_form, heads=heads)))
    app.action(re.compile("^column:"))(wrap_listener(teams, partial(on_column_change, heads=heads)))
    app.view("dataset_columns")(wrap_listener(teams, on_columns_form))
    app.action(CANCEL)(wrap_listener(teams, on_import_cancel))


READING = f"{step_line(1)}\nYou will be asked which column is which; nothing is added before that."


def on_dataset_form(
    services: Services, ack: Ack, body: Body, view: View, client: WebClient, *, heads: FileHeads
) -> None:
    metadata, form = FormMetadata.parse(view["private_metadata"]), FormValues.of(view)
    try:
        check_name(form.values.get("name", ""))
    except DatasetError as wrong:
        ack(response_action="errors", errors={"name": str(wrong)[:300]})
        return
    files = form.files.get("file", ()) or ((metadata.about,) if metadata.about else ())
    if not files:
        ack(response_action="errors", errors={"file": "Add the file with your tickets."})
        return
    details = (form.values.get(field, "") for field in ("name", "scope", "licence"))
    upload = Upload(metadata.channel, files[0], *details)
    ack(response_action="update", view=validate_view(note_modal("Add tickets", READING)))
    with PrivateErrorReport(client, metadata, body):
        ask_columns(services, client, upload, body["user"]["id"], view, heads)


def on_columns_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    upload, form = Upload.parse(view["private_metadata"]), FormValues.of(view)
    if errors := column_errors(form.values):
        ack(response_action="errors", errors=errors)
        return
    ack()
    with PrivateErrorReport(client, FormMetadata(upload.channel), body):
        person = services.users.person(body["user"]["id"])
        add_dataset(services, client, upload, form.values, person)
        show_started(services, client, body, upload.channel, f"Adding *{escape(upload.name)}*")


def on_dataset_from_message(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """Opens the dataset form for the first ticket file of the message."""
    ack()
    for file in shortcut["message"].get("files") or []:
        name = str(file.get("name", ""))
        if name.rpartition(".")[2].lower() in DATASET_KINDS:
            metadata = FormMetadata(shortcut["channel"]["id"], None, str(file["id"]))
            open_dataset(
                client, shortcut["trigger_id"], metadata, suggest_name(name.rpartition(".")[0]), True
            )
            return
    kinds = ", ".join(DATASET_KINDS)
    raise BotError(f"This message has no file of tickets ({kinds}). Use the shortcut on one that has.")


def open_dataset(
    client: WebClient, trigger_id: str, metadata: FormMetadata, name: str = "", has_file: bool = False
) -> None:
    client.views_open(trigger_id=trigger_id, view=validate_view(dataset_modal(metadata, name, has_file)))


def on_dataset_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    open_dataset(client, body["trigger_id"], FormMetadata(origin_of(body)[0]))


def on_home_datasets(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles home's button: lists the datasets, with a button to add one."""
    ack()
    metadata = FormMetadata(open_direct_channel(client, body))
    cards = services.datasets.list(services.scopes(metadata.channel))
    add = actions([button("Add tickets", "home_add_dataset", style="primary")], block_id="datasets")
    blocks = [add, *lists.dataset_list(cards, frozenset(), "Tickets that you can use anywhere")]
    view = modal("note", "Tickets", blocks, metadata=metadata.pack())
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_home_add_dataset(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Replaces the list by the form."""
    ack()
    view = dataset_modal(FormMetadata.parse(body["view"]["private_metadata"]))
    client.views_update(view_id=body["view"]["id"], view=validate_view(view))


def on_datasets(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Handles the sub-commands of `/datasets`."""
    ack()
    words = question_of(command.get("text", "")).split()
    channel, person = command["channel_id"], services.users.person(command["user_id"])
    if not words or words[0].lower() == "list":
        cards = services.datasets.list(services.scopes(channel))
        admin = services.permissions.is_admin(person)
        removable = frozenset(c.name for c in cards if admin or c.added_by == person.id)
        add = actions([button("Add tickets", "dataset_add", style="primary")], block_id="datasets")
        blocks = [*lists.dataset_list(cards, removable, "Datasets here"), add]
        respond(text="Datasets", blocks=validate_message(blocks), response_type="ephemeral")
    elif words[0].lower() == "add":
        open_dataset(client, command["trigger_id"], FormMetadata(channel))
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
    elif (len(words) == 1 and words[0].lower() not in VERBS) or (
        words[0].lower() == "card" and len(words) == 2
    ):
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
