"""The desk before one platform: what a person sees while a platform takes its time, and what a reaper does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.slack.ui.job_card import job_card
from finetune.data.ticket import DatasetError
from finetune.platforms.contract import NoAnswer, Offer, Submission
from finetune.platforms.runs import DONE
from tests.platforms.huggingface_server import WIRE
from tests.platforms.standin import CANCELLED, SUCCEEDED, WAITING, StandIn
from tests.platforms.world import World, open_world
from worker.dispatch.desk import Desk
from worker.dispatch.packing import Packer
from worker.jobs.remotes import Outcome
from worker.jobs.states import State
from worker.ledger.remotes import close, decide_outcome, keep_result, remotes_of
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


def refuse(*_: Any) -> Any:
    """A place of the runs that is away."""
    raise NoAnswer("The place of the runs is away.")


def test_a_result_that_does_not_come_whole_leaves_the_earlier_model_alone(world: World) -> None:
    """What was downloaded before the spoilt file goes; the folder of the attempt before it stays."""
    job = running_job(world)
    earlier = world.home / "artifacts" / world.ledger.job(job).root / "job-earlier" / "model.safetensors"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"good")
    world.advance(next(iter(world.standin.jobs.values())), "finish")
    tag = remotes_of(world.ledger.engine, job)[0].tag
    world.runs.write(tag, "files/model/trainwise.json", b"{}")
    for _ in range(8):
        world.step(20.0)
    assert "trainwise.json" in (world.ledger.job(job).error or "")
    assert earlier.read_bytes() == b"good"
    assert [path.name for path in earlier.parents[1].iterdir()] == ["job-earlier"]


def test_a_bucket_that_is_away_keeps_nobody_from_ending_a_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform is asked to stop, and its word for the end counts; what could not be erased is named."""
    job = running_job(world)
    for name in ("read", "erase"):
        monkeypatch.setattr(world.adapter.runs, name, refuse)  # type: ignore[attr-defined]
    world.standin.on_cancel = lambda one: world.standin.end(one, CANCELLED)
    world.step(20.0)
    assert "is away" in str(job_card(world.ledger.job(job), world.wall()))
    world.ledger.request_cancel(job, "U1", "enough")
    world.step(20.0)
    assert world.standin.running() == []
    world.step(20.0)
    for _ in range(50):
        world.step(60.0)
    row = world.ledger.job(job)
    assert (row.state, "Not erased" in (row.error or "")) == (State.CANCELLED, True)
    assert "may still run" not in (row.error or "")


def test_last_words_that_come_late_are_waited_for(world: World) -> None:
    """However long it ran before: a bucket may show them only after the platform says that the job is done."""
    job = running_job(world)
    for _ in range(5):
        world.step(60.0)
    tag = remotes_of(world.ledger.engine, job)[0].tag
    machine = next(iter(world.standin.jobs.values()))
    world.finish(machine)
    path = world.home / "runs" / tag / DONE
    words = path.read_bytes()
    path.unlink()
    assert machine.stage == SUCCEEDED
    world.step(20.0)
    assert world.ledger.job(job).state is State.RUNNING
    path.write_bytes(words)
    for _ in range(3):
        world.step(20.0)
    assert world.ledger.job(job).state is State.SUCCEEDED


def test_a_machine_that_shows_no_life_is_named_on_the_card(world: World) -> None:
    """By this desk's own clock, whatever the wall clock says; a new sign of life takes the note away."""
    job = running_job(world)
    machine = next(iter(world.standin.jobs.values()))
    world.advance(machine, "event")
    world.wall_skew = 86400.0
    for _ in range(14):
        world.step(20.0)
    assert "no sign of life" not in str(job_card(world.ledger.job(job), world.wall()))
    for _ in range(4):
        world.step(20.0)
    card = str(job_card(world.ledger.job(job), world.wall()))
    assert "no sign of life for 5 minutes" in card
    assert "cancel it" in card
    world.advance(machine, "event")
    world.step(20.0)
    assert "no sign of life" not in str(job_card(world.ledger.job(job), world.wall()))


def test_rows_that_are_gone_end_the_job_in_words(world: World) -> None:
    """Nothing was made, so nobody waits for it."""

    def rows(digest: str) -> Any:
        raise DatasetError("These rows were erased.")

    job = world.submit()
    desk = world.desks[0]
    desk.packer = Packer(world.key, rows, {})
    for _ in range(4):
        world.step(20.0)
    assert (world.ledger.job(job).state, world.ledger.job(job).error) == (
        State.FAILED,
        "These rows were erased.",
    )


