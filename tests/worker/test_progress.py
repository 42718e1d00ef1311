"""The progress of a whole job: one share over its phases, and a time left only once it can be estimated."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.jobs.progress import job_progress, seconds_run
from worker.jobs.records import JobRequest
from worker.jobs.states import Trigger
from worker.kinds import KINDS
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.transitions import locked_job, move

PHASES = (("loading", 0.1), ("training", 0.6), ("evaluating", 0.3))


def test_the_share_grows_over_all_phases() -> None:
    """Half of the second phase is 10% and 30%."""
    shares = [
        job_progress({"phase": phase, "step": step, "steps": 4}, PHASES, 0.0).share
        for phase, step in (("loading", 2), ("training", None), ("training", 2), ("evaluating", 4))
    ]
    assert shares == pytest.approx([0.05, 0.1, 0.4, 1.0])


def test_the_time_left_is_that_of_the_whole_job() -> None:
    """What training expects of itself, and for the rest the pace so far; nothing in the first moments."""
    training = {"phase": "training", "step": 2, "steps": 4, "eta_s": 50.0, "since": 100.0}
    left_s = job_progress(training, PHASES, 180.0).left_s
    assert left_s == pytest.approx(50.0 + 0.3 * 80.0 / 0.4)
    first = {"phase": "loading", "step": 1, "steps": 4, "eta_s": 27.0, "since": 100.0}
    assert job_progress(first, PHASES, 101.0).left_s is None


def test_a_kind_without_known_phases_tells_its_phase() -> None:
    """Better one phase's bar than none."""
    progress = job_progress({"phase": "x", "step": 1, "steps": 4, "eta_s": 3.0}, (), 0.0)
    assert (progress.share, progress.left_s) == (0.25, 3.0)


def test_the_phases_of_each_kind_are_a_whole() -> None:
    """Their shares add up to one."""
    for kind in KINDS.values():
        assert sum(share for _, share in kind.phases) == pytest.approx(1.0 if kind.phases else 0.0)


def test_time_in_line_and_in_a_pause_is_not_time_run(tmp_path: Path) -> None:
    """Two runs of 30 s and 10 s with a pause of an hour between them: 40 s."""
    ledger = Ledger(str(tmp_path / "l.db"))
    job_id = ledger.submit(JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, "k")).id
    for at, trigger in (
        (100.0, Trigger.LEASE),
        (110.0, Trigger.START),
        (125.0, Trigger.PAUSE),
        (130.0, Trigger.GONE),
        (3730.0, Trigger.RESUME),
        (3800.0, Trigger.LEASE),
        (3810.0, Trigger.START),
    ):
        with writing(ledger.engine) as connection:
            move(connection, locked_job(connection, job_id), trigger, at, "test")
        if trigger is Trigger.GONE:
            assert seconds_run(ledger.job(job_id).progress, 3000.0) == 30.0
    assert seconds_run(ledger.job(job_id).progress, 3810.0) == 40.0
    ledger.close()
