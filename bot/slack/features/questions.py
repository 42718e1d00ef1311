"""Questions to the bot: mentions, direct messages, replies in its threads, `/should-i-train`, and the verdict card's buttons."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, handle_error, send_ephemeral, wrap_listener
from bot.slack.features import measure
from bot.slack.features.answering import Question, ask, card_at, check_asker, check_question
from bot.slack.feedback_log import record_feedback
from bot.slack.payload import Body, Command, Shortcut, View, message_address, open_direct_channel, team_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.thread_memory import Card
from bot.slack.ui.blocks import section
from bot.slack.ui.escape import REFERENCE, escape, one_line, question_of
from bot.slack.ui.forms import DATASET_KINDS, FormMetadata, FormValues, ask_modal, note_modal, reason_modal
from bot.slack.ui.limits import validate_view
from bot.slack.ui.prompts import PROMPTS
from bot.slack.ui.verdict_card import change_modal, source_modal, why_modal

RETRY_REPLY_S = 1.0
QUESTION_SUBTYPES = (None, "file_share", "thread_broadcast")
SUMMARY = (
    "`/should-i-train` answers a question with a cited verdict, or measures it on your tickets. You "
    "can also mention me."
)


def register(app: App, teams: Teams) -> None:
    """Registers mentions, messages, Stop, `/should-i-train`, the message shortcut, and the verdict card's buttons."""
    app.event("app_mention")(wrap_listener(teams, on_mention))
    app.event("message")(wrap_listener(teams, on_message))
    app.event("agent_session_stopped")(wrap_listener(teams, on_stop))
    app.command("/should-i-train")(wrap_listener(teams, on_should_i_train))
    app.shortcut("ask_about_message")(wrap_listener(teams, on_ask_about_message))
    app.action("why")(wrap_listener(teams, on_why))
    app.action("would_change")(wrap_listener(teams, on_would_change))
    app.action(re.compile(r"cite:\d{1,3}"))(wrap_listener(teams, on_cite))
    app.action(re.compile(r"follow_up:\d{1,2}"))(wrap_listener(teams, on_follow_up))
    app.action("feedback")(wrap_listener(teams, on_feedback))
    app.view("feedback_reason")(wrap_listener(teams, on_feedback_form))
    app.action("home_ask")(wrap_listener(teams, on_home_ask))
    app.view("ask")(wrap_listener(teams, on_ask_form))


