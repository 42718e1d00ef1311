"""What people write and open: mentions, direct messages, replies in known threads, the home tab, Stop."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from bot.errors import BotError
from bot.slack.failures import PrivateFailure, guard, handle_error, whisper
from bot.slack.features import measure
from bot.slack.features.answering import Question, ask, card_at, check_asker, check_question
from bot.slack.feedback_log import keep_feedback
from bot.slack.payload import Body, Command, Shortcut, View, _direct_channel, message_place, team_of
from bot.slack.services import Services
from bot.slack.teams import Teams
from bot.slack.thread_memory import Card
from bot.slack.ui.blocks import section
from bot.slack.ui.escape import REFERENCE, escape, one_line, question_of
from bot.slack.ui.forms import DATASET_KINDS, FormValues, Memory, ask_modal, note_modal, reason_modal
from bot.slack.ui.limits import validate_view
from bot.slack.ui.prompts import PROMPTS
from bot.slack.ui.verdict_card import change_modal, source_modal, why_modal

LOOK_AGAIN_S = 1.0
SPOKEN = (None, "file_share", "thread_broadcast")
SUMMARY = (
    "`/should-i-train` answers a question with a cited verdict, or measures it on your tickets. You "
    "can also mention me."
)


def register(app: App, teams: Teams) -> None:
    """Mentions, messages, Stop, `/should-i-train`, the shortcut on a message, the buttons of the verdict's card."""
    app.event("app_mention")(guard(teams, on_mention))
    app.event("message")(guard(teams, on_message))
    app.event("agent_session_stopped")(guard(teams, on_stop))
    app.command("/should-i-train")(guard(teams, on_should_i_train))
    app.shortcut("ask_about_message")(guard(teams, on_ask_about_message))
    app.action("why")(guard(teams, on_why))
    app.action("would_change")(guard(teams, on_change))
    app.action(re.compile(r"cite:\d{1,3}"))(guard(teams, on_cite))
    app.action(re.compile(r"follow_up:\d{1,2}"))(guard(teams, on_follow_up))
    app.action("feedback")(guard(teams, on_feedback))
    app.view("feedback_reason")(guard(teams, on_feedback_form))
    app.action("home_ask")(guard(teams, on_home_ask))
    app.view("ask")(guard(teams, on_ask_form))


