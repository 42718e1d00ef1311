"""Every way to get an answer, as a person uses it: mention, DM, command, shortcut, buttons, home."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from bot.playground.state.seed import BOT_USER
from tests.integration.conftest import (
    CHANNEL,
    MENTION,
    answer,
    answers,
    appears,
    private_reply,
    text_of,
    until,
)

pytestmark = pytest.mark.integration
HELP_CENTER = "our help center changes every week, should we fine-tune on the articles?"


def ask(person: Person, question: str = HELP_CENTER) -> dict[str, Any]:
    """A mention in the channel and the bot's answer to it."""
    message = person.say(CHANNEL, f"{MENTION} {question}")
    return answer(person, message["ts"])


def test_the_buttons_of_an_answer_open_its_details(stack: LocalStack, maya: Person) -> None:
    """Why, what would change it, the passage of a source, and the form of a measurement."""
    card = ask(maya)
    assert "RAG" in text_of(card)
    for action_id, part in (
        ("why", "Sources"),
        ("would_change", "decide again"),
        ("cite:1", ">"),
        ("measure", "score on them what is cheap"),
    ):
        maya.click(CHANNEL, card["ts"], action_id)
        view = maya.wait_view()
        assert part in text_of(view), action_id
        maya.close(view)


def test_a_thumb_down_asks_why_and_keeps_the_reason(stack: LocalStack, maya: Person) -> None:
    """The last stored row of the answer has the thumb and the reason."""
    card = ask(maya)
    maya.click(CHANNEL, card["ts"], "feedback", "good")
    maya.click(CHANNEL, card["ts"], "feedback", "bad")
    assert maya.submit(maya.wait_view(), {"reason": "too vague"})["ok"]

    def rest() -> bool:
        rows = [json.loads(row) for row in (stack.home / "feedback.jsonl").read_text().splitlines()]
        mine = [row for row in rows if row["message"] == card["ts"]]
        return [(r["good"], r["reason"]) for r in mine] == [(True, ""), (False, ""), (False, "too vague")]

    until(rest)


def test_a_direct_message_and_its_thread_are_a_conversation(maya: Person) -> None:
    """In the messages tab nobody mentions the bot; prompts to start from are there."""
    maya.open_home("messages")
    question = maya.say("@trainwise", "We have 900 approved replies that sound like us. Fine-tune?")
    assert answer(maya, question["ts"], "@trainwise")
    maya.say("@trainwise", "And our help center changes every week.", thread_ts=question["ts"])
    assert answer(maya, question["ts"], "@trainwise", number=2)


def test_the_messages_tab_offers_questions_to_start_from(stack: LocalStack, maya: Person) -> None:
    """The prompts of the manifest arrive at Slack."""
    since = stack.workspace.state()["calls"]
    maya.open_home("messages")

    def prompts() -> list[Any]:
        calls = stack.workspace.api_log(since)
        return [c for c in calls if c["method"] == "assistant.threads.setSuggestedPrompts"]

    (call,) = until(prompts)
    assert call["response"]["ok"]
    assert len(call["params"]["prompts"]) == 4


def test_the_command_asks_in_the_channel_and_helps_when_it_is_empty(maya: Person) -> None:
    """With text it posts the question and answers in the thread; without text it shows one person what to write."""
    assert "/should-i-train our help center" in private_reply(
        maya, lambda: maya.command("/should-i-train", "  ")
    )
    question = "route 40,000 tickets a month into 8 queues, 6,000 labelled"
    message = appears(maya, lambda: maya.command("/should-i-train", question), "asks:")
    assert question in text_of(message)
    assert answer(maya, message["ts"])


def test_the_shortcut_answers_under_the_message_it_was_used_on(maya: Person, ravi: Person) -> None:
    """Ravi asks about what Maya wrote."""
    text = maya.say(CHANNEL, "Our bot should know our prices, they change daily. Should we train it?")
    ravi.shortcut("ask_about_message", CHANNEL, text["ts"])
    assert answer(maya, text["ts"])


def test_a_pressed_follow_up_is_posted_as_a_reply_once(maya: Person, ravi: Person) -> None:
    """The option is posted under the person's name and answered; a second press is refused."""
    card = ask(maya, "should we train a model?")
    thread = card["thread_ts"]
    maya.click(CHANNEL, card["ts"], "follow_up:0")
    assert answer(maya, thread, number=2)
    text = [text_of(m) for m in maya.messages(CHANNEL, thread) if "🙋" in text_of(m)]
    assert len(text) == 1
    assert "maya" in text[0]
    assert "already" in private_reply(ravi, lambda: ravi.click(CHANNEL, card["ts"], "follow_up:1"))


