"""How writers of one process share the ledger's one write lock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from bot.playground.patience import Patience
from worker.ledger.database import FairLock, open_database, writing
from worker.ledger.tables import jobs


def test_writers_get_their_turn_in_the_order_they_came(tmp_path: Path) -> None:
    """Not whoever happens to try again first: a launch is not overtaken by ten later writers."""
    engine = open_database(str(tmp_path / "l.db"))
    fair_lock = engine.get_execution_options()["fair_lock"]
    order: list[int] = []

    def write(number: int) -> None:
        with writing(engine):
            order.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(12)]
    with writing(engine):
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until_in_line(fair_lock, number)
    for thread in threads:
        thread.join(10)
    assert order == list(range(12))


def test_a_failed_write_lets_the_next_one_in(tmp_path: Path) -> None:
    """An error inside a transaction must not keep everyone out for good."""
    engine = open_database(str(tmp_path / "l.db"))
    with pytest.raises(ZeroDivisionError), writing(engine):
        raise ZeroDivisionError
    finish = threading.Event()

    def write() -> None:
        with writing(engine):
            finish.set()

    threading.Thread(target=write, daemon=True).start()
    assert finish.wait(10)


def wait_until_in_line(fair_lock: FairLock, number: int) -> None:
    patience = Patience(10)
    while fair_lock.waiting < number:
        assert not patience.is_over()
        time.sleep(0.001)


def test_an_error_quotes_nothing_that_was_written(tmp_path: Path) -> None:
    """Its text goes to the log: the statement may stand there, a ticket's words may not."""
    engine = open_database(str(tmp_path / "l.db"))
    with pytest.raises(SQLAlchemyError) as refusal, writing(engine) as connection:
        connection.execute(insert(jobs).values(id="x", spec={"text": "my words"}))
    assert "my words" not in str(refusal.value)
