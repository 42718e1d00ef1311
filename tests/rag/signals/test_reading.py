"""Two readers' signals become one reading: whose value stands, what they differ on, and what that decides."""

from __future__ import annotations

import pytest

from rag.advice.decide import decide
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.signals.reading import Conflict, Trust, merge_readings, same_value
from rag.signals.schema import Signals


def verdict_of(signals: Signals) -> str:
    return str(decide(facts_of(signals), load_table())[0])


def signals(**values: object) -> Signals:
    return Signals.model_validate({"topic": "decision", **values})


def test_readers_that_say_the_same_leave_no_doubt() -> None:
    """Equal signals merge into themselves and the readers agree."""
    one = signals(task="reply", gaps=("style",), examples=900, quotes={"examples": "900 replies"})
    reading = merge_readings(one, one, Trust(), verdict_of)
    assert reading.signals == one
    assert reading.conflicts == ()
    assert reading.agree is True


@pytest.mark.parametrize(
    ("reader", "task", "quote"),
    [("first", "reply", "draft"), ("second", "qa", "answer"), ("either", "reply", "draft")],
)
def test_the_trusted_reader_s_value_stands_with_its_quote(reader: str, task: str, quote: str) -> None:
    """Where two readers differ, the stated trust decides, and the quote belongs to the value that stands."""
    first = signals(task="reply", quotes={"task": "draft"})
    second = signals(task="qa", quotes={"task": "answer"})
    reading = merge_readings(first, second, Trust({"task": reader}), verdict_of)  # type: ignore[dict-item]
    assert reading.signals.task == task
    assert reading.signals.quotes == {"task": quote}
    assert [(conflict.signal, conflict.values) for conflict in reading.conflicts] == [
        ("task", ("reply", "qa"))
    ]


def test_either_takes_what_one_reader_leaves_unsaid_from_the_other() -> None:
    """A gap or a count that one reader missed is filled in, and stays a conflict."""
    first = signals(task="reply", gaps=("vague",))
    second = signals(task="reply", gaps=("style",), examples=40)
    reading = merge_readings(first, second, Trust(), verdict_of)
    assert reading.signals.gaps == ("style",)
    assert reading.signals.examples == 40
    assert {conflict.signal for conflict in reading.conflicts} == {"gaps", "examples"}


def test_a_doubt_that_changes_the_verdict_comes_first() -> None:
    """The baseline decides between prompt and fine-tune here; the deadline decides nothing."""
    values = {
        "task": "reply",
        "gaps": ("style",),
        "examples": 3000,
        "eval_n": 300,
        "score": 60.0,
        "target": 90.0,
    }
    first = signals(**values, baseline="not_tried", volatility="static")
    second = signals(**values, baseline="tried_fail", volatility="monthly")
    reading = merge_readings(first, second, Trust(), verdict_of)
    assert reading.agree is False
    assert reading.conflicts[0] == Conflict("baseline", ("not_tried", "tried_fail"), decisive=True)


def test_silence_on_a_signal_that_a_reader_cannot_read_is_no_opinion() -> None:
    """The first reader's value stands without a conflict."""
    trust = Trust(default="second", reads=frozenset({"task"}))
    reading = merge_readings(signals(platform="aws"), signals(), trust, verdict_of)
    assert reading.signals.platform == "aws"
    assert reading.conflicts == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1000, 1040, True),
        (1000, 1100, False),
        (("style", "cost"), ("cost", "style"), True),
        ((), ("vague",), True),
        (None, (), True),
        (True, None, False),
        (None, 0, False),
        ("reply", "reply", True),
    ],
)
def test_values_are_compared_by_what_they_say(one: object, other: object, same: bool) -> None:
    """Numbers within five percent and gaps in any order are the same reading; unsaid is not false."""
    assert same_value(one, other) is same