def on_mention(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """Answers a mention in its thread, or in a new thread below it."""
    if event.get("bot_id") or not _is_first_delivery(services, event, context):
        return
    _ask(services, client, event, context)


def on_message(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """Answers direct messages, mentions beside a file or added by an edit, and replies in the bot's threads that are not
    meant for another person."""
    if event.get("subtype") == "message_changed":
        edit = edited_mention(event, context.bot_user_id)
        if edit is not None and _is_first_delivery(services, edit, context):
            _ask(services, client, edit, context)
        return
    if event.get("subtype") not in QUESTION_SUBTYPES or event.get("bot_id") or not event.get("user"):
        return
    if event.get("channel_type") == "im" or _mentions(
        event, context
    ):  # Slack sends no app_mention with a file
        if _is_first_delivery(services, event, context):
            _ask(services, client, event, context)
    elif _replies_to_us(event, context):
        if _is_known_thread(services, event):
            _answer_reply(services, event, client, context)
        else:  # the mention that opens the thread may still be in another listener
            retry = partial(_retry_reply, services, event, client, context)
            later = threading.Timer(RETRY_REPLY_S, retry)
            later.daemon = True
            later.start()


def edited_mention(event: dict[str, Any], bot_user: str) -> dict[str, Any] | None:
    """The edited message, if the edit added a mention of the bot; else None."""
    message, before = event.get("message") or {}, event.get("previous_message") or {}
    mention = f"<@{bot_user}"
    if message.get("bot_id") or not message.get("user") or "edited" not in message:
        return None
    if mention not in str(message.get("text")) or mention in str(before.get("text")):
        return None
    return {**message, "channel": event["channel"], "channel_type": event.get("channel_type")}


def on_stop(services: Services, event: dict[str, Any]) -> None:
    """Stops the running answer of the thread, after Slack's Stop button."""
    channel = event.get("channel") or event.get("channel_id")
    services.thread_queue.stop((channel, event.get("thread_ts")))


def on_anything() -> None:
    """Acknowledges an event that needs no work."""


def _ask(
    services: Services, client: WebClient, event: dict[str, Any], context: Any, without_mention: bool = False
) -> None:
    text = question_of(event.get("text", ""), context.bot_user_id)
    thread_ts = event.get("thread_ts") or event["ts"]
    if files := ticket_files(event):
        hint = f"To train on *{escape(files[0])}*, use *Add file as dataset* on that message."
        send_ephemeral(client, hint, event["channel"], event["user"], event.get("thread_ts"), mark="📎")
        if not text:
            return
    ask(
        services,
        client,
        Question(
            text,
            event["user"],
            str(
                event.get("user_team") or context.team_id
            ),  # a stream to a stranger needs the stranger's team
            event["channel"],
            thread_ts,
            without_mention,
            event["ts"],
        ),
    )


def ticket_files(message: dict[str, Any]) -> list[str]:
    """The names of a message's files that may hold tickets."""
    names = [one_line(str(file.get("name") or ""), 80) for file in message.get("files") or []]
    return [name for name in names if name.rpartition(".")[2].lower() in DATASET_KINDS]


def _is_first_delivery(services: Services, event: dict[str, Any], context: Any) -> bool:
    """Whether this message is delivered for the first time, under any event type."""
    return services.ledger.first_time(f"message:{context.team_id}:{event['channel']}:{event['ts']}")


def _retry_reply(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    try:
        if _is_known_thread(services, event):
            _answer_reply(services, event, client, context)
    except Exception as error:  # the edge: this thread has no caller to tell
        handle_error(error, {"event": event}, client)


def _answer_reply(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    if _is_first_delivery(services, event, context):
        _ask(services, client, event, context, without_mention=not _mentions(event, context))


def _replies_to_us(event: dict[str, Any], context: Any) -> bool:
    """Whether the message is a thread reply that mentions nobody else."""
    thread_ts = event.get("thread_ts")
    if not thread_ts or thread_ts == event["ts"]:
        return False
    others = [m[2] for m in REFERENCE.finditer(event.get("text", "")) if m[1] == "@"]
    return not others or context.bot_user_id in others


def _is_known_thread(services: Services, event: dict[str, Any]) -> bool:
    """Whether the bot has answered in this thread, or is answering."""
    key = event["channel"], event["thread_ts"]
    return services.thread_queue.is_busy(key) or services.ledger.thread(*key) is not None


def _mentions(event: dict[str, Any], context: Any) -> bool:
    return f"<@{context.bot_user_id}" in event.get("text", "")


def on_feedback_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    metadata, reason = (
        FormMetadata.parse(view["private_metadata"]),
        FormValues.of(view).values.get("reason", ""),
    )
    if not reason.strip():
        return
    card = card_at(services, metadata.channel, str(metadata.thread_ts), metadata.about)
    record_feedback(
        services.home, services.clock(), body["user"]["id"], metadata.about, False, card, reason[:1000]
    )


def on_ask_about_message(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """Answers the message of a shortcut in its thread."""
    ack()
    message, channel = shortcut["message"], shortcut["channel"]["id"]
    thread_ts = message.get("thread_ts") or message["ts"]
    place = (shortcut["user"]["id"], team_of(shortcut), channel, thread_ts)
    ask(services, client, Question(question_of(message.get("text", "")), *place))


def open_reason(
    client: WebClient, trigger_id: str, callback_id: str, title: str, label: str, metadata: FormMetadata
) -> None:
    view = reason_modal(callback_id, title, label, metadata, optional=callback_id == "feedback_reason")
    client.views_open(trigger_id=trigger_id, view=validate_view(view))


def on_why(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    view = why_modal(_card_of(services, body).reply)
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_would_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    view = change_modal(_card_of(services, body).reply)
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_cite(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Shows the passage behind a citation."""
    ack()
    number = int(action["action_id"].partition(":")[2])
    for citation in _card_of(services, body).reply.citations:
        if citation.number == number:
            client.views_open(trigger_id=body["trigger_id"], view=validate_view(source_modal(citation)))
            return
    raise BotError("This answer has no such source. Ask again in the thread and use the new card.")


def on_follow_up(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Posts the pressed option as a reply under the person's name and answers it; only the first press counts."""
    ack()
    channel, thread_ts, ts = message_address(body)
    card = card_at(services, channel, thread_ts, ts)
    follow_up = card.reply.follow_up
    number = int(action["action_id"].partition(":")[2])
    if follow_up is None or number >= len(follow_up.options):
        raise BotError("This question is over. Write your answer in the thread.")
    if not services.ledger.first_time(f"follow_up:{channel}:{ts}"):
        raise BotError("Someone has answered this already. Write in the thread to change it.")
    person, text = services.users.person(body["user"]["id"]), follow_up.options[number]
    line = f"🙋 *{escape(person.name)}*: {escape(one_line(text, 500))}"
    client.chat_postMessage(channel=channel, thread_ts=thread_ts, text=line)
    ask(services, client, Question(text, person.id, team_of(body), channel, thread_ts))


def on_feedback(services: Services, ack: Ack, body: Body, action: Body, client: WebClient) -> None:
    """Stores the thumb at once; a thumb down opens an optional form for the reason."""
    ack()
    channel, thread_ts, ts = message_address(body)
    good = action.get("value") == "good"
    record_feedback(
        services.home,
        services.clock(),
        body["user"]["id"],
        ts,
        good,
        card_at(services, channel, thread_ts, ts),
    )
    if not good:
        metadata = FormMetadata(channel, thread_ts, ts)
        label = "What was wrong or missing?"
        open_reason(client, body["trigger_id"], "feedback_reason", "Thank you", label, metadata)


def _card_of(services: Services, body: Body) -> Card:
    return card_at(services, *message_address(body))


ASKED_TEXT = "I am answering in our direct messages: open *Messages* beside *Home*. It takes some seconds."
HELP = (
    "*Should we train a model?* Tell me what the model shall do and what goes wrong today, with numbers where "
    "you have them:\n• `/should-i-train our help center changes every week, should we fine-tune on it?`\n"
    "• `/should-i-train route 40,000 tickets a month to 8 queues; 6,000 are labelled`\n"
    "Or mention me, write to me directly, or use *Ask Trainwise about this* on a message. `/finetune` trains, "
    "`/datasets` shows the tickets, `/jobs` what runs."
)


def on_should_i_train(
    services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond
) -> None:
    """Posts the question under the asker's name and answers it in its thread; also handles `measure` and help."""
    words = question_of(command.get("text", ""))
    if measure.is_measure_command(services, words, command["channel_id"]):
        measure.on_command(services, ack, command, client, respond)
        return
    ack()
    if not words:
        respond(text=HELP, blocks=[section(HELP)], response_type="ephemeral")
        return
    check_asker(services, command["user_id"], command["channel_id"])
    place = (command["user_id"], command["team_id"], command["channel_id"])
    ask_in_channel(services, client, check_question(words), *place)


def ask_in_channel(
    services: Services, client: WebClient, text: str, user: str, team: str, channel: str
) -> None:
    """Posts a checked question under the asker's name and queues its answer in the thread."""
    person = services.users.person(user)
    line = f"🙋 *{escape(person.name)}* asks: {escape(one_line(text, 3000))}"
    message = client.chat_postMessage(channel=channel, text=line, unfurl_links=False, unfurl_media=False)
    ask(services, client, Question(text, user, team, channel, str(message["ts"])))


def on_home_ask(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles home's button: opens the form for a question, with examples."""
    ack()
    channel = open_direct_channel(client, body)
    check_asker(services, body["user"]["id"], channel)
    view = validate_view(ask_modal(FormMetadata(channel), PROMPTS))
    client.views_open(trigger_id=body["trigger_id"], view=view)


def on_ask_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """Posts the form's question in the person's direct messages and answers it there."""
    metadata, values = FormMetadata.parse(view["private_metadata"]), FormValues.of(view).values
    number = values.get("example", "")
    offer = PROMPTS[int(number)]["message"] if number.isdecimal() and int(number) < len(PROMPTS) else ""
    try:
        text = check_question(values.get("question", "").strip() or offer)
    except BotError as wrong:
        ack(response_action="errors", errors={"question": str(wrong)[:300]})
        return
    ack(response_action="update", view=validate_view(note_modal("Ask", ASKED_TEXT)))
    with PrivateErrorReport(client, metadata, body):
        check_asker(services, body["user"]["id"], metadata.channel)
        ask_in_channel(services, client, text, body["user"]["id"], team_of(body), metadata.channel)
