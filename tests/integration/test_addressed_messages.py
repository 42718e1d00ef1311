"""The bot answers every message that is addressed to it once, and ignores what people say to each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.playground.state.seed import BOT_USER
from rag.search.embedding import MiniLM
from tests.integration.conftest import MENTION, text_of, until
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
CHANNEL = "#support-ml"
QUESTION = "our help center changes every week, should we fine-tune on the articles?"


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[SlackHarness]:
    with open_slack(tmp_path_factory.mktemp("hearing"), embed) as running:
        yield running


def answers(slack: SlackHarness, channel: str, ts: str) -> list[str]:
    """The bot's finished answers in a thread."""
    thread = slack.person("maya").messages(channel, ts)
    replies = [m for m in thread if m.get("user") == BOT_USER and m.get("streaming_state") != "in_progress"]
    return [text_of(m) for m in replies if "RAG" in text_of(m)]


def is_answered_once(slack: SlackHarness, channel: str, ts: str) -> bool:
    """Whether there is one answer, also after all work is done."""
    until(lambda: answers(slack, channel, ts))
    slack.settle()
    return len(answers(slack, channel, ts)) == 1


def test_a_mention_beside_a_file(slack: SlackHarness) -> None:
    """Slack sends only a `message` event for it."""
    message = slack.person("maya").upload(CHANNEL, "notes.md", b"# notes", f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, CHANNEL, message["ts"])


def test_a_mention_that_an_edit_adds(slack: SlackHarness) -> None:
    """Slack sends an edit and a mention: the bot answers once; another edit gives no second answer."""
    maya = slack.person("maya")
    message = maya.say(CHANNEL, QUESTION)
    slack.settle()
    assert answers(slack, CHANNEL, message["ts"]) == []
    maya.edit(CHANNEL, message["ts"], f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, CHANNEL, message["ts"])
    maya.edit(CHANNEL, message["ts"], f"{MENTION} {QUESTION} Please.")
    slack.settle()
    assert len(answers(slack, CHANNEL, message["ts"])) == 1


def test_a_group_dm(slack: SlackHarness) -> None:
    """A mention in a conversation of several people."""
    channel = slack.workspace.group("maya", "ravi")
    message = slack.person("maya").say(channel, f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, channel, message["ts"])


def test_a_reply_also_sent_to_the_channel(slack: SlackHarness) -> None:
    """A broadcast follow-up in the bot's thread."""
    maya = slack.person("maya")
    message = maya.say(CHANNEL, f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, CHANNEL, message["ts"])
    maya._do(
        "say",
        channel=CHANNEL,
        text="And they must show their sources.",
        thread_ts=message["ts"],
        broadcast=True,
    )
    until(lambda: len(answers(slack, CHANNEL, message["ts"])) == 2)


def test_thanks_of_the_asker_get_a_reaction_and_talk_of_others_gets_nothing(slack: SlackHarness) -> None:
    """A reply that needs no answer gets a reaction when the asker writes it, and nothing when others write it."""
    maya, ravi = slack.person("maya"), slack.person("ravi")
    message = maya.say(CHANNEL, f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, CHANNEL, message["ts"])
    own = maya.say(CHANNEL, "I had noodles for lunch today.", thread_ts=message["ts"])
    until(
        lambda: [
            m for m in maya.messages(CHANNEL, message["ts"]) if m["ts"] == own["ts"] and m.get("reactions")
        ]
    )
    other = ravi.say(CHANNEL, "I had soup, it was cold.", thread_ts=message["ts"])
    aside = ravi.say(CHANNEL, f"@maya {QUESTION}", thread_ts=message["ts"])
    slack.settle()
    quiet = [m for m in maya.messages(CHANNEL, message["ts"]) if m["ts"] in (other["ts"], aside["ts"])]
    assert not any(m.get("reactions") for m in quiet)
    assert len(answers(slack, CHANNEL, message["ts"])) == 1


def test_the_bot_introduces_itself_where_it_is_invited(slack: SlackHarness) -> None:
    """It posts two lines, once."""
    maya = slack.person("maya")
    maya.command("/invite", "@trainwise", "#random")
    message = maya.wait_message("#random", lambda m: "mention me with your question" in text_of(m))
    assert len(message["text"].splitlines()) == 2


def test_stop_is_there_while_the_bot_works_and_not_afterwards(slack: SlackHarness) -> None:
    """The session's status is processing from the question on, and active after the answer."""
    since = slack.calls()
    message = slack.person("maya").say(CHANNEL, f"{MENTION} {QUESTION}")
    assert is_answered_once(slack, CHANNEL, message["ts"])
    calls = [
        c
        for c in slack.workspace.api_log(since)
        if c["params"].get("thread_ts") == message["ts"] or "session_status" in c["params"]
    ]
    states = [c["params"].get("status") or c["params"].get("session_status") for c in calls]
    assert [one for one in states if one] == ["processing", "active"]
