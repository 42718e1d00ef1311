"""What people taught becomes data, the fresh tickets never do, and only a better model takes over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from bot.slack.retraining import comparison, judged_tickets, measured_gain, proposal, to_learn
from worker.ledger.duty import ANSWERED, DutyTicket, Label


def rows_of(count: int) -> tuple[list[DutyTicket], dict[str, list[Label]]]:
    """Tickets that two people agree on, but for the last one."""
    tickets = [DutyTicket("w", f"C1:{n}", str(n), f"ticket {n}", ANSWERED, 1.0) for n in range(count)]
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


class OneQueue:
    """A model that says `billing` to everything and has learned from nothing that resembles these tickets."""

    classes = ("billing", "login")

    def score(self, text: str) -> tuple[np.ndarray, np.ndarray, int]:
        return np.array([0.9, 0.1]), np.array([1.0, 0.0]), 1

    def nearness(self, vector: np.ndarray) -> float:
        return 0.2


def test_a_proposal_tells_gain_cost_and_time_and_only_where_there_is_a_gain() -> None:
    """What was taught is worth a hundred points on the fresh tickets; with nothing to gain there is no proposal."""
    rows = judged_tickets(*rows_of(60))
    job: Any = SimpleNamespace(report={"time": {"wall_s": 240}, "cost": {"usd": 0.03}})
    measurement = measured_gain(OneQueue(), rows)
    assert measurement is not None
    text = proposal(*measurement, 40, job)
    assert "+100.0 points" in text
    assert "4 min" in text
    assert "3 cents" in text
    assert measured_gain(OneQueue(), rows[:4]) is None
    nothing = measured_gain(
        OneQueue(), [one.__class__(one.key, one.text, "billing", "U1", 1.0) for one in rows]
    )
    assert nothing is not None
    assert proposal(*nothing, 40, job) == ""


def test_only_a_better_model_takes_over() -> None:
    """More right answers on the same fresh tickets, told with their interval."""
    old, new = np.array([True] * 10 + [False] * 10), np.array([True] * 18 + [False] * 2)
    is_better, figures = comparison(old, new)
    assert is_better
    assert "90% right against 50% on 20 fresh tickets (+40.0 points" in figures
    assert not comparison(old, old)[0]
    assert not comparison(new, old)[0]
