"""Corrections become training data, fresh tickets never do, and only a better model is promoted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bot.slack.retraining import (
    JudgedTicket,
    compare_models,
    comparison_tickets,
    correct_flags,
    estimate_gain,
    judged_tickets,
    retrain_proposal,
    shortage_text,
    training_tickets,
)
from finetune.serving.answers import Answer
from worker.ledger.duty import ABSTAINED, ANSWERED, DutyTicket, Label


def rows_of(
    count: int, state: str = ANSWERED, is_audit: bool = True
) -> tuple[list[DutyTicket], dict[str, list[Label]]]:
    """Tickets that two people agree on, except the last one."""
    tickets = [
        DutyTicket("w", f"C1:{n}", str(n), f"ticket {n}", state, 1.0, is_audit=is_audit) for n in range(count)
    ]
    labels = {
        one.key: [Label(one.key, "U1", "network", 5.0), Label(one.key, "U2", "network", 6.0)]
        for one in tickets
    }
    last = tickets[-1].key
    labels[last] = [Label(last, "U1", "network", 5.0), Label(last, "U2", "billing", 6.0)]
    return tickets, labels


def test_fresh_tickets_and_disagreements_never_become_data() -> None:
    """About three in ten tickets are held out, always the same ones; the others have no date."""
    tickets, labels = rows_of(300)
    rows = judged_tickets(tickets, labels)
    assert len(rows) == 299
    fresh = {one.key for one in rows if one.is_fresh}
    assert 60 < len(fresh) < 120
    data = training_tickets(rows)
    assert len(data) + len(fresh) == 299
    assert not {row.id.removeprefix("duty-") for row in data} & fresh
    assert {row.created_at for row in data} == {None}, "the newest rows of a dated dataset are its test rows"
    assert (rows[0].person, rows[0].at) == ("U1", 5.0)


@pytest.mark.parametrize(
    ("state", "is_audit", "serves"),
    [(ANSWERED, True, True), (ABSTAINED, False, True), (ANSWERED, False, False)],
)
def test_only_tickets_that_nobody_picked_are_compared_on(state: str, is_audit: bool, serves: bool) -> None:
    """Fresh tickets that were drawn or abstained on; a fresh ticket that somebody chose to correct is not used."""
    rows = judged_tickets(*rows_of(300, state, is_audit))
    fresh = [one for one in rows if one.is_fresh]
    assert comparison_tickets(rows) == (fresh if serves else [])
    assert len(training_tickets(rows)) + len(fresh) == 299
    assert (estimate_gain(OneQueue(), rows) is not None) == serves


def test_an_answer_without_a_queue_counts_as_wrong() -> None:
    """A ticket without a ranking is a mistake of the model."""
    silent: Any = SimpleNamespace(answer=lambda text: Answer(None, 0.0, (), "no words"))
    assert correct_flags(silent, [JudgedTicket("C1:1", "?", "network", "U1", 1.0)]).tolist() == [False]


class OneQueue:
    """A model that answers `billing` to every ticket and has no training ticket near them."""

    classes = ("billing", "login")

    def score(self, text: str) -> tuple[np.ndarray, np.ndarray, int]:
        return np.array([0.9, 0.1]), np.array([1.0, 0.0]), 1

    def nearness(self, vector: np.ndarray) -> float:
        return 0.2


def test_a_proposal_names_gain_cost_and_time() -> None:
    """The corrections gain a hundred points on the fresh tickets; without a gain there is no proposal."""
    rows = judged_tickets(*rows_of(150))
    job: Any = SimpleNamespace(report={"time": {"wall_s": 240}, "cost": {"usd": 0.03}})
    measurement = estimate_gain(OneQueue(), rows)
    assert measurement is not None
    text = retrain_proposal(*measurement, 100, job)
    assert "+100.0 points" in text
    assert "4 min" in text
    assert "3 cents" in text
    assert estimate_gain(OneQueue(), rows[:60]) is None, "too few fresh ones"
    nothing = estimate_gain(
        OneQueue(), [JudgedTicket(one.key, one.text, "billing", "U1", 1.0, is_drawn=True) for one in rows]
    )
    assert nothing is not None
    assert retrain_proposal(*nothing, 100, job) == ""


def test_only_a_significantly_better_model_is_promoted() -> None:
    """The interval of its gain has to be above 0; for a smaller gain the sentence says how many tickets would decide it."""
    old, new = np.array([True] * 15 + [False] * 15), np.array([True] * 27 + [False] * 3)
    is_better, figures = compare_models(old, new)
    assert is_better
    assert "90% right against 50% on 30 fresh tickets (+40.0 points" in figures
    assert not compare_models(old, old)[0]
    assert not compare_models(new, old)[0]
    slight = np.array([True] * 17 + [False] * 13)
    is_better, figures = compare_models(old, slight)
    assert not is_better, "+6.7 points on 30 tickets is within chance"
    assert "fresh tickets would settle such a gain" in figures
    assert "there are 12, so 18 are missing" in shortage_text(12)
