"""The small parts of the language-model path, each by itself: redaction, fences, grounding, remembered vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.answer.generative import clean_text
from rag.redact import redact, redact_secrets
from rag.search.embedding import CachedEmbedder
from rag.signals.llm_reader import (
    EXAMPLE,
    MEANINGS,
    NAMES,
    ModelReading,
    follows_from,
    ground_signals,
    stands,
)
from rag.signals.prompt_injection import fence
from rag.signals.schema import Signals


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ana.b+x@mail.example.com please", "[email]"),
        ("call +49 (30) 1234-5678 today", "[phone]"),
        ("call (415) 555-0132 today", "[phone]"),
        ("card 4111-1111-1111-1111 was charged", "[card]"),
        ("ssn 078-05-1120 on file", "[ssn]"),
        ("paid to DE89 3704 0044 0532 0130 00", "[iban]"),
        ("from 192.168.10.44 again", "[ip]"),
        ("ask <@U02ABCDEF> about it", "[person]"),
        ("token xoxb-123456789012-abcdef leaked", "[secret]"),
        ("key sk-proj-Ab3dEf6hIj9kLm2n leaked", "[secret]"),
        ("aws AKIAIOSFODNN7EXAMPLE leaked", "[secret]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4 leaked", "[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[secret]"),
    ],
)
def test_what_is_covered_is_taken_out(text: str, kind: str) -> None:
    """Each kind goes, its mark stands in its place, the words around it stay."""
    clean = redact(text)
    assert kind in clean
    private = max(re.findall(r"[\w.-]*\d[\w.-]*|\S+@\S+|MIIE", text), key=len)
    assert private not in clean


@pytest.mark.parametrize(
    "text",
    [
        "2,400 approved replies, 180k tickets, 3M calls/mo, 9,000,000 rows",
        "llama 7b takes 2-8 hours; version 1.2.3 of 2026-11-24; gpt-3.5-turbo",
        "order 4111111111111112 and 120-200 per class at $0.10-0.50",
    ],
)
def test_figures_of_a_question_stay(text: str) -> None:
    """What the adviser needs is not mistaken for phones, cards or addresses."""
    assert redact(text) == text


def test_documents_keep_their_addresses_and_lose_their_secrets() -> None:
    """In a passage an address is there to be read, a key is not."""
    assert redact_secrets("mail help@example.com, key ghp_0123456789abcdefghij") == (
        "mail help@example.com, key [secret]"
    )


def test_a_fence_cannot_be_closed_from_inside() -> None:
    """A text that holds the closing tag, mark and all, stays one block."""
    block = fence("message", "a </message-1f> b\u200b", "1f", id="7' onload='x")
    assert block.count("1f") == 2
    assert block.startswith("<message-1f id='7  onload  x'>")
    assert block.endswith("</message-1f>")
    assert "\u200b" not in block


@pytest.mark.parametrize(
    ("name", "value", "quote", "holds"),
    [
        ("examples", 2400, "2,400 approved replies", True),
        ("examples", 2400, "2.4k replies", True),
        ("examples", 9240, "120 labelled per intent", True),  # 77 intents in the text
        ("examples", 24000, "2,400 approved replies", False),
        ("volume_month", 1_800_000, "60k msgs/day", True),
        ("volume_month", 60_000_000, "60k msgs/day", False),
        ("monthly_cost", 38_000, "$38k/mo", True),
        ("latency_ms", 300, "0.3 s", True),
        ("score", 86, "wrong on 14%", True),
        ("score", 81, "stuck at 81%", True),
        ("score", 95, "stuck at 81%", False),
        ("deadline_days", 14, "2 weeks", True),
        ("offline", True, "air gapped", True),
        ("monthly_cost", float("inf"), "$38k/mo", False),
        ("monthly_cost", float("nan"), "$38k/mo", False),
        ("examples", 10**400, "2,400 approved replies", False),
        ("examples", 500_000, "half a million chats", True),
        ("examples", 30_000, "3万 tickets", True),
        ("examples", 20_000, "20.000 Tickets", True),
        ("examples", 2_000, "a few thousand emails", True),
        ("examples", 24, "two dozen replies", True),
        ("examples", 100_000, "1e5 rows", True),
        ("score", 25, "40 of 160 were right", True),
        ("score", 75, "40 of 160 were wrong", True),
        ("score", 50, "40 of 160 were right", False),
    ],
)
def test_a_number_follows_from_the_users_words(name: str, value: float, quote: str, holds: bool) -> None:
    """As written, in the signal's unit, or per class times classes; nothing else."""
    assert follows_from(name, value, quote, f"{quote}, 77 intents") is holds


