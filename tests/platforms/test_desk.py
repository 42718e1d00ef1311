"""The desk before one platform: what a person sees while a platform takes its time, and what a reaper does."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from bot.slack.ui.job_card import job_card
from finetune.platforms.contract import Submission
from tests.platforms.huggingface_server import WIRE
from tests.platforms.standin import CANCELLED, WAITING, StandIn
from tests.platforms.world import World, open_world
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of
from worker.transport.signing import unseal

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[StandIn, list[float]]]:
    clock = [1_800_000_000.0]
    server = WIRE.server(lambda: clock[0])
    yield server, clock
    server.close()


@pytest.fixture
def world(shared: tuple[StandIn, list[float]]) -> Iterator[World]:
    here = open_world(WIRE, *shared)
    yield here
    shared[0].on_cancel = lambda job: None
    here.close()


def running_job(world: World) -> str:
    """A job whose container trains."""
    job = world.submit()
    world.step(1.0)
    world.advance(next(iter(world.standin.jobs.values())), "start")
    world.step(20.0)
    return job


def test_a_cancel_ends_only_when_a_look_says_so(world: World) -> None:
    """Until then the card says that the platform was asked and bills on; a 200 on the cancel proves nothing."""
    job = running_job(world)
    world.ledger.request_cancel(job, "U1", "enough")
    for _ in range(5):
        world.step(20.0)
        row = world.ledger.job(job)
        assert row.state is State.CANCELLING
        assert "asked Hugging Face Jobs to stop, still billing" in str(job_card(row, world.wall()))
    assert world.runs.read(remotes_of(world.ledger.engine, job)[0].tag, "stop")
    world.standin.end(next(iter(world.standin.jobs.values())), CANCELLED)
    world.step(20.0)
    world.step(20.0)
    assert world.ledger.job(job).state is State.CANCELLED
    assert world.uploads() == []


def test_training_can_be_ended_early_there_too(world: World) -> None:
    """ "Stop here, keep the best" is a signed word in the run's place; the container goes on to its evaluation."""
    job = running_job(world)
    world.ledger.request_finish(job, "U1")
    world.step(1.0)
    flag = world.runs.read(remotes_of(world.ledger.engine, job)[0].tag, "stop")
    assert flag is not None
    assert unseal(flag, world.key.public)["reason"] == "finish"
    assert world.ledger.job(job).state is State.RUNNING


def test_a_wait_for_a_machine_is_told_and_is_no_stall(world: World) -> None:
    """Hours without a step: the job waits on, until the platform's own limit; then the reason names the machine."""
    job = world.submit()
    world.step(1.0)
    for _ in range(10):
        world.step(1800.0)
    assert world.ledger.job(job).state is State.RUNNING
    assert "waiting for a machine" in str(job_card(world.ledger.job(job), world.wall()))
    assert next(iter(world.standin.jobs.values())).stage == WAITING
    world.standin.on_cancel = lambda one: world.standin.end(one, CANCELLED)
    for _ in range(8):
        world.step(1800.0)
    assert "had no cpu-basic" in (world.ledger.job(job).error or "")
    assert world.standin.running() == []


def test_a_job_that_no_submission_owns_is_ended_and_another_installation_s_is_not(world: World) -> None:
    """The tag tells whose it is; what runs under an owned tag but another id is a double and ends too."""
    job = running_job(world)
    tag = remotes_of(world.ledger.engine, job)[0].tag
    ours = world.desks[0].packer.prefix
    for name in (f"{ours}lost-1", "tw-abcdef-other-1", tag):
        world.adapter.create(Submission(name, "cpu-basic", 600.0, {}, "key"))
    world.standin.on_cancel = lambda one: world.standin.end(one, CANCELLED)
    world.desks[0].reap()
    left = {one.tag: one.id for one in world.standin.running()}
    assert set(left) == {"tw-abcdef-other-1", tag}
    assert left[tag] == remotes_of(world.ledger.engine, job)[0].remote_id


def test_a_platform_that_asks_to_wait_is_asked_again_after_that_time(world: World) -> None:
    """429 with Retry-After: certainly nothing was made, so the create is sent again, not looked for."""
    job = world.submit()
    world.standin.create_faults.append("429")
    world.step(1.0)
    assert world.ledger.job(job).state is State.SUBMITTING
    world.step(10.0)
    assert world.standin.jobs == {}
    world.step(15.0)
    assert world.ledger.job(job).state is State.RUNNING


def test_another_desk_s_create_begins_the_settling_time_anew(world: World) -> None:
    """A desk that has seen the first lost answer for long does not send again right after the other desk's second one."""
    world.desks.append(world.open_desk())
    world.standin.lag_s = 40.0
    world.standin.create_faults += ["503", "cut"]
    world.submit()
    moves = ((1.0, 0), (1.0, 0), (1.0, 1), (122.0, 0), (1.0, 0), (14.0, 1), (14.0, 1))
    for seconds, desk in moves:
        world.step(seconds, desk)
    assert len(world.standin.jobs) == 1
    for _ in range(6):
        world.step(15.0, 1)
    assert world.standin.doubles() == []
    assert world.ledger.job(world.jobs[0]).state is State.RUNNING


def test_fifty_jobs_are_stepped_by_one_process(world: World) -> None:
    """Their memory in this process, the server's own included, grows by under 150 MB; each is looked at in each round."""
    before = psutil.Process().memory_info().rss
    for _ in range(50):
        world.submit()
    world.step(1.0)
    world.step(20.0)
    assert len(world.standin.running()) == 50
    requests = world.standin.requests
    world.step(20.0)
    assert world.standin.requests - requests >= 50
    assert (psutil.Process().memory_info().rss - before) / 2**20 < 150
