"""What a look at a model on duty costs, in CPU time, by the tickets that it has settled since it went live.

    python benchmarks/duty_looks.py [--counts 10000,100000]

A ledger (SQLite) of so many settled tickets, one in twenty drawn and judged by people. A look is what the clerk does after each
round with news (bot/slack/delivery/duty_runner.py): here one new ticket and one new word on an earlier one, ten looks, the median.
The first look at a ledger of an earlier version, or at a state of one, bets on all tickets once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from sqlalchemy import insert

from bot.slack.delivery.duty_runner import DutyRunner
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.duty_tables import duty_labels, duty_tickets
from worker.ledger.ledger import Ledger

EVERY, LOOKS, BEGIN = 20, 10, 1_000_000.0
TEXT = "I was charged twice for my order and nobody has answered my mails for a week. " * 4
COLUMNS = ("watch_id", "key", "ts", "text", "state", "queue", "confidence", "likeliest", "is_near")


def fill(ledger: Ledger, watch: Watch, count: int, rng: np.random.Generator) -> None:
    """Settled tickets and people's words, as an earlier version of the ledger holds them."""
    values = rng.beta(9, 1.5, count).tolist()
    tickets = [
        {
            **dict(
                zip(
                    COLUMNS,
                    (watch.id, f"C1:{at}", "", TEXT, duty.ANSWERED, "a", value, [["a", value]], True),
                    strict=True,
                )
            ),
            "is_audit": at % EVERY == 0,
            "created_at": BEGIN + at,
            "settled_at": BEGIN + at,
        }
        for at, value in enumerate(values)
    ]
    words = [
        {"watch_id": watch.id, "key": f"C1:{at}", "person": "U1", "queue": "a", "at": BEGIN + at + 0.5}
        for at in range(0, count, EVERY)
    ]
    with ledger.engine.begin() as connection:
        connection.execute(insert(duty_tickets), tickets)
        connection.execute(insert(duty_labels), words)


def more(ledger: Ledger, watch: Watch, number: int) -> None:
    """One ticket is settled, and people judge it."""
    key = f"C1:{number}"
    duty.add_ticket(ledger.engine, watch.id, key, "", TEXT, BEGIN + number)
    (ticket,) = duty.waiting_tickets(ledger.engine, watch.id)
    answer = replace(
        ticket, state=duty.ANSWERED, queue="a", confidence=0.9, likeliest=(("a", 0.9),), is_audit=True
    )
    duty.record_answer(ledger.engine, answer, None, "C1", BEGIN + number)
    duty.label(ledger.engine, watch.id, key, "U1", "a", BEGIN + number)


def measure(count: int, folder: Path) -> tuple[float, float]:
    """CPU milliseconds of the first look and of a later one."""
    ledger = Ledger(str(folder / f"ledger-{count}.db"))
    rng = np.random.default_rng(1)
    fields = ("", "C1", "T1", "job1", "d", "job1", 0.1, duty.LIVE, duty.LIVE, "everyone", "U1", 1.0, 1.0, "0")
    watch = duty.open_watch(ledger.engine, Watch(*fields))
    fill(ledger, watch, count, rng)
    services: Any = SimpleNamespace(ledger=ledger, clock=lambda: BEGIN + count, wake=lambda: None)
    model: Any = SimpleNamespace(confidences=rng.beta(9, 1.5, 400))
    runner = DutyRunner(services, SimpleNamespace(), folder)  # type: ignore[arg-type]
    times = []
    for look in range(LOOKS + 1):
        more(ledger, watch, count + look)
        began = time.process_time()
        runner._update_alarms(watch, model)
        times.append(1_000 * (time.process_time() - began))
    assert duty.find_watch(ledger.engine, watch.id).mode == duty.LIVE
    return times[0], statistics.median(times[1:])


def main() -> None:
    """Prints a line for each count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="10000,100000")
    print("| tickets on duty | first look, CPU ms | a later look, CPU ms |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in map(int, parser.parse_args().counts.split(",")):
            first, later = measure(count, Path(folder))
            print(f"| {count:,} | {first:,.0f} | {later:,.1f} |", flush=True)


if __name__ == "__main__":
    main()
