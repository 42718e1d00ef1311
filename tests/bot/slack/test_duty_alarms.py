"""The alarms of a watch in the ledger equal those of all its events, whatever updates, restarts and changed labels come between."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot.slack.delivery.duty_alarms import judged_observations, update_alarms
from bot.slack.on_duty import observations_of
from finetune.evaluation.alarms import Alarms
from finetune.evaluation.duty_monitoring import checks_of
from tests.bot.slack.watches import watch_of
from worker.ledger import duty, duty_events
from worker.ledger.database import open_database
from worker.ledger.duty import Watch
from worker.ledger.duty_tables import duty_tickets, watches
from worker.ledger.ledger import Ledger

BEFORE = np.random.default_rng(3).beta(9, 1.5, 300)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """One ledger for all examples; each example has its own watch."""
    return Ledger(str(tmp_path_factory.mktemp("alarms") / "ledger.db"))


def a_watch(ledger: Ledger) -> Watch:
    """A live watch that promises at most 10% wrong answers."""
    return duty.open_watch(ledger.engine, watch_of(channel=f"C{next(NUMBERS)}"))


def settle(ledger: Ledger, watch: Watch, number: int, is_audit: bool = True) -> str:
    """Enters and answers the ticket of this number; its confidence and distance depend on the number."""
    rng, key = np.random.default_rng(number), f"k{number}"
    duty.add_ticket(ledger.engine, watch.id, key, "", "words", 10.0 + number)
    (ticket,) = duty.waiting_tickets(ledger.engine, watch.id)
    value = float(rng.beta(9, 1.5))
    answer = replace(ticket, state=duty.ANSWERED, queue="a", confidence=value, likeliest=(("a", value),))
    answer = replace(answer, is_near=bool(rng.random() > 0.1), is_audit=is_audit)
    assert duty.record_answer(ledger.engine, answer, None, watch.channel, 11.0 + number)
    return key


def say(ledger: Ledger, watch: Watch, number: int, queue: str, person: str = "U1", at: float = 0.0) -> None:
    """Stores a person's label; the time may not show the order, since the clocks of two bots may differ."""
    duty.label(ledger.engine, watch.id, f"k{number}", person, queue, at)


def from_the_beginning(ledger: Ledger, watch: Watch) -> Alarms:
    """The alarms computed at once from all events in order, with the current labels."""
    alarms, labels = Alarms.begin(watch.error_rate, BEFORE.tolist()), duty.labels_of(ledger.engine, watch.id)
    tickets = duty.tickets_of(ledger.engine, watch.id, watch.mode_at)
    events = [(one.place, one, False) for one in tickets if one.place]
    events += [(one.word_place, one, True) for one in tickets if one.word_place]
    for _, ticket, is_word in sorted(events, key=lambda event: event[0] or 0):
        if not is_word:
            alarms.add_ticket(ticket.confidence or 0.0, ticket.is_near)
            continue
        for right in checks_of(observations_of([replace(ticket, state="")], labels)):
            alarms.add_check(right)
    return alarms


class Crash(Exception):
    """Simulates a crash of the process."""


def crash(*_: object) -> None:
    """Crashes in the place of a step."""
    raise Crash


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ticket", "ticket", "audit", "word", "word", "word", "split", "look", "crash"]),
        st.integers(0, 60),
        st.booleans(),
    ),
    max_size=90,
)


@settings(deadline=None, max_examples=25)
@given(STEPS)
def test_each_event_counts_once_whatever_comes_between(
    ledger: Ledger, steps: list[tuple[str, int, bool]]
) -> None:
    """Updates, updates that crash before and after the write, other bots' clocks, and people who change their labels."""
    watch, count = a_watch(ledger), 0
    for step, number, right in steps:
        if step in ("ticket", "audit"):
            settle(ledger, watch, count, step == "audit")
            count += 1
        elif step in ("word", "split") and count:
            person = "U2" if step == "split" else "U1"
            say(ledger, watch, number % count, "a" if right else "b", person, float(number))
        elif step == "look":
            assert update_alarms(ledger.engine, watch, BEFORE) is not None
        elif step == "crash":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(*((Alarms, "to_json", crash) if right else (duty_events, "NewEvents", crash)))
                with contextlib.suppress(Crash):
                    update_alarms(ledger.engine, watch, BEFORE)
    alarms = update_alarms(ledger.engine, watch, BEFORE)
    assert alarms is not None
    expected = from_the_beginning(ledger, watch)
    assert replace(alarms, alarm="", is_of_labels=False) == replace(expected, alarm="", is_of_labels=False)


def test_an_alarm_is_raised_again_after_a_crash(ledger: Ledger) -> None:
    """The process crashed between the update and the change of mode: the next update raises the alarm without new events."""
    watch = a_watch(ledger)
    for number in range(40):
        settle(ledger, watch, number)
        say(ledger, watch, number, "b" if number % 2 else "a")
    first = update_alarms(ledger.engine, watch, BEFORE)
    assert first is not None
    assert "promise is broken" in first.alarm
    for number in range(40, 60):
        settle(ledger, watch, number)
        say(ledger, watch, number, "a")
    again = update_alarms(ledger.engine, watch, BEFORE)
    assert again is not None
    assert (again.alarm, again.is_of_labels) == (first.alarm, True)


