"""Corrections of what the bot understood: opens an answer's menus, corrects one value, chooses between two readings.

A correction updates the verdict in its message, in the thread's order, and shows what changed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.slack.failures import send_error, wrap_listener
from bot.slack.features.answering import card_at, check_asker
from bot.slack.payload import Body, message_address
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.thread_memory import Conversation
from bot.slack.ui.limits import validate_message
from bot.slack.ui.verdict_card import verdict_card, verdict_text
from rag.reply import Reply

Change = Callable[[Conversation], Conversation]


def register(app: App, teams: Teams) -> None:
    """Registers the button that opens the menus, the menus, and the buttons for two readings."""
    app.action("reading")(wrap_listener(teams, on_toggle))
    app.action(re.compile(r"reading:[a-z]+"))(wrap_listener(teams, on_menu))
    app.action(re.compile(r"choice:\d"))(wrap_listener(teams, on_choice))


def on_toggle(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Opens or closes the menus of an answer, for everybody who sees it."""
    ack()
    channel, thread_ts, ts = message_address(body)
    card_at(services, channel, thread_ts, ts)
    menus_open = action.get("value") == "open"
    _change_card(services, body, client, lambda conversation: conversation.with_menus(ts, menus_open))


def on_menu(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Corrects one value with the chosen option."""
    ack()
    name = action["action_id"].partition(":")[2]
    _correct(services, body, client, f"{name}={action['selected_option']['value']}", menus_open=True)


def on_choice(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Confirms one of two readings."""
    ack()
    _correct(services, body, client, action["value"], menus_open=False)


def _correct(services: Services, body: Body, client: WebClient, correction: str, menus_open: bool) -> None:
    channel, thread_ts, ts = message_address(body)
    user = body["user"]["id"]
    check_asker(services, user, channel)
    card = card_at(services, channel, thread_ts, ts)

    def decide(conversation: Conversation) -> Conversation:
        person = services.users.person(user)
        scopes = services.answer_scopes(person, channel)
        conversation, name = conversation.limited_to(scopes), person.name
        reply = services.adviser.correct(
            [correction], question=card.question, state=conversation.state, scopes=scopes
        )
        changes = (f"{name}: {reply.changes[0]}", *reply.changes[1:]) if reply.changes else ()
        reply = replace(reply, changes=changes, menus_open=menus_open)
        return conversation.with_correction(ts, reply, "workspace" in scopes)

    _change_card(services, body, client, decide)


def _change_card(services: Services, body: Body, client: WebClient, change: Change) -> None:
    """Queues a change of the thread's conversation and updates the answer's message."""
    channel, thread_ts, ts = message_address(body)

    def work(stop: threading.Event) -> None:
        try:
            conversation = change(Conversation.from_json(services.ledger.thread(channel, thread_ts)))
            _redraw(client, channel, ts, conversation.cards[ts].reply)
            services.ledger.save_thread(channel, thread_ts, conversation.to_json())
        except Exception as error:  # the edge: this thread has no caller to tell
            send_error(client, error, channel, body["user"]["id"], thread_ts)

    services.thread_queue.submit((channel, thread_ts), work)


def _redraw(client: WebClient, channel: str, ts: str, reply: Reply) -> None:
    client.chat_update(
        channel=channel, ts=ts, text=verdict_text(reply), blocks=validate_message(verdict_card(reply))
    )
