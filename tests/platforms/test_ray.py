"""What a cluster of one's own needs beside the contract: a token, proof of life, a claim, checkpoints to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.platforms.contract import NotMade, PlatformError, Reference, Stage, Submission
from finetune.platforms.ray import LEASE_S, QUIET_S, RayStatus, judge
from finetune.platforms.runs import CLAIM, WORK
from tests.platforms.harness import PlatformHarness, standalone_harness
from tests.platforms.ray_server import WIRE, RayServer
from tests.platforms.standin import CANCELLED, PlatformJob
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-x-1"


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRE)


def training(harness: PlatformHarness) -> PlatformJob:
    """A job that trains, and whose checkpoints lie in its place."""
    harness.submit()
    harness.step(1.0)
    (job,) = harness.standin.jobs.values()
    harness.advance(job, "start")
    harness.runs.write(job.tag, f"{WORK}/attempt/checkpoints/checkpoint-20/sealed.json", b"{}")
    harness.step(20.0)
    return job


def checkpoints(harness: PlatformHarness) -> list[str]:
    """The tags in whose place checkpoints lie."""
    return sorted(path.parts[-6] for path in (harness.home / "runs").rglob("sealed.json"))


def test_a_cluster_that_answers_without_a_token_gets_no_row(harness: PlatformHarness) -> None:
    """Whoever reaches it can run code there: doctor's calls and the upload refuse it, and nothing has left."""
    server: Any = harness.standin
    server.is_open = True
    with pytest.raises(NotMade, match="RAY_AUTH_MODE=token"):
        harness.adapter.offers()
    with pytest.raises(NotMade, match="without a token"):
        harness.adapter.upload(Submission(TAG, "2x1gpu", 600.0, {"order": b"x"}, "key"))
    assert harness.uploads() == []
    harness.submit()
    server.is_open = False
    harness.controllers[0].read_offers()
    server.is_open = True
    harness.step(1.0)
    harness.step(5.0)
    job = harness.ledger.job(harness.jobs[0])
    assert (job.state, "without a token" in (job.error or "")) == (State.FAILED, True)
    assert not server.jobs


def test_a_job_that_reads_running_and_shows_no_life_is_lost_and_made_again(harness: PlatformHarness) -> None:
    """After its head was lost Ray says RUNNING for ever; the next submission has the checkpoints."""
    job, server = training(harness), harness.standin
    assert isinstance(server, RayServer)
    server.creates = 1
    server.die(job)
    assert server.word(job) == "RUNNING"
    for _ in range(20):
        harness.step(30.0)
    first, second = remotes_of(harness.ledger.engine, harness.jobs[0])
    assert "no sign of life" in first.why
    assert first.usd <= 4.0 * 60 / 3600  # to its last sign of life, not for as long as Ray said RUNNING
    assert second.number == 2
    assert checkpoints(harness) == [job.tag]
    assert not (harness.home / "runs" / job.tag / "order").exists()


def test_a_training_that_ray_has_forgotten_counts_as_running_until_it_is_cancelled(
    harness: PlatformHarness,
) -> None:
    """It showed life a moment ago: it is not given up. A cancel takes its claim, and without that it leaves."""
    job, server = training(harness), harness.standin
    server.lose(job)
    job.is_orphan = True
    for _ in range(4):
        harness.step(30.0)
    assert harness.ledger.job(harness.jobs[0]).state is State.RUNNING
    harness.ledger.request_cancel(harness.jobs[0], "U1", "test")
    harness.step(20.0)
    assert harness.runs.read(job.tag, CLAIM) == b'{"instance": ""}'
    for _ in range(8):
        harness.step(20.0)
    assert harness.ledger.job(harness.jobs[0]).state is State.CANCELLED
    assert harness.uploads() == []


def test_stopped_is_no_end_while_the_run_shows_life(harness: PlatformHarness) -> None:
    """`cancelled` comes a minute after its last sign of life, when the ranks have left too."""
    job, server = training(harness), harness.standin
    harness.show_life(job)
    server.end(job, CANCELLED)
    status = harness.adapter.look(Reference(job.tag, job.id, 0, harness.key.run_secret(job.tag)))
    assert (status.stage, "showed life" in status.note) == (Stage.RUNNING, True)
    harness.clock[0] += QUIET_S + 1
    status = harness.adapter.look(Reference(job.tag, job.id, 0, harness.key.run_secret(job.tag)))
    assert status.stage is Stage.CANCELLED


def test_checkpoints_of_a_job_that_is_cancelled_before_its_next_try_are_erased(
    harness: PlatformHarness,
) -> None:
    """Nobody goes on from them: the reaper finds them by the ledger."""
    job = training(harness)
    harness.standin.end(job, "failed")
    harness.clock[0] += QUIET_S
    for _ in range(40):
        harness.step(2.0)
        if harness.ledger.job(harness.jobs[0]).state is State.RETRY_WAIT:
            break
    assert checkpoints(harness) == [job.tag]
    harness.ledger.request_cancel(harness.jobs[0], "U1", "test")
    harness.controllers[0].reap()
    assert checkpoints(harness) == []
    assert remotes_of(harness.ledger.engine, harness.jobs[0])[0].erased_at is not None


def test_the_record_that_shows_the_run_s_key_is_deleted_at_the_end(harness: PlatformHarness) -> None:
    """Whoever has the cluster's token reads the records of ended jobs too."""
    job = training(harness)
    harness.finish(job)
    for _ in range(8):
        harness.step(20.0)
    assert harness.ledger.job(harness.jobs[0]).state is State.SUCCEEDED
    assert job.is_gone
    assert harness.uploads() == []


def test_an_unknown_status_needs_no_heartbeat_yet() -> None:
    """It may mean waiting, as PENDING does; the contract's run found such a job given up (seed 151)."""
    status = RayStatus(TAG, Stage.RUNNING, "QUEUED_NEW", TAG, at=LEASE_S + 100.0, since=1.0)
    assert judge(status).stage is Stage.RUNNING
    assert judge(replace(status, word="RUNNING")).stage is Stage.GONE
    away = replace(status, word="RUNNING", unread="the folder is away")
    assert judge(away).stage is Stage.RUNNING


def test_a_group_that_is_no_group_is_refused_with_an_example(tmp_path: Path) -> None:
    standin: Any = type("Here", (), {"url": "http://127.0.0.1:1"})()
    values = {**WIRE.values(standin, str(tmp_path)), "TRAINWISE_RAY_MACHINES": "big=2.0"}
    with pytest.raises(PlatformError, match="2x4gpu"):
        WIRE.platform.connect(values)