def test_a_cancel_that_the_platform_refuses_is_told(world: World) -> None:
    """A revoked key: the card does not say that it was asked to stop."""
    job = running_job(world)
    world.ledger.request_cancel(job, "U1", "enough")
    original = world.adapter.look

    def look(reference: Any) -> Any:
        world.standin.is_key_good = True
        sighting = original(reference)
        world.standin.is_key_good = False
        return sighting

    world.adapter.look = look  # type: ignore[method-assign]
    try:
        world.step(20.0)
    finally:
        world.adapter.look = original  # type: ignore[method-assign]
    card = str(job_card(world.ledger.job(job), world.wall()))
    assert "did not take the request to stop" in card
    assert "refuses the key" in card


def test_what_takes_long_holds_up_no_other_job(world: World) -> None:
    """With a pool a pass ends at once; the slow one is not begun twice."""
    slow, fast = world.submit(), world.submit()
    upload, gate, calls = world.adapter.upload, threading.Event(), []

    def wait(submission: Submission) -> list[str]:
        if world.ledger.job(slow).root in submission.tag:
            calls.append(submission.tag)
            gate.wait(10.0)
        return upload(submission)

    world.adapter.upload = wait  # type: ignore[method-assign]
    try:
        with ThreadPoolExecutor(4) as pool:
            for number in range(60):
                world.desks[0].step(world.wall(), world.clock[0] + number, pool)
                if world.ledger.job(fast).state is State.RUNNING:
                    break
                threading.Event().wait(0.05)
            assert world.ledger.job(fast).state is State.RUNNING
            assert (world.ledger.job(slow).state, len(calls)) == (State.SUBMITTING, 1)
            gate.set()
    finally:
        gate.set()
        world.adapter.upload = upload  # type: ignore[method-assign]


def test_offers_of_an_unknown_shape_do_not_stop_the_reaper(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One platform's new answer is that platform's trouble alone."""

    def offers() -> list[Offer]:
        raise KeyError("gpus")

    monkeypatch.setattr(world.adapter, "offers", offers)
    world.adapter.create(Submission(f"{world.desks[0].packer.prefix}lost-1", "cpu-basic", 600.0, {}, "key"))
    world.standin.on_cancel = lambda one: world.standin.end(one, CANCELLED)
    world.step(1.0)
    assert world.standin.running() == []


def test_a_job_whose_platform_is_not_configured_any_more_says_so(world: World, tmp_path: Path) -> None:
    """Nobody can look at it: the card names what to do."""
    job = running_job(world)
    world.desks[0] = Desk(world.ledger, {}, world.desks[0].packer, tmp_path)
    world.step(20.0)
    assert "not configured here any more" in str(job_card(world.ledger.job(job), world.wall()))


def test_a_report_with_notes_of_another_shape_still_closes_its_job(world: World) -> None:
    """What comes back from a bucket may be anything."""
    job = running_job(world)
    remote = remotes_of(world.ledger.engine, job)[0]
    remote = decide_outcome(world.ledger.engine, remote, Outcome.FINISHED, "done", 1.0)
    remote = keep_result(world.ledger.engine, remote, {"kind": "finetune", "notes": 7}, {})
    close(world.ledger.engine, remote, ["Not erased: x."], 2.0)
    assert (world.ledger.job(job).report or {})["notes"] == ["Not erased: x."]


def test_a_slow_refusal_s_waiting_time_holds_in_a_pool_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes go on while the create is under way: what they see of it does not end the wait that it brings back."""
    create, answers = world.adapter.create, []

    def slow(submission: Submission) -> str:
        answers.append(submission.tag)
        threading.Event().wait(0.3)
        return create(submission)

    monkeypatch.setattr(world.adapter, "create", slow)
    job = world.submit()
    world.standin.create_faults += ["429", "429", "429"]
    with ThreadPoolExecutor(4) as pool:
        for number in range(19):
            world.desks[0].step(world.wall(), world.clock[0] + number, pool)
            threading.Event().wait(0.05)
    assert (len(answers), world.ledger.job(job).state) == (1, State.SUBMITTING)
