"""The most probable verdict, and the likeliest reading that leads to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.advice.decide import decide
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.evaluation.messages import EACH, EXCLUSIVE
from rag.signals.likeliest import MAX_READINGS, likeliest_reading
from rag.signals.schema import Signals

TABLE = load_table()
CASE = Signals.model_validate({"topic": "decision"})


def verdict_of(signals: Signals) -> str:
    return str(decide(facts_of(signals), TABLE)[0])


def probabilities(**heads: dict[str, float]) -> dict[str, dict[str, float]]:
    """Every head sure of nothing to tell, but for the given labels; exclusive heads give the rest to their first label."""
    shares = {head: dict.fromkeys(labels, 0.0) for head, labels in {**EXCLUSIVE, **EACH}.items()}
    for head, labels in EXCLUSIVE.items():
        shares[head] |= heads.get(head, {})
        shares[head][labels[0]] += 1 - sum(shares[head].values())
    return shares | {head: shares[head] | heads.get(head, {}) for head in EACH}


def test_a_verdict_that_two_labels_share_outweighs_the_likeliest_label() -> None:
    """Missing facts for one of two tasks together are likelier than the one task that needs no facts."""
    shares = probabilities(task={"classify": 0.4, "qa": 0.3, "search": 0.3})
    signals, share = likeliest_reading(CASE, shares, verdict_of)
    assert (signals.task, verdict_of(signals)) in {("qa", "rag"), ("search", "rag")}
    assert share == pytest.approx(0.6, abs=0.02)


def test_what_no_head_reads_stays_as_it_was_with_its_words() -> None:
    """Numbers, their quotes, and the words behind a label that still holds; those behind another label go."""
    before = Signals.model_validate(
        {
            "topic": "decision", "task": "reply", "baseline": "tried_ok", "examples": 900,
            "quotes": {"task": "draft replies", "baseline": "works", "examples": "900 replies"},
        }
    )  # fmt: skip
    shares = probabilities(task={"reply": 0.9}, baseline={"tried_fail": 0.95}, gaps={"style": 0.9})
    signals, _ = likeliest_reading(before, shares, verdict_of)
    assert (signals.examples, signals.baseline, signals.gaps) == (900, "tried_fail", ("style",))
    assert signals.quotes == {"task": "draft replies", "examples": "900 replies"}


def test_a_message_about_something_else_has_no_case() -> None:
    """Small talk carries neither task nor gap, whatever those heads make of it."""
    shares = probabilities(topic={"other": 0.9}, task={"reply": 0.9}, gaps={"style": 0.9})
    signals, _ = likeliest_reading(CASE, shares, verdict_of)
    assert (signals.topic, signals.task, signals.gaps) == ("other", None, ())


@given(
    st.fixed_dictionaries({gap: st.floats(0, 1) for gap in EACH["gaps"]}),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=40, deadline=None)
def test_it_asks_the_table_a_bounded_number_of_times(
    gaps: dict[str, float], task: float, flag: float
) -> None:
    """Whatever the probabilities; the share is one, and the reading leads to the verdict it speaks for."""
    verdicts: list[str] = []

    def count(signals: Signals) -> str:
        verdicts.append(verdict_of(signals))
        return verdicts[-1]

    shares = probabilities(task={"extract": task}, gaps=gaps, flags={"changing": flag, "pii": flag})
    signals, share = likeliest_reading(CASE, shares, count)
    assert 1 <= len(verdicts) <= MAX_READINGS
    assert 0 < share <= 1 + 1e-9
    assert verdict_of(signals) in verdicts
