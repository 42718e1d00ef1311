"""Real processes, real Redis, one fault at a time: each job still ends once, with one report."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.worker.conftest import WorkerHarness
from worker.jobs.states import State
from worker.transport.embedded_redis import embedded_redis

pytestmark = pytest.mark.integration


def runs_of(harness: WorkerHarness, job_id: str) -> int:
    return sum(1 for e in harness.ledger.history(job_id) if e.to_state is State.LEASED)


def test_a_job_runs_and_its_report_and_plot_come_back(harness: WorkerHarness) -> None:
    """The plain path: queued, run once, succeeded, one report owed, the picture kept."""
    harness.worker()
    job = harness.end_of(harness.submit(steps=3))
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["headline"] == "counted"
    assert list(harness.ledger.plots(job.id)) == ["loss.png"]
    assert harness.reports(job.id) == 1


def test_a_user_error_is_reported_with_its_text_and_not_retried(harness: WorkerHarness) -> None:
    """A FinetuneError ends the job at once with its sentence; a crash is tried again and can come through."""
    harness.worker()
    failure, crash = harness.submit(steps=3, fail=True), harness.submit(steps=3, crash=True)
    job = harness.end_of(failure)
    assert (job.state, job.error) == (State.FAILED, "The dataset has one class only.")
    assert runs_of(harness, failure) == 1
    assert harness.end_of(crash).state is State.SUCCEEDED
    assert runs_of(harness, crash) == 2


def test_a_killed_job_process_is_replaced_and_goes_on_from_its_checkpoint(harness: WorkerHarness) -> None:
    """kill -9 of the training process: one more attempt, resumed, one report."""
    harness.worker()
    job_id = harness.submit(steps=40, pause_s=0.05)
    harness.at_step(job_id, 5)
    os.kill(harness.job_process(job_id), signal.SIGKILL)
    job = harness.end_of(job_id)
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["started_at_step"] >= 5
    assert (runs_of(harness, job_id), harness.reports(job_id)) == (2, 1)


def test_a_killed_worker_takes_its_job_process_and_ranks_along_and_another_worker_goes_on(
    harness: WorkerHarness,
) -> None:
    """kill -9 of the worker: its job process and a rank are gone within 2 s, the job runs elsewhere within 20 s."""
    first = harness.worker("w1")
    job_id = harness.submit(steps=60, pause_s=0.05, rank=True, rank_file=str(harness.home / "pids"))
    harness.at_step(job_id, 3)
    pids = [
        harness.job_process(job_id),
        *map(int, (harness.home / "pids").read_text().strip("[]").split(",")),
    ]
    harness.worker("w2")
    began = time.monotonic()
    first.kill()
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() - began < 2.0, "orphans"
        time.sleep(0.02)
    harness.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING, timeout_s=22)
    assert time.monotonic() - began < 20.0
    job = harness.end_of(job_id)
    assert (job.state, harness.reports(job_id)) == (State.SUCCEEDED, 1)


def test_cancel_ends_every_process_within_5_s(harness: WorkerHarness) -> None:
    """Also when the run does not listen, and also its rank in a session of its own; proved by pid."""
    harness.worker()
    pids_file = harness.home / "pids"
    job_id = harness.submit(steps=5000, pause_s=0.05, rank=True, deaf=True, rank_file=str(pids_file))
    harness.at_step(job_id)
    pids = list(map(int, pids_file.read_text().strip("[]").split(",")))
    began = time.monotonic()
    harness.ledger.request_cancel(job_id, "U1", "enough")
    job = harness.end_of(job_id, timeout_s=6)
    assert time.monotonic() - began < 5.0
    assert job.state is State.CANCELLED
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert harness.reports(job_id) == 1


def test_cancel_works_while_redis_is_away(harness: WorkerHarness) -> None:
    """The flag also goes through the artifact folder: the processes end, the ledger hears it later."""
    harness.worker()
    job_id = harness.submit(steps=5000, pause_s=0.05)
    harness.at_step(job_id)
    pid = harness.job_process(job_id)
    harness.redis.kill()
    began = time.monotonic()
    harness.ledger.request_cancel(job_id, "U1", "enough")
    while psutil.pid_exists(pid):
        assert time.monotonic() - began < 5.0
        time.sleep(0.02)
    harness.redis = embedded_redis(harness.home / "redis")
    assert harness.end_of(job_id).state is State.CANCELLED


def test_a_job_launched_while_redis_is_down_goes_out_when_it_is_back(harness: WorkerHarness) -> None:
    """Kept in the ledger, run once, one report."""
    harness.worker()
    harness.redis.kill()
    job_id = harness.submit(steps=3)
    harness.redis = embedded_redis(harness.home / "redis")
    assert harness.end_of(job_id).state is State.SUCCEEDED
    assert (runs_of(harness, job_id), harness.reports(job_id)) == (1, 1)


@pytest.mark.parametrize("keep", [True, False], ids=["data kept", "data lost"])
def test_redis_killed_during_a_run_and_over_its_end(harness: WorkerHarness, keep: bool) -> None:
    """The run goes on, its end waits in the spool; queued jobs that Redis forgot are handed out again."""
    harness.worker()
    running = harness.submit(steps=20, pause_s=0.05)
    waiting = harness.submit(steps=3)
    harness.at_step(running)
    harness.redis.kill()
    if not keep:
        for path in (harness.home / "redis").rglob("*"):
            if path.is_file():
                path.unlink()
    pid = harness.job_process(running)
    while psutil.pid_exists(pid):
        time.sleep(0.02)
    harness.redis = embedded_redis(harness.home / "redis")
    assert harness.end_of(running).state is State.SUCCEEDED
    assert harness.end_of(waiting).state is State.SUCCEEDED
    assert runs_of(harness, running) == 1
    assert (harness.reports(running), harness.reports(waiting)) == (1, 1)


def test_a_bot_that_was_away_over_the_end_files_the_report_once(harness: WorkerHarness) -> None:
    """Events wait in Redis and in the spool; a restarted bot takes them in."""
    harness.worker()
    job_id = harness.submit(steps=20, pause_s=0.05)
    harness.at_step(job_id)
    pid = harness.job_process(job_id)
    harness.close_bot()
    while psutil.pid_exists(pid):
        time.sleep(0.02)
    harness.open_bot()
    assert harness.end_of(job_id).state is State.SUCCEEDED
    assert (runs_of(harness, job_id), harness.reports(job_id)) == (1, 1)


def test_a_worker_behind_a_partition_is_fenced_and_cannot_end_the_job_twice(harness: WorkerHarness) -> None:
    """SIGSTOP of worker and job process past the lease; when they wake, the other run's result stands alone."""
    first = harness.worker("w1")
    job_id = harness.submit(steps=40, pause_s=0.05)
    harness.at_step(job_id, 3)
    job_pid = harness.job_process(job_id)
    for pid in (job_pid, first.pid):
        os.kill(pid, signal.SIGSTOP)
    harness.worker("w2")
    harness.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING, timeout_s=25)
    for pid in (first.pid, job_pid):
        os.kill(pid, signal.SIGCONT)
    began = time.monotonic()
    while psutil.pid_exists(job_pid):
        assert time.monotonic() - began < 2.0, "the fenced run goes on"
        time.sleep(0.02)
    assert harness.end_of(job_id).state is State.SUCCEEDED
    assert harness.reports(job_id) == 1


def test_pause_resume_and_drain_keep_the_steps_done(harness: WorkerHarness) -> None:
    """Pause stops at a step and resume goes on from it; a worker told to end hands its job to the next."""
    first = harness.worker("w1")
    job_id = harness.submit(steps=60, pause_s=0.05)
    harness.at_step(job_id, 5)
    harness.ledger.request_pause(job_id, "U1")
    harness.wait(job_id, lambda job: job.state is State.PAUSED)
    harness.ledger.resume(job_id, "U1")
    harness.wait(job_id, lambda job: job.attempt == 2 and job.state is State.RUNNING)
    first.terminate()
    assert first.wait(10) == 0
    harness.worker("w2")
    job = harness.end_of(job_id)
    assert job.state is State.SUCCEEDED
    assert job.report is not None
    assert job.report["started_at_step"] >= 5
    assert job.losses == 0
