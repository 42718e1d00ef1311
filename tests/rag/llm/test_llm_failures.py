"""Whatever the language model's server does, the embedded answer goes out in time with a sentence why.

Through the real openai client over a real socket to the scripted server of tests/openai_server.py.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from rag.adviser import Adviser
from rag.grounding import squeeze
from rag.index import Index
from rag.llm import FAILURES_BEFORE_REST, ChatClient, LanguageModel
from rag.llm.waiting import STILL
from rag.reply import Verdict
from tests.openai_server import OpenAIServer
from tests.rag.llm_script import (
    BUDGET_S,
    KEY,
    PHRASED,
    WEEKLY,
    adviser,
    draft,
    passages,
    shape_of,
    text_of,
)

pytestmark = pytest.mark.integration
SHORT_S = 2.0  # for servers that never answer


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("429", "no capacity"),
        ("500", "error of its own"),
        ("503", "error of its own"),
        ("wrong_key", "OPENAI_API_KEY"),
        ("no_model", "TRAINWISE_CHAT_MODEL"),
        ("content_filter", "declined"),
        ("filtered", "declined"),
        ("refusal", "declined"),
        ("cut", "cannot be reached"),
        ("malformed", "cannot be used"),
        ("empty", "cannot be used"),
        ("prose", "cannot be used"),
        ("stall", "not answer in time"),
        ("drip", "not answer in time"),
    ],
)
def test_a_failure_gives_the_embedded_answer_in_time(
    guide_index: Index, server: OpenAIServer, behaviour: str, message: str
) -> None:
    """Whatever the server does, verdict and sentences are the embedded ones, with one plain sentence why."""
    server.always(behaviour)
    budget_s = SHORT_S if behaviour in ("stall", "drip") else BUDGET_S
    assistant = adviser(guide_index, server, budget_s)
    began = time.monotonic()
    reply = assistant.ask(WEEKLY)
    assert time.monotonic() - began < budget_s + 60  # a server that hangs would hold us for two minutes
    embedded = Adviser(guide_index, guide_index.embed, {"as_of": "2026-11"}).ask(WEEKLY)
    assert (reply.verdict, reply.why, reply.citations) == (embedded.verdict, embedded.why, embedded.citations)
    assert message in (reply.note or "")
    assert "so this is the embedded answer" in (reply.note or "")
    assert not any(secret in (reply.note or "") for secret in (KEY, KEY[-6:], "Error", "http", "Traceback"))


@pytest.mark.parametrize("behaviour", ["500", "stall", "prose", "filtered"])
def test_a_failure_while_phrasing_keeps_what_was_read(
    guide_index: Index, server: OpenAIServer, behaviour: str
) -> None:
    """The model's signals stay; the sentences are extracted; the note says so."""
    server.behave("ok", "ok")
    server.always(behaviour)
    reply = adviser(guide_index, server, 6.0 if behaviour == "stall" else BUDGET_S).ask(WEEKLY)
    assert "changes every week" in reply.state["signals"]["quotes"]["volatility"]
    assert "for knowledge that changes, retrieval is the right tool" in text_of(reply)
    assert "embedded answer" in (reply.note or "")


def test_the_wrong_key_is_told_without_the_key(guide_index: Index, server: OpenAIServer) -> None:
    """A server that checks keys refuses ours; the reply names the variable and never the value."""
    reply = adviser(guide_index, server, key="sk-old-11112222").ask(WEEKLY)
    assert "OPENAI_API_KEY" in (reply.note or "")
    assert "sk-old" not in str(reply)


def test_nothing_listens(guide_index: Index) -> None:
    """A refused connection is told, at once."""
    with OpenAIServer() as absent:
        pass
    reply = adviser(guide_index, absent).ask(WEEKLY)
    assert reply.verdict is Verdict.RAG
    assert "cannot be reached" in (reply.note or "")


def test_a_passing_failure_is_tried_once_more(guide_index: Index, server: OpenAIServer) -> None:
    """One 429 with Retry-After costs no answer."""
    server.behave("429")
    assert PHRASED in text_of(adviser(guide_index, server).ask(WEEKLY))


def test_a_server_that_is_down_is_left_alone_for_a_while(guide_index: Index, server: OpenAIServer) -> None:
    """After three failures in a row questions are answered at once; later it is asked again."""
    now = [0.0]
    model = LanguageModel(ChatClient("gpt-test", KEY, server.base_url), BUDGET_S, clock=lambda: now[0])
    assistant = Adviser(guide_index, guide_index.embed, {}, chat=model)
    server.always("wrong_key")
    for _ in range(FAILURES_BEFORE_REST + 2):
        assert "OPENAI_API_KEY" in (assistant.ask(WEEKLY).note or "")
    assert len(server.requests) == FAILURES_BEFORE_REST
    server.always("ok")
    now[0] += 31
    assert PHRASED in text_of(assistant.ask(WEEKLY))


def test_stop_is_heard_while_the_model_is_waited_for(guide_index: Index, server: OpenAIServer) -> None:
    """A person who presses Stop does not wait for the budget; what the hook raises comes out unchanged."""

    class Stop(Exception):
        pass

    def on_step(name: str) -> None:
        if name == STILL:
            raise Stop

    server.always("stall")
    began = time.monotonic()
    with pytest.raises(Stop):
        adviser(guide_index, server, BUDGET_S).ask(WEEKLY, on_step=on_step)
    assert time.monotonic() - began < BUDGET_S / 2


def test_an_unhinged_model_breaks_nothing(guide_index: Index, server: OpenAIServer) -> None:
    """Twenty answers of odd names, endless numbers, half characters and wrong shapes: each reply is whole, its quotes real."""
    dice = random.Random(7)
    odd = [
        "",
        "\x00",
        "9" * 400,
        "-5",
        "nan",
        "1e999",
        "null",
        "{}",
        "<!channel>",
        "\ud83d",
        "a" * 5000,
        "knowledge",
    ]

    def chaos(body: dict[str, Any]) -> str:
        if dice.random() < 0.2:
            return json.dumps(dice.choice([None, 3, odd, {"topic": 1}, {"sentences": "x"}]))
        if shape_of(body) == "ModelReading":
            names = ["gaps", "examples", "volatility", "weights", *odd]
            quotes = ["change weekly", "2,400 approved", *odd]
            signals = [
                {"quote": dice.choice(quotes), "name": dice.choice(names), "value": dice.choice(odd)}
            ] * 3
            return json.dumps({"topic": dice.choice(["decision", "guide", "other", "x"]), "seen": signals})
        texts = [text[: dice.randint(1, 300)] for text in passages(body).values()] + odd
        sentences = [
            (dice.choice([*passages(body), *odd]), dice.choice(texts), dice.choice(texts)) for _ in range(9)
        ]
        return draft(*sentences)

    server.answer = chaos
    assistant = adviser(guide_index, server)
    for _ in range(20):
        reply = assistant.ask("our docs change weekly, 2,400 approved replies, tune?")
        assert json.loads(json.dumps(reply.state)) == reply.state
        assert all(squeeze(source.quote) in squeeze(source.passage) for source in reply.citations)
        assert all(claim.cites for claim in reply.why)
