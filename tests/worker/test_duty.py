"""Models on duty in the ledger: each ticket entered and settled once, every person's word kept, one watch a channel."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from worker.errors import WorkerError
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.ledger import Ledger
from worker.ledger.retention import forget_older, forget_person
from worker.ledger.tables import posts

LINE = {
    "channel": "C1",
    "thread_ts": "1.0",
    "user": "U1",
    "text": "billing",
    "blocks": [],
    "ts": None,
    "since": 0.0,
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(str(tmp_path / "ledger.db"))


def a_watch(ledger: Ledger, channel: str = "C1") -> Watch:
    """A watch that is live."""
    watch = Watch(
        "", channel, "T1", "job1", "d", "job1", 0.1, duty.LIVE, duty.LIVE, "everyone", "U1", 1.0, 1.0, "0"
    )
    return duty.open_watch(ledger.engine, watch)


def test_a_ticket_is_entered_once_however_often_it_comes(ledger: Ledger) -> None:
    """Twenty deliveries in parallel make one entry."""
    watch = a_watch(ledger)
    results: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(duty.add_ticket(ledger.engine, watch.id, "C1:1.0", "1.0", "x", 1.0))
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 1
    assert len(duty.tickets_of(ledger.engine, watch.id)) == 1


def test_a_ticket_is_settled_once_with_one_line(ledger: Ledger) -> None:
    """The second settling does nothing; an edit settles anew and changes the line that stands."""
    watch, engine = a_watch(ledger), ledger.engine
    duty.add_ticket(engine, watch.id, "C1:1.0", "1.0", "x", 1.0)
    ticket = replace(
        duty.waiting_tickets(engine, watch.id)[0], state=duty.ANSWERED, queue="billing", confidence=0.9
    )
    assert duty.record_answer(engine, ticket, LINE, "C1", 2.0)
    assert not duty.record_answer(engine, ticket, LINE, "C1", 2.0)
    post = ledger.due_posts(3.0)[0]
    ledger.complete_post(post.id, "55.5")
    assert duty.edit_ticket(engine, watch.id, "C1:1.0", "other words")
    anew = replace(duty.waiting_tickets(engine, watch.id)[0], state=duty.ABSTAINED, confidence=0.2)
    assert not duty.record_answer(engine, ticket, LINE, "C1", 4.0), "an answer to the old words is too late"
    assert duty.record_answer(engine, anew, LINE, "C1", 4.0)
    with engine.connect() as connection:
        bodies = [row.body["answer"] for row in connection.execute(select(posts)).all()]
    assert [body["ts"] for body in bodies] == [None, "55.5"]


def test_what_people_said_is_kept_with_its_disagreement(ledger: Ledger) -> None:
    """A later word of the same person counts; two people apart give no verdict, a third one does."""
    watch, engine = a_watch(ledger), ledger.engine
    duty.add_ticket(engine, watch.id, "k", "1.0", "x", 1.0)
    for person, queue, at in (("U1", "a", 1.0), ("U1", "b", 2.0), ("U2", "a", 3.0)):
        duty.label(engine, watch.id, "k", person, queue, at)
    labels = duty.labels_of(engine, watch.id)["k"]
    assert {(one.person, one.queue) for one in labels} == {("U1", "b"), ("U2", "a")}
    assert duty.majority_queue(labels) is None
    duty.label(engine, watch.id, "k", "U3", "a", 4.0)
    assert duty.majority_queue(duty.labels_of(engine, watch.id)["k"]) == "a"
    assert not duty.edit_ticket(engine, watch.id, "k", "changed later"), (
        "a judged ticket stays as it was judged"
    )
    with pytest.raises(WorkerError, match="not known"):
        duty.label(engine, watch.id, "nothing", "U1", "a", 1.0)


def test_one_model_a_channel_and_no_lost_change(ledger: Ledger) -> None:
    """A second one is refused until the first is stopped; of two changes at once one wins."""
    watch = a_watch(ledger)
    with pytest.raises(WorkerError, match="already"):
        a_watch(ledger)
    assert duty.set_mode(ledger.engine, watch, duty.SHADOW, "alarm", 5.0)
    assert not duty.set_mode(ledger.engine, watch, duty.STOPPED, "", 6.0)
    current = duty.watch_in(ledger.engine, "C1")
    assert current is not None
    assert (current.mode, current.why) == (duty.SHADOW, "alarm")
    assert duty.set_mode(ledger.engine, current, duty.STOPPED, "", 7.0)
    assert duty.watch_in(ledger.engine, "C1") is None
    assert duty.watches_at_work(ledger.engine) == []
    a_watch(ledger)


def test_words_of_tickets_are_forgotten_in_time_and_on_request(ledger: Ledger) -> None:
    """Old words go, entries stay; a person's mentions are blanked."""
    watch, engine = a_watch(ledger), ledger.engine
    duty.add_ticket(engine, watch.id, "old", "1.0", "old words", 1.0)
    duty.add_ticket(engine, watch.id, "new", "2.0", "call jo@example.com back", 100.0)
    forget_older(engine, 50.0, 200.0)
    assert forget_person(engine, "jo@example.com", frozenset(), 200.0) == 1
    texts = {one.key: one.text for one in duty.tickets_of(engine, watch.id)}
    assert texts["old"] == ""
    assert "jo@example.com" not in texts["new"]
    assert "call" in texts["new"]


