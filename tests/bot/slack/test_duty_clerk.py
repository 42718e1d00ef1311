"""The clerk over a real ledger: a burst is kept up with or told, alarms take a model back, fresh labels set it anew."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from bot.slack.delivery.duty_clerk import DutyClerk
from bot.slack.on_duty import card_of
from bot.slack.ui.duty import card_message
from bot.slack.ui.limits import texts_of
from finetune.evaluation.promise import Threshold
from finetune.serving.answers import Answer
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.ledger import Ledger
from worker.ledger.tables import posts

EVERY_S = 7_200.0  # 360 tickets a month: with a promise of 2% each answer is shown to people
NOW = 80_000.0 + 300 * EVERY_S


class Sorter:
    """A model that says `billing` with a confidence drawn from the ticket's number, as its calibration was."""

    classes = ("billing", "login")
    threshold = Threshold(0.5, 200, 200, 2, 0.04)
    confidences = np.random.default_rng(0).uniform(0.6, 1.0, 400)

    def answer(self, ticket: str) -> Answer:
        confidence = float(np.random.default_rng(int(ticket.split()[-1])).uniform(0.6, 1.0))
        ranking = (("billing", confidence), ("login", 1 - confidence))
        return Answer("billing", confidence, ranking, is_near="strange" not in ticket)


@pytest.fixture
def office(tmp_path: Path) -> Any:
    """A clerk whose channel has a live watch; `clock` stands still."""
    ledger = Ledger(str(tmp_path / "ledger.db"))
    fields = (
        "",
        "C1",
        "T1",
        "job1",
        "d",
        "job1",
        0.02,
        duty.LIVE,
        duty.LIVE,
        "everyone",
        "U1",
        1.0,
        1.0,
        "0",
    )
    watch = duty.open_watch(ledger.engine, Watch(*fields))
    services: Any = SimpleNamespace(ledger=ledger, clock=lambda: NOW, wake=lambda: None, duty=None)
    history = SimpleNamespace(
        auth_test=lambda: {"user_id": "U0"}, conversations_history=lambda **query: {"messages": []}
    )
    clerk = DutyClerk(services, history, tmp_path)  # type: ignore[arg-type]
    clerk._models[(watch.id, "job1", 0.02, None)] = Sorter()
    return SimpleNamespace(clerk=clerk, services=services, ledger=ledger, watch=watch, model=Sorter())


def enter(office: Any, count: int, words: str = "ticket") -> list[str]:
    """So many tickets, and their keys."""
    start = len(duty.tickets_of(office.ledger.engine, office.watch.id))
    keys = [f"C1:{start + n}.0" for n in range(count)]
    for n, key in enumerate(keys):
        duty.enter(
            office.ledger.engine,
            office.watch.id,
            key,
            key[3:],
            f"{words} {start + n}",
            80_000.0 + EVERY_S * (start + n),
        )
    return keys


def work(office: Any) -> None:
    """Rounds until nothing waits."""
    while duty.waiting(office.ledger.engine, office.watch.id):
        office.clerk.work_once()


def notes(office: Any) -> list[str]:
    """What the channel was told."""
    with office.ledger.engine.connect() as connection:
        rows = connection.execute(select(posts.c.dedupe_key, posts.c.body)).all()
    return [row.body["answer"]["text"] for row in rows if row.dedupe_key.startswith("duty-note")]


def test_a_burst_is_answered_and_meanwhile_told(office: Any) -> None:
    """300 tickets: the card says how many wait and for how long, then each has one answer and one line."""
    enter(office, 300)
    watch = duty.watch_in(office.ledger.engine, "C1")
    assert watch is not None
    text = " ".join(texts_of(card_message(card_of(office.services, watch, None))[1]))
    assert "300 tickets wait for an answer, the oldest for 2160000 s" in text
    began = time.process_time()
    work(office)
    assert time.process_time() - began < 60, "a thousand a minute and more"
    tickets = duty.tickets_of(office.ledger.engine, office.watch.id)
    assert {one.state for one in tickets} == {duty.ANSWERED}
    with office.ledger.engine.connect() as connection:
        keys = list(connection.execute(select(posts.c.dedupe_key)).scalars())
    assert len([key for key in keys if key.startswith("duty:")]) == 300
    assert len([key for key in keys if key.startswith("duty-card:")]) == 1, "it is a Monday"


def test_a_broken_promise_takes_it_back_to_shadow(office: Any) -> None:
    """People find a third of the checked answers wrong: shadow, and the channel is told once."""
    keys = enter(office, 90)
    work(office)
    for n, key in enumerate(keys):
        queue = "login" if n % 3 == 0 else "billing"
        duty.label(office.ledger.engine, office.watch.id, key, "U2", queue, 95_000.0)
    office.clerk.work_once()
    office.clerk.work_once()
    watch = duty.watch_in(office.ledger.engine, "C1")
    assert watch is not None
    assert watch.mode == duty.SHADOW
    assert "promise is broken" in watch.why
    assert len([text for text in notes(office) if "back to shadow" in text]) == 1


def test_strange_tickets_take_it_back_before_any_label(office: Any) -> None:
    """Half of the tickets are near none that it was trained on."""
    enter(office, 40)
    enter(office, 40, "strange ticket")
    work(office)
    office.clerk.work_once()
    watch = duty.watch_in(office.ledger.engine, "C1")
    assert watch is not None
    assert watch.mode == duty.SHADOW
    assert "near none" in watch.why


def test_fresh_labels_set_the_threshold_anew_in_shadow(office: Any) -> None:
    """After an alarm, on labels that came since; where no confidence is safe it abstains and says so."""
    assert duty.set_mode(
        office.ledger.engine, office.watch, duty.SHADOW, "the tickets have changed", 80_000.0
    )
    keys = enter(office, 120)
    work(office)
    for key in keys:
        duty.label(office.ledger.engine, office.watch.id, key, "U2", "login", 95_000.0)
    office.clerk.work_once()
    watch = duty.watch_in(office.ledger.engine, "C1")
    assert watch is not None
    assert watch.threshold == 2.0
    assert any("abstains on everything" in text for text in notes(office))
