"""The place in line and the expected wait that cards tell."""

from __future__ import annotations

from pathlib import Path

from worker.jobs.records import JobRequest
from worker.ledger.ledger import Ledger
from worker.ledger.queue_position import estimate_waits, round_position, round_wait, update_queue_positions


def test_waits_follow_from_what_runs_and_how_long_such_jobs_take() -> None:
    """Two busy workers with 30 and 90 s left and jobs of 60 s: 30, 90, 90, 150; nothing known: no promise."""
    assert estimate_waits([90.0, 30.0], 60.0, 4) == [30.0, 90.0, 90.0, 150.0]
    assert estimate_waits([None], 60.0, 2) == [None, None]
    assert estimate_waits([30.0], None, 1) == [None]


def test_what_is_told_is_exact_in_front_and_coarse_behind() -> None:
    """So that the start of one job does not change a thousand cards."""
    assert [round_position(n) for n in (1, 10, 11, 20, 995)] == [1, 10, 20, 20, 1000]
    assert [round_wait(s) for s in (None, 5.0, 130.0, 1700.0)] == [None, 60, 120, 1800]


def test_the_line_is_written_once_and_only_where_it_changed(tmp_path: Path) -> None:
    """200 queued jobs: all told at first, none the second time, about a tenth after one has left."""
    ledger = Ledger(str(tmp_path / "l.db"))
    ids = [ledger.submit(JobRequest("t", {}, "d", "U1", "m", "T", "C", None, f"k{n}")).id for n in range(200)]
    assert update_queue_positions(ledger.engine, 1.0) == 200
    assert update_queue_positions(ledger.engine, 2.0) == 0
    ledger.request_cancel(ids[0], "U1", "no")
    assert update_queue_positions(ledger.engine, 3.0) <= 30
    assert [ledger.job(i).progress["position"] for i in ids[1:4]] == [1, 2, 3]
    ledger.close()
