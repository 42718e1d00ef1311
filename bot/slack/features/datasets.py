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

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.datacard import dataset_card
from bot.errors import BotError
from bot.factories import models_trained_on
from bot.slack.failures import SLACK_TROUBLE, advice, apologise, whisper
from bot.slack.features.documents import scopes_of
from bot.slack.features.label_check import check_labels
from bot.slack.files import fetched, look_up
from bot.slack.services import Services
from bot.slack.ui.blocks import Block, context, modal, section
from bot.slack.ui.column_form import Upload, chosen_columns, columns_modal
from bot.slack.ui.escape import escape
from bot.slack.ui.limits import checked_view, split_text
from bot.slack.users import Person
from bot.submitted import update_submitted
from finetune.data.card import Card
from finetune.data.reading import preview
from finetune.evaluation.dataset_plot import card_alt, card_png

log = logging.getLogger(__name__)
CLOSED = (
    "The form was closed before the columns of `{name}` were confirmed, so nothing was added. "
    "Add the file again."
)


def ask_columns(services: Services, client: WebClient, upload: Upload, user: str, form: Block) -> None:
    """Queues reading the head of the file; the submitted form then asks which column is which, or says what is wrong."""

    def work(_stopped: threading.Event) -> None:
        said = CLOSED.format(name=upload.name)
        try:
            file = look_up(client, upload.file, user, upload.channel)
            with fetched(file, services.download, services.home) as path:
                view = checked_view(columns_modal(upload, file.name, preview(path)))
        except Exception as error:  # the edge: this thread has no caller to tell
            said = advice(error)
            view = _refusal(said)
        try:
            update_submitted(client, form["id"], form["hash"], view)
        except SLACK_TROUBLE as refused:
            log.info("no form to ask in: %s", type(refused).__name__)
            whisper(client, said, upload.channel, user)

    services.turns.submit(("columns", form["id"]), work)


def _refusal(said: str) -> Block:
    pieces = [section(f"⚠️ {piece}") for piece in split_text(said, 2900)][:10]
    return modal("note", "Add tickets", [*pieces, context("Nothing was added.")])


def add_dataset(
    services: Services, client: WebClient, upload: Upload, values: Mapping[str, str], person: Person
) -> None:
    """Queues the import; the channel gets the card of the dataset, the person alone any problem by line.

    `values` are what the form holds: a column (`c0` is the first) for each field.
    """

    def work(_stopped: threading.Event) -> None:
        try:
            file = look_up(client, upload.file, person.id, upload.channel)
            with fetched(file, services.download, services.home) as path:
                columns = chosen_columns(values, preview(path))
                guard_name(services, upload.name, person)
                listed = path.with_name("problems.csv")
                scopes = scopes_of(upload.scope, upload.channel)
                given = (upload.name, person.id, scopes, upload.licence, columns)
                try:
                    card = services.datasets.add(path, *given, problems_to=listed)
                finally:
                    send_problems(client, person, upload.name, listed)
            place = show_added(client, card, person, upload.channel)
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

    services.turns.submit(("dataset", upload.name), work)


def guard_name(services: Services, name: str, person: Person) -> None:
    """A name that someone else added in a place that this person may not manage is refused."""
    owners = {card.added_by for card in services.datasets.versions(name)}
    if owners and person.id not in owners and not services.policy.is_admin(person):
        raise BotError(f"The name `{name}` is taken by someone else's dataset. Choose another name.")


def show_added(client: WebClient, card: Card, person: Person, channel: str) -> tuple[str, str]:
    """The dataset's card in the channel, and its picture below it in the thread; channel and ts of the card."""
    sent = client.chat_postMessage(channel=channel, **_added(card, person))
    with suppress(SlackClientError):  # the picture is a courtesy: the card has said it all
        client.files_upload_v2(
            channel=sent["channel"],
            thread_ts=sent["ts"],
            filename=f"{card.name}.png",
            title=f"{card.name} in one picture",
            content=card_png(card),
            alt_txt=card_alt(card),
        )
    return str(sent["channel"]), str(sent["ts"])


def _show_again(client: WebClient, person: Person, place: tuple[str, str], card: Card) -> None:
    """The same message with what has been found since."""
    client.chat_update(channel=place[0], ts=place[1], **_added(card, person))


def _added(card: Card, person: Person) -> dict[str, Any]:
    text = f"📥 {escape(person.name)} added *{escape(card.name)}*"
    return {"text": text, "blocks": [section(text), *dataset_card(card)]}


def send_problems(client: WebClient, person: Person, name: str, listed: Path) -> None:
    """The rows that were left out or repaired, to the person alone: they are not redacted."""
    if not listed.is_file():
        return
    with suppress(SlackClientError):  # what is wrong with the file is told in any case
        direct = client.conversations_open(users=[person.id])["channel"]["id"]
        client.files_upload_v2(
            channel=direct,
            file=str(listed),
            filename=f"{name}.problems.csv",
            title=f"Rows of {name} that were left out or repaired",
            initial_comment=f"Rows of `{name}` with line and reason. Repair them and add the file again.",
        )


def remove_dataset(services: Services, name: str, person: Person, channel: str) -> str:
    """Erases a dataset that the person added (or any, for an admin); the sentence that says so."""
    card = services.datasets.get(name, None if services.policy.is_admin(person) else services.scopes(channel))
    if card.added_by != person.id and not services.policy.is_admin(person):
        raise BotError(f"Only the person who added {card.name} or an admin can remove it.")
    removal = services.datasets.remove(card.name, person.id, models_trained_on(services.ledger))
    said = f"Removed {removal.name}: {removal.rows:,} tickets erased."
    models = ", ".join(removal.models)
    return f"{said} Trained on them, and cannot forget: {models}." if models else said