def on_mention(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """A mention is a question, in the thread it was made in or in a new one under it."""
    if event.get("bot_id") or not _fresh(services, event, context):
        return
    _ask(services, client, event, context)


def on_message(services: Services, event: dict[str, Any], client: WebClient, context: Any) -> None:
    """A direct message is a question; so is what mentions the bot (also beside a file, or by an edit), and a reply in
    a thread that the bot answers in, unless it is meant for someone else."""
    if event.get("subtype") == "message_changed":
        edit = mention_by_edit(event, context.bot_user_id)
        if edit is not None and _fresh(services, edit, context):
            _ask(services, client, edit, context)
        return
    if event.get("subtype") not in SPOKEN or event.get("bot_id") or not event.get("user"):
        return
    if event.get("channel_type") == "im" or _mentions(
        event, context
    ):  # Slack sends no app_mention with a file
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


def mention_by_edit(event: dict[str, Any], bot_user: str) -> dict[str, Any] | None:
    """The message of an edit that put the bot's name into it; None where it stood there before, or still does not."""
    message, before = event.get("message") or {}, event.get("previous_message") or {}
    mention = f"<@{bot_user}"
    if message.get("bot_id") or not message.get("user") or "edited" not in message:
        return None
    if mention not in str(message.get("text")) or mention in str(before.get("text")):
        return None
    return {**message, "channel": event["channel"], "channel_type": event.get("channel_type")}


def on_stop(services: Services, event: dict[str, Any]) -> None:
    """The native Stop button ends the answer that is being made in the thread."""
    channel = event.get("channel") or event.get("channel_id")
    services.thread_queue.stop((channel, event.get("thread_ts")))


def on_anything() -> None:
    """Acknowledged, nothing else to do."""


def _ask(
    services: Services, client: WebClient, event: dict[str, Any], context: Any, without_mention: bool = False
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
            text,
            event["user"],
            str(event.get("user_team") or context.team_id),  # a stranger's stream wants the stranger's team
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
        _ask(services, client, event, context, without_mention=not _mentions(event, context))


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
    return services.thread_queue.holds(key) or services.ledger.thread(*key) is not None


def _mentions(event: dict[str, Any], context: Any) -> bool:
    return f"<@{context.bot_user_id}" in event.get("text", "")


def on_feedback_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    ack()
    memory, reason = Memory.parse(view["private_metadata"]), FormValues.of(view).values.get("reason", "")
    if not reason.strip():
        return
    card = card_at(services, memory.channel, str(memory.thread_ts), memory.about)
    keep_feedback(
        services.home, services.clock(), body["user"]["id"], memory.about, False, card, reason[:1000]
    )


def on_ask_about_message(services: Services, ack: Ack, shortcut: Shortcut, client: WebClient) -> None:
    """The message is the question; the answer stands in its thread."""
    ack()
    message, channel = shortcut["message"], shortcut["channel"]["id"]
    thread_ts = message.get("thread_ts") or message["ts"]
    place = (shortcut["user"]["id"], team_of(shortcut), channel, thread_ts)
    ask(services, client, Question(question_of(message.get("text", "")), *place))


def open_reason(
    client: WebClient, trigger_id: str, callback_id: str, title: str, label: str, memory: Memory
) -> None:
    view = reason_modal(callback_id, title, label, memory, optional=callback_id == "feedback_reason")
    client.views_open(trigger_id=trigger_id, view=validate_view(view))


def on_why(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    view = why_modal(_card_of(services, body).reply)
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_change(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
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
    """A pressed option is a reply in the thread, under the presser's name; the first press counts."""
    ack()
    channel, thread_ts, ts = message_place(body)
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
    """Keeps the thumb at once; a thumb down asks why, and may be left unanswered."""
    ack()
    channel, thread_ts, ts = message_place(body)
    good = action.get("value") == "good"
    keep_feedback(
        services.home,
        services.clock(),
        body["user"]["id"],
        ts,
        good,
        card_at(services, channel, thread_ts, ts),
    )
    if not good:
        memory = Memory(channel, thread_ts, ts)
        label = "What was wrong or missing?"
        open_reason(client, body["trigger_id"], "feedback_reason", "Thank you", label, memory)


def _card_of(services: Services, body: Body) -> Card:
    return card_at(services, *message_place(body))


ASKED = "I am answering in our direct messages: open *Messages* beside *Home*. It takes some seconds."
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
    """Puts the question in the channel under the asker's name and answers it in its thread; or measures; or helps."""
    words = question_of(command.get("text", ""))
    if measure.is_order(services, words, command["channel_id"]):
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
    """Puts a checked question under the asker's name; its answer stands in the thread."""
    person = services.users.person(user)
    line = f"🙋 *{escape(person.name)}* asks: {escape(one_line(text, 3000))}"
    message = client.chat_postMessage(channel=channel, text=line, unfurl_links=False, unfurl_media=False)
    ask(services, client, Question(text, user, team, channel, str(message["ts"])))


def on_home_ask(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The button in home: a form for the question, with some to try."""
    ack()
    channel = _direct_channel(client, body)
    check_asker(services, body["user"]["id"], channel)
    view = validate_view(ask_modal(Memory(channel), PROMPTS))
    client.views_open(trigger_id=body["trigger_id"], view=view)


def on_ask_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    """The question goes to the person's own conversation with the bot, where the answer stands in its thread."""
    memory, values = Memory.parse(view["private_metadata"]), FormValues.of(view).values
    number = values.get("example", "")
    offer = PROMPTS[int(number)]["message"] if number.isdecimal() and int(number) < len(PROMPTS) else ""
    try:
        text = check_question(values.get("question", "").strip() or offer)
    except BotError as wrong:
        ack(response_action="errors", errors={"question": str(wrong)[:300]})
        return
    ack(response_action="update", view=validate_view(note_modal("Ask", ASKED)))
    with PrivateFailure(client, memory, body):
        check_asker(services, body["user"]["id"], memory.channel)
        ask_in_channel(services, client, text, body["user"]["id"], team_of(body), memory.channel)
