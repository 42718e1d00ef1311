"""What people write and open: mentions, direct messages, replies in known threads, the home tab, Stop."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from slack_bolt import App
from slack_sdk import WebClient

from bot.slack.failures import SLACK_TROUBLE, guarded, handle_error, whisper
from bot.slack.features.answering import Question, ask
from bot.slack.features.home import home_view
from bot.slack.services import Services
from bot.slack.ui.escape import REFERENCE, escape, one_line, question_of
from bot.slack.ui.forms import DATASET_KINDS
from bot.slack.ui.limits import checked_view

LOOK_AGAIN_S = 1.0
SPOKEN = (None, "file_share", "thread_broadcast")
PROMPTS = [
    {
        "title": "Fine-tune on our articles?",
        "message": "Our help center changes every week, should we fine-tune on the articles?",
    },
    {
        "title": "Route tickets to queues",
        "message": "We route 40,000 tickets a month to 8 queues and have 6,000 labelled ones. What should we train?",
    },
    {
        "title": "Make replies sound like us",
        "message": "The answers are right but do not sound like us. We have 900 approved replies. Fine-tune?",
    },
    {
        "title": "Our own foundation model",
        "message": "Should we pre-train our own model for customer support?",
    },
]


def register(app: App, services: Services) -> None:
    """Every event of the manifest has a listener, and so has every event that is none of our business:
    Slack redelivers what nobody acknowledges."""
    app.event("app_mention")(guarded(services, on_mention))
    app.event("message")(guarded(services, on_message))
    app.event("app_home_opened")(guarded(services, on_home))
    app.event("agent_session_stopped")(guarded(services, on_stop))
    app.event("app_context_changed")(on_anything)


def on_mention(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """A mention is a question, in the thread it was made in or in a new one under it."""
    if event.get("bot_id") or not _fresh(services, event, context):
        return
    _ask(services, client, event, context)


def on_message(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """A direct message is a question; so is a reply in a thread that the bot answers in, unless it is
    meant for someone else."""
    if event.get("subtype") not in SPOKEN or event.get("bot_id") or not event.get("user"):
        return
    if event.get("channel_type") == "im":
        if _fresh(services, event, context):
            _ask(services, client, event, context)
    elif _replies_to_us(event, context):
        if _knows(services, event):
            _take_reply(services, event, client, context)
        else:  # the mention that opens the thread may be a moment behind, in another thread of ours
            look = partial(_look_again, services, event, client, context)
            later = threading.Timer(LOOK_AGAIN_S, look)
            later.daemon = True
            later.start()


def on_home(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """The home tab shows jobs and health; the messages tab gets questions to start from."""
    if event.get("tab") == "messages":
        try:
            client.assistant_threads_setSuggestedPrompts(channel_id=event["channel"], prompts=PROMPTS)
        except SLACK_TROUBLE:  # older workspaces have no agent view; the tab works without prompts
            return
        return
    person = services.people.person(event["user"])
    client.views_publish(
        user_id=person.id, view=checked_view(home_view(services, person, str(context.team_id)))
    )


def on_stop(services: Services, event: dict[str, Any]) -> None:
    """The native Stop button ends the answer that is being made in the thread."""
    channel = event.get("channel") or event.get("channel_id")
    services.turns.stop((channel, event.get("thread_ts")))


def on_anything() -> None:
    """Acknowledged, nothing else to do."""


def _ask(
    services: Services, client: WebClient, event: dict[str, Any], context: Any, unasked: bool = False
) -> None:
    text = question_of(event.get("text", ""), context.bot_user_id)
    thread_ts = event.get("thread_ts") or event["ts"]
    if files := ticket_files(event):
        hint = f"To train on *{escape(files[0])}*, use *Add file as dataset* on that message."
        whisper(client, hint, event["channel"], event["user"], event.get("thread_ts"), mark="📎")
        if not text:
            return
    ask(
        services,
        client,
        Question(
            text, event["user"], str(context.team_id), event["channel"], thread_ts, unasked, event["ts"]
        ),
    )


def ticket_files(message: dict[str, Any]) -> list[str]:
    """The names of a message's files that may hold tickets."""
    names = [one_line(str(file.get("name") or ""), 80) for file in message.get("files") or []]
    return [name for name in names if name.rpartition(".")[2].lower() in DATASET_KINDS]


def _fresh(services: Services, event: dict[str, Any], context: Any) -> bool:
    """True once per message, however often and as whichever event Slack delivers it."""
    return services.ledger.first_time(f"message:{context.team_id}:{event['channel']}:{event['ts']}")


def _look_again(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    try:
        if _knows(services, event):
            _take_reply(services, event, client, context)
    except Exception as error:  # the edge: this thread has no caller to tell
        handle_error(error, {"event": event}, client)


def _take_reply(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    if _fresh(services, event, context):
        _ask(services, client, event, context, unasked=not _mentions(event, context))


def _replies_to_us(event: dict[str, Any], context: Any) -> bool:
    """A reply in a thread that is not meant for someone else."""
    thread_ts = event.get("thread_ts")
    if not thread_ts or thread_ts == event["ts"]:
        return False
    others = [m[2] for m in REFERENCE.finditer(event.get("text", "")) if m[1] == "@"]
    return not others or context.bot_user_id in others


def _knows(services: Services, event: dict[str, Any]) -> bool:
    """Whether the bot answers in this thread, or is about to."""
    key = event["channel"], event["thread_ts"]
    return services.turns.holds(key) or services.ledger.thread(*key) is not None


def _mentions(event: dict[str, Any], context: Any) -> bool:
    return f"<@{context.bot_user_id}" in event.get("text", "")