def test_a_reply_in_a_known_thread_needs_no_mention(maya: Person, ravi: Person) -> None:
    """Anybody may continue the thread; replies to a colleague and threads of others are ignored."""
    card = ask(maya)
    thread = card["thread_ts"]
    ravi.say(CHANNEL, "It is the tone that is wrong, the facts are right.", thread_ts=thread)
    assert answer(ravi, thread, number=2)
    ravi.say(CHANNEL, "<@U0ANA000001> should we fine-tune, what do you think?", thread_ts=thread)
    elsewhere = ravi.say(CHANNEL, "lunch?")
    ravi.say(CHANNEL, "should we fine-tune the pizza?", thread_ts=elsewhere["ts"])
    ravi.say(CHANNEL, f"{MENTION} and if the facts change weekly?", thread_ts=thread)
    assert answer(ravi, thread, number=3)
    assert len(answers(ravi, thread)) == 3
    assert answers(ravi, elsewhere["ts"]) == []


def test_messages_of_one_thread_are_answered_in_order(stack: LocalStack, maya: Person) -> None:
    """The second comes while the first is being answered; both answers stand, in the order of the questions."""
    stack.workspace.fail("chat.startStream", how="slow")
    question = maya.say(CHANNEL, f"{MENTION} {HELP_CENTER}")
    maya.say(CHANNEL, "And should we pre-train our own foundation model?", thread_ts=question["ts"])
    answer(maya, question["ts"], number=2)
    first, second = answers(maya, question["ts"])
    assert "RAG" in text_of(first).splitlines()[0]
    assert text_of(first).splitlines()[0] != text_of(second).splitlines()[0]


def test_an_event_delivered_three_times_is_answered_once(stack: LocalStack, maya: Person) -> None:
    """Slack redelivers an event as mention and as message."""
    question = maya.say(CHANNEL, f"{MENTION} {HELP_CENTER}")
    answer(maya, question["ts"])
    mine = [e["event_id"] for e in stack.workspace.state()["events"][-6:]]
    count = len(stack.workspace.state()["delivered"])
    for event_id in mine:
        for _ in range(3):
            stack.workspace.redeliver(event_id)
    until(lambda: stack.workspace.state()["waiting"] == 0)
    assert len(stack.workspace.state()["delivered"]) >= count + 3
    follow = maya.say(CHANNEL, "And if it changes daily?", thread_ts=question["ts"])
    answer(maya, question["ts"], number=2)
    assert len(answers(maya, question["ts"])) == 2
    assert follow["ts"] < answers(maya, question["ts"])[1]["ts"]


def test_a_disconnect_of_one_socket_loses_nothing(stack: LocalStack, maya: Person) -> None:
    """The other socket receives the events, each once."""
    until(lambda: stack.workspace.state()["sockets"] == 2)
    stack.workspace.disconnect("none", close=True, most=1)
    count = len(stack.workspace.state()["delivered"])
    question = maya.say(CHANNEL, f"{MENTION} {HELP_CENTER}")
    assert answer(maya, question["ts"])
    deliveries = stack.workspace.state()["delivered"][count:]
    assert not any(one.get("retry_attempt") for one in deliveries)
    until(lambda: stack.workspace.state()["sockets"] == 2)


def test_stop_ends_the_answer_that_is_being_made(stack: LocalStack, maya: Person) -> None:
    """The button is pressed while Slack is slow; the thread shows the stop and takes the next question."""
    stack.workspace.fail("chat.startStream", how="slow")
    question = maya.say(CHANNEL, f"{MENTION} {HELP_CENTER}")
    until(lambda: maya.sees_stop(CHANNEL, question["ts"]))
    maya.stop_agent(CHANNEL, question["ts"])
    until(lambda: any("Stopped." in text_of(m) for m in maya.messages(CHANNEL, question["ts"])))
    assert not maya.sees_stop(CHANNEL, question["ts"])
    assert answers(maya, question["ts"]) == []
    maya.say(CHANNEL, f"{MENTION} {HELP_CENTER}", thread_ts=question["ts"])
    assert answer(maya, question["ts"])


def test_a_file_of_tickets_gets_a_hint_how_to_train_on_it(maya: Person) -> None:
    """Sent to the bot, alone or with a question; the question is answered as well."""
    table = b"text,label\nmy invoice is wrong,billing\n"
    alone = private_reply(maya, lambda: maya.upload("@trainwise", "tickets.csv", table), "@trainwise")
    assert "tickets.csv" in alone
    assert "Add file as dataset" in alone
    message = maya.upload(CHANNEL, "more.csv", table, f"{MENTION} {HELP_CENTER}")
    assert answer(maya, message["ts"])


def test_home_shows_jobs_data_and_health(maya: Person) -> None:
    """Published on opening, and refreshed by its button."""
    home = maya.wait_home(lambda view: "Queue" in text_of(view))
    assert "sample-tickets" in text_of(home)
    assert "Index" in text_of(home)
    maya.use(home, "home_refresh")
    assert maya.wait_home(lambda view: "Queue" in text_of(view))


def test_a_bot_that_is_not_in_the_channel_says_how_to_invite_it(maya: Person) -> None:
    """The command's own answer reaches the person where the bot cannot post."""
    text = private_reply(maya, lambda: maya.command("/should-i-train", HELP_CENTER, "#random"), "#random")
    assert "/invite" in text
    assert BOT_USER not in text
