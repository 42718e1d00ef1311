"""The message shortcuts: ask about a message, make a message's file a dataset."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot import opening
from bot.errors import BotError
from bot.slack.failures import guarded
from bot.slack.features.answering import Question, ask
from bot.slack.services import Services
from bot.slack.ui.escape import question_of
from bot.slack.ui.forms import DATASET_KINDS, Memory
from finetune.data.store import suggest_name

Shortcut = dict[str, Any]


def register(app: App, services: Services) -> None:
    app.shortcut("ask_about_message")(guarded(services, on_ask))
    app.shortcut("add_dataset_from_message")(guarded(services, on_add_dataset))


def on_ask(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """The message is the question; the answer stands in its thread."""
    ack()
    message, channel = shortcut["message"], shortcut["channel"]["id"]
    thread_ts = message.get("thread_ts") or message["ts"]
    place = (shortcut["user"]["id"], shortcut["team"]["id"], channel, thread_ts)
    ask(services, client, Question(question_of(message.get("text", "")), *place))


def on_add_dataset(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """Opens the dataset form for the first ticket file of the message."""
    ack()
    for file in shortcut["message"].get("files") or []:
        name = str(file.get("name", ""))
        if name.rpartition(".")[2].lower() in DATASET_KINDS:
            memory = Memory(shortcut["channel"]["id"], None, str(file["id"]))
            opening.dataset(
                client, shortcut["trigger_id"], memory, suggest_name(name.rpartition(".")[0]), True
            )
            return
    kinds = ", ".join(DATASET_KINDS)
    raise BotError(f"This message has no file of tickets ({kinds}). Use the shortcut on one that has.")