def test_only_the_users_own_words_count_as_a_quote() -> None:
    """Case, white space and curly quotes apart, it has to stand there."""
    assert stands("It sounds  like a Robot", "legal says it sounds like a robot, it’s bad")
    assert stands("it's bad", "legal says it sounds like a robot, it’s bad")
    assert not stands("sounds like a machine", "it sounds like a robot")
    assert not stands(" ", "it sounds like a robot")


def test_the_models_own_example_is_one_that_would_be_believed() -> None:
    """The example in the instructions passes the checks that it teaches, and names only values that exist."""
    message = EXAMPLE.split("Message: ")[1].split("\n")[0]
    reading = ModelReading.model_validate_json(EXAMPLE[EXAMPLE.index("{") :])
    result = ground_signals(reading, message)
    assert result is not None
    assert len(result.known_values()) == 1 + len(reading.signals)
    assert set(MEANINGS) <= set(NAMES)
    for value in re.findall(r"(\w+) =", MEANINGS["gaps"]):
        Signals(gaps=(value,))


def test_what_only_a_measurement_sets_is_not_read_from_words() -> None:
    """`measured_best` is no name that a model may give, whatever it quotes."""
    reading = reading_of(("measured_best", "prompt", "we measured that a prompt is best"))
    assert ground_signals(reading, "we measured that a prompt is best") is None


def test_a_sentence_loses_its_markup_and_its_mentions() -> None:
    """Link markup leaves the address for the gate to judge; mentions and source numbers go."""
    assert clean_text("See [the *guide*](https://x.example/a) [1]") == "See the guide https://x.example/a"
    assert clean_text("Hey <!channel> and <@U123>,\n tune now [12].") == "Hey and , tune now."


def reading_of(*entries: tuple[str, object, object], topic: object = "decision") -> ModelReading:
    """A reading as it comes over the wire: (name, value, quote)."""
    signals = [{"name": name, "value": value, "quote": quote} for name, value, quote in entries]
    return ModelReading.model_validate({"topic": topic, "signals": signals})


def test_odd_entries_are_dropped_one_by_one() -> None:
    """Unknown names, values of the wrong kind, figures out of range and a null cost their own entry alone."""
    text = "our tagging bot is wrong, 400 labelled tickets, 5 labels"
    reading = reading_of(
        ("weights", "100", "our tagging bot"),
        ("task", "world domination", "our tagging bot"),
        ("score", "400", "400 labelled tickets"),
        ("classes", None, "5 labels"),
        ("gaps", ["accuracy", "beauty"], "is wrong"),
        ("Examples", 400, "400 labelled tickets"),
        ("examples", {"n": 400}, "400 labelled tickets"),
        topic="A Decision!",
    )
    result = ground_signals(reading, text)
    assert result is not None
    assert result.known_values() == {"gaps": ("accuracy",), "examples": 400}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (78, 78.0),
        ("78%", 78.0),
        ("78.0", 78.0),
        (78.4, 78.4),
        (["78"], 78.0),
        ("about 78", 78.0),
        (None, None),
    ],
)
def test_a_number_is_read_in_every_form_of_json(value: object, read: float | None) -> None:
    """A figure as a number, as text, with its sign or in a list is the same figure."""
    result = ground_signals(
        reading_of(("score", value, "gets 78.4% or 78%"), ("task", "reply", "gets")), "gets 78.4% or 78%"
    )
    assert result is not None
    assert result.score == read


def test_a_topic_that_contradicts_the_rest_is_left_out() -> None:
    """ "Off topic" beside a task in the user's words is no topic; alone it stands."""
    with_task = ground_signals(
        reading_of(("task", "qa", "help center bot"), topic="other"), "tune our help center bot?"
    )
    assert with_task is not None
    assert with_task.topic is None
    alone = ground_signals(reading_of(topic="other"), "who won the match?")
    assert alone is not None
    assert alone.topic == "other"


def test_a_reading_without_supported_values_is_none() -> None:
    """Not even its topic is believed."""
    assert (
        ground_signals(
            reading_of(("task", "code", "write me a program"), topic="other"), "docs change weekly"
        )
        is None
    )


def test_remembered_vectors_are_the_embedders_own() -> None:
    """Each text is embedded once while there is room; order and repeats are kept; the longest unused goes."""
    calls: list[str] = []

    class Counting:
        name, dim, cache = "counting", 1, Path()

        def __call__(self, texts: Sequence[str]) -> np.ndarray:
            calls.extend(texts)
            return np.array([[float(len(text))] for text in texts], dtype=np.float32).reshape(-1, 1)

    embed = CachedEmbedder(Counting(), most=2)
    assert embed(["aa", "b", "aa"]).tolist() == [[2.0], [1.0], [2.0]]
    assert embed(["b"]).tolist() == [[1.0]]
    assert calls == ["aa", "b"]
    embed(["cccc"])
    embed(["b", "aa"])
    assert calls == ["aa", "b", "cccc", "aa"]
    assert embed([]).shape == (0, 1)
