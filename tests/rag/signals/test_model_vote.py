"""A language model's reading beside the embedded one: it settles conflicts, adds what decides nothing, takes nothing away."""

from __future__ import annotations

from rag.advice.decide import decide
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.signals.model_vote import with_model_vote
from rag.signals.reading import Conflict, Reading
from rag.signals.schema import Signals


def verdict_of(signals: Signals) -> str:
    return str(decide(facts_of(signals), load_table())[0])


def signals(**values: object) -> Signals:
    return Signals.model_validate({"topic": "decision", **values})


REPLIES = {
    "task": "reply",
    "gaps": ("style",),
    "examples": 3000,
    "eval_n": 300,
    "score": 60.0,
    "target": 90.0,
}


def test_what_the_model_leaves_out_stays() -> None:
    """A model that read nothing but the task costs no signal of the embedded reading, and makes no conflict."""
    embedded = signals(**REPLIES, volatility="static", baseline="tried_fail")
    reading = with_model_vote(Reading(embedded), signals(task="reply"), verdict_of)
    assert reading.signals == embedded
    assert reading.conflicts == ()


def test_the_model_settles_what_two_readers_doubt() -> None:
    """Two of three: its value stands with its words, and the conflict is gone."""
    embedded = Reading(
        signals(**REPLIES, baseline="not_tried"),
        (Conflict("baseline", ("not_tried", "tried_fail"), True),),
        agree=False,
    )
    model = signals(baseline="tried_fail", quotes={"baseline": "three prompts failed"})
    reading = with_model_vote(embedded, model, verdict_of)
    assert reading.signals.baseline == "tried_fail"
    assert reading.signals.quotes["baseline"] == "three prompts failed"
    assert (reading.conflicts, reading.agree) == ((), True)


def test_what_the_model_alone_would_decide_is_a_doubt() -> None:
    """A baseline of its own against the embedded one: the verdict stays, the person is asked."""
    embedded = signals(**REPLIES, baseline="tried_fail")
    model = signals(baseline="not_tried")
    assert verdict_of(embedded) != verdict_of(embedded.model_copy(update={"baseline": "not_tried"}))
    reading = with_model_vote(Reading(embedded), model, verdict_of)
    assert verdict_of(reading.signals) == verdict_of(embedded)
    assert reading.conflicts == (Conflict("baseline", ("tried_fail", "not_tried"), decisive=True),)
    assert reading.agree is False


def test_what_decides_nothing_is_filled_in() -> None:
    """A platform that only the model read stands, with its words."""
    model = signals(platform="aws", quotes={"platform": "on AWS"})
    reading = with_model_vote(Reading(signals(**REPLIES)), model, verdict_of)
    assert (reading.signals.platform, reading.signals.quotes["platform"]) == ("aws", "on AWS")
    assert reading.conflicts == ()


def test_the_vote_never_changes_the_verdict_where_one_reader_read() -> None:
    """Whatever a model claims beside a single embedded reading, the table decides the same."""
    embedded = signals(**REPLIES, baseline="tried_fail")
    for claim in (
        {"in_training": True},
        {"already_tuned": True},
        {"volatility": "daily", "gaps": ("knowledge",)},
        {"task": "foundation", "gpus": 4000, "pretrain_tokens": 10**13, "budget_usd": 1e8},
        {"topic": "other"},
        {"consent": False, "pii": True},
    ):
        reading = with_model_vote(Reading(embedded), signals(**claim), verdict_of)
        assert verdict_of(reading.signals) == verdict_of(embedded), claim
