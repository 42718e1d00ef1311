"""What a cluster of one's own needs beside the contract: a token, proof of life, a claim, checkpoints to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.platforms.contract import NotMade, PlatformError, Reference, Stage, Submission
from finetune.platforms.ray import LEASE_S, QUIET_S, RaySighting, judge
from finetune.platforms.runs import CLAIM, WORK
from tests.platforms.ray_server import WIRE, RayServer
from tests.platforms.standin import CANCELLED, PlatformJob
from tests.platforms.world import World, open_before
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-x-1"


@pytest.fixture
def world() -> Iterator[World]:
    yield from open_before(WIRE)


def training(world: World) -> PlatformJob:
    """A job that trains, and whose checkpoints lie in its place."""
    world.submit()
    world.step(1.0)
    (job,) = world.standin.jobs.values()
    world.advance(job, "start")
    world.runs.write(job.tag, f"{WORK}/attempt/checkpoints/checkpoint-20/sealed.json", b"{}")
    world.step(20.0)
    return job


def checkpoints(world: World) -> list[str]:
    """The tags in whose place checkpoints lie."""
    return sorted(path.parts[-6] for path in (world.home / "runs").rglob("sealed.json"))


def test_a_cluster_that_answers_without_a_token_gets_no_row(world: World) -> None:
    """Whoever reaches it can run code there: doctor's calls and the upload refuse it, and nothing has left."""
    server: Any = world.standin
    server.is_open = True
    with pytest.raises(NotMade, match="RAY_AUTH_MODE=token"):
        world.adapter.offers()
    with pytest.raises(NotMade, match="without a token"):
        world.adapter.upload(Submission(TAG, "2x1gpu", 600.0, {"order": b"x"}, "key"))
    assert world.uploads() == []
    world.submit()
    server.is_open = False
    world.desks[0].read_offers()
    server.is_open = True
    world.step(1.0)
    world.step(5.0)
    job = world.ledger.job(world.jobs[0])
    assert (job.state, "without a token" in (job.error or "")) == (State.FAILED, True)
    assert not server.jobs


def test_a_job_that_reads_running_and_shows_no_life_is_lost_and_made_again(world: World) -> None:
    """After its head was lost Ray says RUNNING for ever; the next submission has the checkpoints."""
    job, server = training(world), world.standin
    assert isinstance(server, RayServer)
    server.creates = 1
    server.die(job)
    assert server.word(job) == "RUNNING"
    for _ in range(20):
        world.step(30.0)
    first, second = remotes_of(world.ledger.engine, world.jobs[0])
    assert "no sign of life" in first.why
    assert first.usd <= 4.0 * 60 / 3600  # to its last sign of life, not for as long as Ray said RUNNING
    assert second.number == 2
    assert checkpoints(world) == [job.tag]
    assert not (world.home / "runs" / job.tag / "order").exists()


def test_a_training_that_ray_has_forgotten_counts_as_running_until_it_is_cancelled(world: World) -> None:
    """It showed life a moment ago: it is not given up. A cancel takes its claim, and without that it leaves."""
    job, server = training(world), world.standin
    server.lose(job)
    job.is_orphan = True
    for _ in range(4):
        world.step(30.0)
    assert world.ledger.job(world.jobs[0]).state is State.RUNNING
    world.ledger.request_cancel(world.jobs[0], "U1", "test")
    world.step(20.0)
    assert world.runs.read(job.tag, CLAIM) == b'{"instance": ""}'
    for _ in range(8):
        world.step(20.0)
    assert world.ledger.job(world.jobs[0]).state is State.CANCELLED
    assert world.uploads() == []


def test_stopped_is_no_end_while_the_run_shows_life(world: World) -> None:
    """`cancelled` comes a minute after its last sign of life, when the ranks have left too."""
    job, server = training(world), world.standin
    world.show_life(job)
    server.end(job, CANCELLED)
    sighting = world.adapter.look(Reference(job.tag, job.id, 0, world.key.run_secret(job.tag)))
    assert (sighting.stage, "showed life" in sighting.note) == (Stage.RUNNING, True)
    world.clock[0] += QUIET_S + 1
    sighting = world.adapter.look(Reference(job.tag, job.id, 0, world.key.run_secret(job.tag)))
    assert sighting.stage is Stage.CANCELLED


def test_checkpoints_of_a_job_that_is_cancelled_before_its_next_try_are_erased(world: World) -> None:
    """Nobody goes on from them: the reaper finds them by the ledger."""
    job = training(world)
    world.standin.end(job, "failed")
    world.clock[0] += QUIET_S
    for _ in range(40):
        world.step(2.0)
        if world.ledger.job(world.jobs[0]).state is State.RETRY_WAIT:
            break
    assert checkpoints(world) == [job.tag]
    world.ledger.request_cancel(world.jobs[0], "U1", "test")
    world.desks[0].reap()
    assert checkpoints(world) == []
    assert remotes_of(world.ledger.engine, world.jobs[0])[0].erased_at is not None


def test_the_record_that_shows_the_run_s_key_is_deleted_at_the_end(world: World) -> None:
    """Whoever has the cluster's token reads the records of ended jobs too."""
    job = training(world)
    world.finish(job)
    for _ in range(8):
        world.step(20.0)
    assert world.ledger.job(world.jobs[0]).state is State.SUCCEEDED
    assert job.is_gone
    assert world.uploads() == []


def test_a_word_that_nobody_knows_is_not_held_to_signs_of_life_that_cannot_be_yet() -> None:
    """It may mean waiting, as PENDING does; the contract's run found such a job given up (seed 151)."""
    sighting = RaySighting(TAG, Stage.RUNNING, "QUEUED_NEW", TAG, at=LEASE_S + 100.0, since=1.0)
    assert judge(sighting).stage is Stage.RUNNING
    assert judge(replace(sighting, word="RUNNING")).stage is Stage.GONE
    away = replace(sighting, word="RUNNING", unread="the folder is away")
    assert judge(away).stage is Stage.RUNNING


def test_a_group_that_is_no_group_is_refused_with_an_example(tmp_path: Path) -> None:
    standin: Any = type("Here", (), {"url": "http://127.0.0.1:1"})()
    values = {**WIRE.values(standin, str(tmp_path)), "TRAINWISE_RAY_MACHINES": "big=2.0"}
    with pytest.raises(PlatformError, match="2x4gpu"):
        WIRE.platform.connect(values)