@pytest.mark.parametrize(
    "state", [None, {"version": 0}, {"version": 1, "model": "another", "since": 1.0}, "torn"]
)
def test_an_unusable_state_is_rebuilt_once(
    ledger: Ledger, state: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing state, one of an older version or of another model is rebuilt in several transactions and then stored."""
    monkeypatch.setattr(duty_events, "BATCH", 7)
    watch = a_watch(ledger)
    for number in range(30):
        settle(ledger, watch, number)
        say(ledger, watch, (number * 7) % (number + 1), "a", at=100.0 - number)
    expected = update_alarms(ledger.engine, watch, BEFORE)
    with ledger.engine.begin() as connection:
        connection.execute(update(watches).where(watches.c.id == watch.id).values(evidence=state))
    assert update_alarms(ledger.engine, watch, BEFORE) == expected
    monkeypatch.setattr(duty_events, "_events", crash)
    assert update_alarms(ledger.engine, watch, BEFORE) == expected, "nothing is read that was read"


def test_events_of_an_earlier_version_get_their_places(ledger: Ledger) -> None:
    """In an older ledger events get their places once, by the times of tickets and labels, in this mode only."""
    watch = a_watch(ledger)
    for number in range(20):
        settle(ledger, watch, number)
        if number % 2:
            say(ledger, watch, number, "b" if number % 3 else "a", at=30.0 + number)
    with ledger.engine.begin() as connection:
        mine = duty_tickets.c.watch_id == watch.id
        connection.execute(update(duty_tickets).where(mine).values(place=None, word_place=None))
        connection.execute(update(watches).where(watches.c.id == watch.id).values(events=None, evidence=None))
    later = replace(watch, mode_at=14.0)
    with ledger.engine.begin() as connection:
        connection.execute(update(watches).where(watches.c.id == watch.id).values(mode_at=14.0))
    alarms = update_alarms(ledger.engine, later, BEFORE)
    assert alarms == from_the_beginning(ledger, later)
    assert (alarms.far.count, alarms.checks.count) == (16, 8)
    settle(ledger, later, 20)
    again = update_alarms(ledger.engine, later, BEFORE)
    assert again is not None
    assert again.far.count == 17


def test_a_change_of_mode_restarts_the_alarms(ledger: Ledger) -> None:
    """An update that still holds the earlier mode returns None and changes nothing."""
    watch = a_watch(ledger)
    for number in range(5):
        settle(ledger, watch, number)
    assert duty.set_mode(ledger.engine, watch, duty.SHADOW, "", 12.0)
    assert update_alarms(ledger.engine, watch, BEFORE) is None
    current = duty.find_watch(ledger.engine, watch.id)
    alarms = update_alarms(ledger.engine, current, BEFORE)
    assert alarms is not None
    assert alarms.far.count == 3, "what came since"


def test_an_edited_ticket_counts_once(ledger: Ledger) -> None:
    """It is answered again and keeps its place."""
    watch, engine = a_watch(ledger), ledger.engine
    key = settle(ledger, watch, 1)
    assert update_alarms(engine, watch, BEFORE) is not None
    assert duty.edit_ticket(engine, watch.id, key, "other words")
    (ticket,) = duty.waiting_tickets(engine, watch.id)
    assert duty.record_answer(
        engine, replace(ticket, state=duty.ANSWERED, queue="a", confidence=0.5), None, "C", 30.0
    )
    alarms = update_alarms(engine, watch, BEFORE)
    assert alarms is not None
    assert alarms.far.count == 1


def test_fresh_labels_are_those_of_drawn_tickets_in_their_order(ledger: Ledger) -> None:
    """They equal those of the whole list; deleted tickets and tickets that people disagree on are left out."""
    watch, engine = a_watch(ledger), ledger.engine
    for number in range(12):
        settle(ledger, watch, number, number % 3 > 0)
    for number in (7, 2, 5, 3, 11, 8, 10):
        say(ledger, watch, number, "a" if number % 2 else "b", at=50.0 - number)
    say(ledger, watch, 5, "c", "U2")
    duty.delete_ticket(engine, watch.id, "k8")
    tickets, labels = duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id)
    rows = [one for one in observations_of(tickets, labels) if one.is_audit and one.right is not None]
    assert judged_observations(engine, watch) == rows
    assert [one.right for one in rows] == [False, True, False, True]


def test_a_ledger_of_an_earlier_version_gets_the_indexes(tmp_path: Path) -> None:
    """Without the indexes each update would read all tickets of the watch."""
    url = str(tmp_path / "ledger.db")
    engine = open_database(url)
    names = select(duty_tickets.c.key).where(duty_tickets.c.place > 5).where(duty_tickets.c.watch_id == "w")
    with engine.begin() as connection:
        for index in ("duty_tickets_place", "duty_tickets_word_place", "duty_tickets_created"):
            connection.exec_driver_sql(f"drop index {index}")
    engine = open_database(url)
    with engine.connect() as connection:
        text = names.compile(engine, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"explain query plan {text}").all()
    assert "duty_tickets_place" in str(plan)
