"""What people taught becomes data, the fresh tickets never do, and only a better model takes over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bot.slack.retraining import (
    Lesson,
    comparison,
    judged_tickets,
    measured_gain,
    proposal,
    rights,
    shortage,
    to_compare,
    to_learn,
)
from finetune.serving.answers import Answer
from worker.ledger.duty import ABSTAINED, ANSWERED, DutyTicket, Label


def rows_of(
    count: int, state: str = ANSWERED, is_audit: bool = True
) -> tuple[list[DutyTicket], dict[str, list[Label]]]:
    """Tickets that two people agree on, but for the last one."""
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
    """About three in ten are kept for comparing, always the same ones; the others bear no date."""
    tickets, labels = rows_of(300)
    rows = judged_tickets(tickets, labels)
    assert len(rows) == 299
    fresh = {one.key for one in rows if one.is_fresh}
    assert 60 < len(fresh) < 120
    data = to_learn(rows)
    assert len(data) + len(fresh) == 299
    assert not {row.id.removeprefix("duty-") for row in data} & fresh
    assert {row.created_at for row in data} == {None}, "the newest rows of a dated dataset are its test rows"
    assert (rows[0].person, rows[0].at) == ("U1", 5.0)


@pytest.mark.parametrize(
    ("state", "is_audit", "serves"),
    [(ANSWERED, True, True), (ABSTAINED, False, True), (ANSWERED, False, False)],
)
def test_only_tickets_that_nobody_picked_are_compared_on(state: str, is_audit: bool, serves: bool) -> None:
    """Fresh ones that were drawn or abstained on; a fresh answer that somebody chose to correct neither teaches nor compares."""
    rows = judged_tickets(*rows_of(300, state, is_audit))
    fresh = [one for one in rows if one.is_fresh]
    assert to_compare(rows) == (fresh if serves else [])
    assert len(to_learn(rows)) + len(fresh) == 299
    assert (measured_gain(OneQueue(), rows) is not None) == serves


def test_a_model_that_names_no_queue_is_not_right() -> None:
    """A ticket that a model has no ranking for counts as a mistake."""
    silent: Any = SimpleNamespace(answer=lambda text: Answer(None, 0.0, (), "no words"))
    assert rights(silent, [Lesson("C1:1", "?", "network", "U1", 1.0)]).tolist() == [False]


class OneQueue:
    """A model that says `billing` to everything and has learned from nothing that resembles these tickets."""

    classes = ("billing", "login")

    def score(self, text: str) -> tuple[np.ndarray, np.ndarray, int]:
        return np.array([0.9, 0.1]), np.array([1.0, 0.0]), 1

    def nearness(self, vector: np.ndarray) -> float:
        return 0.2


def test_a_proposal_tells_gain_cost_and_time_and_only_where_there_is_a_gain() -> None:
    """What was taught is worth a hundred points on the fresh tickets; with nothing to gain there is no proposal."""
    rows = judged_tickets(*rows_of(150))
    job: Any = SimpleNamespace(report={"time": {"wall_s": 240}, "cost": {"usd": 0.03}})
    measurement = measured_gain(OneQueue(), rows)
    assert measurement is not None
    text = proposal(*measurement, 100, job)
    assert "+100.0 points" in text
    assert "4 min" in text
    assert "3 cents" in text
    assert measured_gain(OneQueue(), rows[:60]) is None, "too few fresh ones"
    nothing = measured_gain(
        OneQueue(), [Lesson(one.key, one.text, "billing", "U1", 1.0, is_drawn=True) for one in rows]
    )
    assert nothing is not None
    assert proposal(*nothing, 100, job) == ""


def test_only_a_model_that_is_shown_to_be_better_takes_over() -> None:
    """The interval of its gain on the same tickets has to be above 0; a gain that chance may give names what would settle it."""
    old, new = np.array([True] * 15 + [False] * 15), np.array([True] * 27 + [False] * 3)
    is_better, figures = comparison(old, new)
    assert is_better
    assert "90% right against 50% on 30 fresh tickets (+40.0 points" in figures
    assert not comparison(old, old)[0]
    assert not comparison(new, old)[0]
    slight = np.array([True] * 17 + [False] * 13)
    is_better, figures = comparison(old, slight)
    assert not is_better, "+6.7 points on 30 tickets is within chance"
    assert "fresh tickets would settle such a gain" in figures
    assert "there are 12, so 18 are missing" in shortage(12)