def test_a_line_belongs_to_its_own_ticket(ledger: Ledger) -> None:
    """`_` in a ticket's number stands for no other letter: the second ticket gets a line of its own."""
    watch, engine = a_watch(ledger), ledger.engine
    for key in ("api:ab1", "api:a_1"):
        duty.add_ticket(engine, watch.id, key, "", "x", 1.0)
        ticket = replace(duty.waiting_tickets(engine, watch.id)[0], state=duty.ANSWERED, queue="billing")
        assert duty.record_answer(engine, ticket, LINE, "C1", 2.0)
        for post in ledger.due_posts(3.0):
            assert post.body["answer"]["ts"] is None, key
            ledger.complete_post(post.id, "55.5")


def test_a_deleted_ticket_gets_no_line_any_more(ledger: Ledger) -> None:
    """A line that is owed and was not sent goes with its ticket."""
    watch, engine = a_watch(ledger), ledger.engine
    duty.add_ticket(engine, watch.id, "C1:1.0", "1.0", "x", 1.0)
    ticket = replace(duty.waiting_tickets(engine, watch.id)[0], state=duty.ANSWERED, queue="billing")
    assert duty.record_answer(engine, ticket, LINE, "C1", 2.0)
    assert duty.delete_ticket(engine, watch.id, "C1:1.0") is None
    assert ledger.due_posts(3.0) == []


def test_what_a_line_quotes_is_forgotten_too(ledger: Ledger) -> None:
    """A line quotes the beginning of another system's ticket: it goes with age and on request."""
    watch, engine = a_watch(ledger), ledger.engine
    quotes = ("Call Maria Lopez", "a refund for Maria Lopez")
    for at, (key, quote) in enumerate(zip(("api:1", "api:2"), quotes, strict=True)):
        duty.add_ticket(engine, watch.id, key, "", quote, 100.0 * at)
        ticket = replace(duty.waiting_tickets(engine, watch.id)[0], state=duty.ANSWERED, queue="billing")
        assert duty.record_answer(engine, ticket, {**LINE, "text": quote}, "C1", 100.0 * at)
    for post in ledger.due_posts(300.0):
        ledger.complete_post(post.id, "5.5")
    forget_older(engine, 50.0, 300.0)
    forget_person(engine, "Maria Lopez", frozenset(), 300.0)
    with engine.connect() as connection:
        bodies = str(list(connection.execute(select(posts.c.body)).scalars()))
    assert "Call" not in bodies
    assert "Maria" not in bodies
    assert "a refund" in bodies


def test_a_change_and_its_note_are_one_step(ledger: Ledger) -> None:
    """A watch that goes back to shadow owes the channel the reason in the same transaction; whoever was too slow owes nothing."""
    watch, engine = a_watch(ledger), ledger.engine
    note = {**LINE, "key": "duty-note:1"}
    assert duty.change_watch(engine, watch, {"mode": duty.SHADOW, "mode_at": 5.0}, note)
    assert not duty.change_watch(engine, watch, {"mode": duty.SHADOW}, {**note, "key": "duty-note:2"})
    assert [post.dedupe_key for post in ledger.due_posts(6.0)] == ["duty-note:1"]
