"""Pulls in the ledger: what is due survives a restart, and whoever holds the lease is alone at it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from worker.ledger.database import open_database
from worker.ledger.pulls import (
    LEASE_S,
    Pull,
    all_pulls,
    ask_now,
    due_pulls,
    end_pull,
    pull_of,
    renew_lease,
    set_pull,
    stop_pull,
    take_due,
    take_lease,
)

PULL = Pull(
    "support",
    "zendesk",
    {"project": ""},
    ("workspace",),
    "ours",
    "U1",
    "C1",
    every_s=3600.0,
    created_at=100.0,
    next_at=100.0,
)


def test_a_schedule_survives_a_restart(tmp_path: Path) -> None:
    """Another process reads what the first has set, until somebody stops it."""
    file = str(tmp_path / "ledger.db")
    set_pull(open_database(file), PULL)
    engine = open_database(file)
    assert pull_of(engine, "support") == PULL
    assert due_pulls(engine, 99.0) == []
    assert due_pulls(engine, 100.0) == [PULL]
    assert stop_pull(engine, "support")
    assert not stop_pull(engine, "support")
    assert all_pulls(engine) == []


def test_of_many_bots_one_sends_a_due_order(tmp_path: Path) -> None:
    """Each on a connection of its own, all at once."""
    file = str(tmp_path / "ledger.db")
    engines = [open_database(file) for _ in range(6)]
    set_pull(engines[0], PULL)
    takers: list[str] = []

    def take(number: int) -> None:
        if take_due(engines[number], PULL, f"bot {number}", 200.0):
            takers.append(f"bot {number}")

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(takers) == 1
    assert due_pulls(engines[0], 200.0) == []


def test_a_killed_bots_lease_expires_and_its_late_write_is_refused(tmp_path: Path) -> None:
    """Its lease lapses; then another takes it, and what the first still wants to write is refused."""
    engine = open_database(str(tmp_path / "ledger.db"))
    set_pull(engine, PULL)
    assert take_due(engine, PULL, "first", 200.0)
    assert renew_lease(engine, "support", "first", 250.0)
    assert not take_due(engine, PULL, "second", 250.0 + LEASE_S - 1)
    assert take_due(engine, PULL, "second", 250.0 + LEASE_S)
    assert not renew_lease(engine, "support", "first", 500.0)
    assert not end_pull(engine, "support", "first", {"next_at": 1.0})
    assert end_pull(engine, "support", "second", {"next_at": 4000.0, "last": "2 new"})
    assert due_pulls(engine, 3999.0) == []
    (pull,) = due_pulls(engine, 4000.0)
    assert (pull.last, pull.lease_by) == ("2 new", "")
    assert not take_due(engine, PULL, "third", 4000.0)  # it was due at another time than third saw


def test_what_is_asked_during_a_pull_is_done_after_it(tmp_path: Path) -> None:
    """ "Pull now" and another schedule outlive the end of the pull that was under way."""
    engine = open_database(str(tmp_path / "ledger.db"))
    set_pull(engine, PULL)
    assert take_due(engine, PULL, "bot", 200.0)
    set_pull(engine, replace(PULL, every_s=60.0, next_at=210.0, is_asked=True))
    end = {"next_at": None, "is_asked": False, "last": "2 new"}
    assert end_pull(engine, "support", "bot", end, due_at=PULL.next_at)
    (pull,) = due_pulls(engine, 210.0)
    assert (pull.is_asked, pull.last) == (True, "2 new")
    assert take_due(engine, pull, "bot", 220.0)
    assert end_pull(engine, "support", "bot", end, due_at=pull.next_at)
    assert due_pulls(engine, 9e9) == []


def test_a_change_or_a_stop_reaches_a_pull_under_way(tmp_path: Path) -> None:
    """A change leaves the lease alone; a stop ends it at its next step."""
    engine = open_database(str(tmp_path / "ledger.db"))
    set_pull(engine, PULL)
    assert take_lease(engine, "support", "terminal", 200.0)
    set_pull(engine, replace(PULL, every_s=60.0))
    assert not take_lease(engine, "support", "bot", 201.0)
    assert renew_lease(engine, "support", "terminal", 202.0)
    assert ask_now(engine, "support", 203.0)
    assert end_pull(engine, "support", "terminal", {})
    (pull,) = due_pulls(engine, 203.0)
    assert (pull.every_s, pull.is_asked) == (60.0, True)
    assert take_due(engine, pull, "bot", 203.0)
    stop_pull(engine, "support")
    assert not renew_lease(engine, "support", "bot", 204.0)
    assert not ask_now(engine, "support", 205.0)
