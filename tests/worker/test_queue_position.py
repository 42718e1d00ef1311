"""The queue position and the expected wait on cards."""

from __future__ import annotations

from pathlib import Path

from worker.jobs.records import JobRequest
from worker.jobs.states import Trigger
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.queue_position import estimate_waits, round_position, round_wait, update_queue_positions
from worker.ledger.transitions import locked_job, move, set_columns


def test_waits_follow_from_what_runs_and_how_long_such_jobs_take() -> None:
    """Two busy workers with 30 and 90 s left and jobs of 60 s: 30, 90, 90, 150; the jobs in front count."""
    assert estimate_waits([90.0, 30.0], [60.0] * 4) == [30.0, 90.0, 90.0, 150.0]


def test_no_wait_is_shown_when_a_part_is_unknown() -> None:
    """A running job of unknown length, none running, or an unknown one in front: no promise from there on."""
    assert estimate_waits([None, 30.0], [60.0] * 2) == [None, None]
    assert estimate_waits([], [60.0]) == [None]
    assert estimate_waits([30.0], [None, 60.0]) == [30.0, None]


def test_the_second_in_line_waits_for_the_whole_of_both_jobs_in_front(tmp_path: Path) -> None:
    """One runs in an early phase, one of 600 s waits: not "about 1 min", which is what the phase needs."""
    ledger = Ledger(str(tmp_path / "l.db"))
    submit = [JobRequest("finetune", {}, "d", "U1", "m", "T", "C", None, f"k{n}") for n in range(4)]
    first, running, _, last = [ledger.submit(request).id for request in submit]
    walk = ((first, 0.0, 600.0), (running, 1000.0, None))
    for job_id, began, end in walk:
        with writing(ledger.engine) as connection:
            job = move(connection, locked_job(connection, job_id), Trigger.LEASE, began, "w")
            job = move(connection, job, Trigger.START, began, "w", started_at=began)
            if end is not None:
                job = move(connection, job, Trigger.WRAP_UP, end, "w")
                move(connection, job, Trigger.FINISH, end, "w", report={})
    with writing(ledger.engine) as connection:
        job = locked_job(connection, running)
        progress = {**job.progress, "phase": "loading", "step": 1, "steps": 9, "eta_s": 27.0}
        set_columns(connection, job, 1000.0, progress=progress)
    update_queue_positions(ledger.engine, 1000.0)
    progress = ledger.job(last).progress
    assert (progress["position"], progress["starts_in_s"]) == (2, 20 * 60)
    ledger.close()


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
