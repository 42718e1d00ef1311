"""Real processes, real Redis, one plug pulled at a time: each job still ends once, with one report."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.worker.conftest import Place
from worker.jobs.states import State
from worker.transport.embedded_redis import embedded_redis

pytestmark = pytest.mark.integration


def runs_of(place: Place, job_id: str) -> int:
    return sum(1 for e in place.ledger.history(job_id) if e.to_state is State.LEASED)


def test_a_job_runs_and_its_report_and_plot_come_back(place: Place) -> None:
    """The plain path: queued, run once, succeeded, one report owed, the picture kept."""
    place.worker()
    job = place.end_of(place.submit(steps=3))
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["headline"] == "counted"
    assert list(place.ledger.plots(job.id)) == ["loss.png"]
    assert place.reports(job.id) == 1


def test_a_failure_for_the_person_is_told_in_its_words_and_not_repeated(place: Place) -> None:
    """A FinetuneError ends the job at once with its sentence; a crash is tried again and can come through."""
    place.worker()
    failure, crash = place.submit(steps=3, fail=True), place.submit(steps=3, crash=True)
    job = place.end_of(failure)
    assert (job.state, job.error) == (State.FAILED, "The dataset has one class only.")
    assert runs_of(place, failure) == 1
    assert place.end_of(crash).state is State.SUCCEEDED
    assert runs_of(place, crash) == 2


def test_a_killed_job_process_is_replaced_and_goes_on_from_its_checkpoint(place: Place) -> None:
    """kill -9 of the training process: one more attempt, resumed, one report."""
    place.worker()
    job_id = place.submit(steps=40, pause_s=0.05)
    place.at_step(job_id, 5)
    os.kill(place.job_process(job_id), signal.SIGKILL)
    job = place.end_of(job_id)
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["started_at_step"] >= 5
    assert (runs_of(place, job_id), place.reports(job_id)) == (2, 1)


def test_a_killed_worker_takes_its_job_process_and_ranks_along_and_another_worker_goes_on(
    place: Place,
) -> None:
    """kill -9 of the worker: its job process and a rank are gone within 2 s, the job runs elsewhere within 20 s."""
    first = place.worker("w1")
    job_id = place.submit(steps=60, pause_s=0.05, rank=True, rank_file=str(place.home / "pids"))
    place.at_step(job_id, 3)
    pids = [place.job_process(job_id), *map(int, (place.home / "pids").read_text().strip("[]").split(","))]
    place.worker("w2")
    began = time.monotonic()
    first.kill()
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() - began < 2.0, "orphans"
        time.sleep(0.02)
    place.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING, timeout_s=22)
    assert time.monotonic() - began < 20.0
    job = place.end_of(job_id)
    assert (job.state, place.reports(job_id)) == (State.SUCCEEDED, 1)


def test_cancel_ends_every_process_within_5_s(place: Place) -> None:
    """Also when the run does not listen, and also its rank in a session of its own; proved by pid."""
    place.worker()
    pids_file = place.home / "pids"
    job_id = place.submit(steps=5000, pause_s=0.05, rank=True, deaf=True, rank_file=str(pids_file))
    place.at_step(job_id)
    pids = list(map(int, pids_file.read_text().strip("[]").split(",")))
    began = time.monotonic()
    place.ledger.request_cancel(job_id, "U1", "enough")
    job = place.end_of(job_id, timeout_s=6)
    assert time.monotonic() - began < 5.0
    assert job.state is State.CANCELLED
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert place.reports(job_id) == 1


def test_cancel_works_while_redis_is_away(place: Place) -> None:
    """The flag also goes through the artifact folder: the processes end, the ledger hears it later."""
    place.worker()
    job_id = place.submit(steps=5000, pause_s=0.05)
    place.at_step(job_id)
    pid = place.job_process(job_id)
    place.redis.kill()
    began = time.monotonic()
    place.ledger.request_cancel(job_id, "U1", "enough")
    while psutil.pid_exists(pid):
        assert time.monotonic() - began < 5.0
        time.sleep(0.02)
    place.redis = embedded_redis(place.home / "redis")
    assert place.end_of(job_id).state is State.CANCELLED


def test_a_job_launched_while_redis_is_down_goes_out_when_it_is_back(place: Place) -> None:
    """Kept in the ledger, run once, one report."""
    place.worker()
    place.redis.kill()
    job_id = place.submit(steps=3)
    place.redis = embedded_redis(place.home / "redis")
    assert place.end_of(job_id).state is State.SUCCEEDED
    assert (runs_of(place, job_id), place.reports(job_id)) == (1, 1)


@pytest.mark.parametrize("keep", [True, False], ids=["data kept", "data lost"])
def test_redis_killed_during_a_run_and_over_its_end(place: Place, keep: bool) -> None:
    """The run goes on, its end waits in the spool; queued jobs that Redis forgot are handed out again."""
    place.worker()
    running = place.submit(steps=20, pause_s=0.05)
    waiting = place.submit(steps=3)
    place.at_step(running)
    place.redis.kill()
    if not keep:
        for path in (place.home / "redis").rglob("*"):
            if path.is_file():
                path.unlink()
    pid = place.job_process(running)
    while psutil.pid_exists(pid):
        time.sleep(0.02)
    place.redis = embedded_redis(place.home / "redis")
    assert place.end_of(running).state is State.SUCCEEDED
    assert place.end_of(waiting).state is State.SUCCEEDED
    assert runs_of(place, running) == 1
    assert (place.reports(running), place.reports(waiting)) == (1, 1)


def test_a_bot_that_was_away_over_the_end_files_the_report_once(place: Place) -> None:
    """Events wait in Redis and in the spool; a restarted bot takes them in."""
    place.worker()
    job_id = place.submit(steps=20, pause_s=0.05)
    place.at_step(job_id)
    pid = place.job_process(job_id)
    place.close_bot()
    while psutil.pid_exists(pid):
        time.sleep(0.02)
    place.open_bot()
    assert place.end_of(job_id).state is State.SUCCEEDED
    assert (runs_of(place, job_id), place.reports(job_id)) == (1, 1)


def test_a_worker_behind_a_partition_is_fenced_and_cannot_end_the_job_twice(place: Place) -> None:
    """SIGSTOP of worker and job process past the lease; when they wake, the other run's result stands alone."""
    first = place.worker("w1")
    job_id = place.submit(steps=40, pause_s=0.05)
    place.at_step(job_id, 3)
    job_pid = place.job_process(job_id)
    for pid in (job_pid, first.pid):
        os.kill(pid, signal.SIGSTOP)
    place.worker("w2")
    place.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING, timeout_s=25)
    for pid in (first.pid, job_pid):
        os.kill(pid, signal.SIGCONT)
    began = time.monotonic()
    while psutil.pid_exists(job_pid):
        assert time.monotonic() - began < 2.0, "the fenced run goes on"
        time.sleep(0.02)
    assert place.end_of(job_id).state is State.SUCCEEDED
    assert place.reports(job_id) == 1


def test_pause_resume_and_drain_keep_the_steps_done(place: Place) -> None:
    """Pause stops at a step and resume goes on from it; a worker told to end hands its job to the next."""
    first = place.worker("w1")
    job_id = place.submit(steps=60, pause_s=0.05)
    place.at_step(job_id, 5)
    place.ledger.request_pause(job_id, "U1")
    place.wait(job_id, lambda job: job.state is State.PAUSED)
    place.ledger.resume(job_id, "U1")
    place.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING)
    first.terminate()
    assert first.wait(10) == 0
    place.worker("w2")
    job = place.end_of(job_id)
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["started_at_step"] >= 5
    assert job.losses == 0
