"""The remote controller with one platform: what a person sees while a platform is slow, and what the reaper does."""

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
from tests.platforms.harness import PlatformHarness, open_harness
from tests.platforms.huggingface_server import WIRE
from tests.platforms.standin import CANCELLED, SUCCEEDED, WAITING, StandIn
from worker.dispatch.packing import Packer
from worker.dispatch.remote_controller import RemoteController
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
def harness(shared: tuple[StandIn, list[float]]) -> Iterator[PlatformHarness]:
    here = open_harness(WIRE, *shared)
    yield here
    shared[0].on_cancel = lambda job: None
    here.close()


def running_job(harness: PlatformHarness) -> str:
    """A job whose container trains."""
    job = harness.submit()
    harness.step(1.0)
    harness.advance(next(iter(harness.standin.jobs.values())), "start")
    harness.step(20.0)
    return job


def test_a_cancel_ends_only_when_a_look_says_so(harness: PlatformHarness) -> None:
    """Until then the card says that the platform was asked and still bills; a 200 on the cancel proves nothing."""
    job = running_job(harness)
    harness.ledger.request_cancel(job, "U1", "enough")
    for _ in range(5):
        harness.step(20.0)
        row = harness.ledger.job(job)
        assert row.state is State.CANCELLING
        assert "asked Hugging Face Jobs to stop, still billing" in str(job_card(row, harness.wall()))
    assert harness.runs.read(remotes_of(harness.ledger.engine, job)[0].tag, "stop")
    harness.standin.end(next(iter(harness.standin.jobs.values())), CANCELLED)
    harness.step(20.0)
    harness.step(20.0)
    assert harness.ledger.job(job).state is State.CANCELLED
    assert harness.uploads() == []


def test_training_can_be_ended_early_there_too(harness: PlatformHarness) -> None:
    """ "Stop here, keep the best" is a signed word in the run's place; the container goes on to its evaluation."""
    job = running_job(harness)
    harness.ledger.request_finish(job, "U1")
    harness.step(1.0)
    flag = harness.runs.read(remotes_of(harness.ledger.engine, job)[0].tag, "stop")
    assert flag is not None
    assert unseal(flag, harness.key.public)["reason"] == "finish"
    assert harness.ledger.job(job).state is State.RUNNING


def test_a_wait_for_a_machine_is_told_and_is_no_stall(harness: PlatformHarness) -> None:
    """Hours without a step: the job waits on, until the platform's own limit; then the reason names the machine."""
    job = harness.submit()
    harness.step(1.0)
    for _ in range(10):
        harness.step(1800.0)
    assert harness.ledger.job(job).state is State.RUNNING
    assert "waiting for a machine" in str(job_card(harness.ledger.job(job), harness.wall()))
    assert next(iter(harness.standin.jobs.values())).stage == WAITING
    harness.standin.on_cancel = lambda one: harness.standin.end(one, CANCELLED)
    for _ in range(8):
        harness.step(1800.0)
    assert "had no cpu-basic" in (harness.ledger.job(job).error or "")
    assert harness.standin.running() == []


def test_a_job_that_no_submission_owns_is_ended_and_another_installation_s_is_not(
    harness: PlatformHarness,
) -> None:
    """The tag names its owner; a second job under an owned tag is a duplicate and is ended too."""
    job = running_job(harness)
    tag = remotes_of(harness.ledger.engine, job)[0].tag
    ours = harness.controllers[0].packer.prefix
    for name in (f"{ours}lost-1", "tw-abcdef-other-1", tag):
        harness.adapter.create(Submission(name, "cpu-basic", 600.0, {}, "key"))
    harness.standin.on_cancel = lambda one: harness.standin.end(one, CANCELLED)
    harness.controllers[0].reap()
    left = {one.tag: one.id for one in harness.standin.running()}
    assert set(left) == {"tw-abcdef-other-1", tag}
    assert left[tag] == remotes_of(harness.ledger.engine, job)[0].remote_id


def test_a_platform_that_asks_to_wait_is_asked_again_after_that_time(harness: PlatformHarness) -> None:
    """429 with Retry-After: certainly nothing was made, so the create is sent again, not looked for."""
    job = harness.submit()
    harness.standin.create_faults.append("429")
    harness.step(1.0)
    assert harness.ledger.job(job).state is State.SUBMITTING
    harness.step(10.0)
    assert harness.standin.jobs == {}
    harness.step(15.0)
    assert harness.ledger.job(job).state is State.RUNNING


def test_a_create_of_another_controller_restarts_the_settling_time(harness: PlatformHarness) -> None:
    """A controller that saw the first lost answer long ago waits the settling time again after another controller's create."""
    harness.controllers.append(harness.open_controller())
    harness.standin.lag_s = 40.0
    harness.standin.create_faults += ["503", "cut"]
    harness.submit()
    moves = ((1.0, 0), (1.0, 0), (1.0, 1), (122.0, 0), (1.0, 0), (14.0, 1), (14.0, 1))
    for seconds, controller in moves:
        harness.step(seconds, controller)
    assert len(harness.standin.jobs) == 1
    for _ in range(6):
        harness.step(15.0, 1)
    assert harness.standin.doubles() == []
    assert harness.ledger.job(harness.jobs[0]).state is State.RUNNING


def test_fifty_jobs_are_stepped_by_one_process(harness: PlatformHarness) -> None:
    """The memory of this process, server included, grows by under 150 MB; each job is polled in each round."""
    before = psutil.Process().memory_info().rss
    for _ in range(50):
        harness.submit()
    harness.step(1.0)
    harness.step(20.0)
    assert len(harness.standin.running()) == 50
    requests = harness.standin.requests
    harness.step(20.0)
    assert harness.standin.requests - requests >= 50
    assert (psutil.Process().memory_info().rss - before) / 2**20 < 150


def refuse(*_: Any) -> Any:
    """A bucket that does not answer."""
    raise NoAnswer("The place of the runs is away.")


def test_a_result_that_does_not_come_whole_leaves_the_earlier_model_alone(harness: PlatformHarness) -> None:
    """The partial download is removed; the folder of the earlier attempt stays."""
    job = running_job(harness)
    earlier = harness.home / "artifacts" / harness.ledger.job(job).root / "job-earlier" / "model.safetensors"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"good")
    harness.advance(next(iter(harness.standin.jobs.values())), "finish")
    tag = remotes_of(harness.ledger.engine, job)[0].tag
    harness.runs.write(tag, "files/model/trainwise.json", b"{}")
    for _ in range(8):
        harness.step(20.0)
    assert "trainwise.json" in (harness.ledger.job(job).error or "")
    assert earlier.read_bytes() == b"good"
    assert [path.name for path in earlier.parents[1].iterdir()] == ["job-earlier"]


def test_a_job_can_be_ended_while_its_bucket_is_unreachable(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform is asked to stop, its status counts as the end, and the report names what could not be erased."""
    job = running_job(harness)
    for name in ("read", "erase"):
        monkeypatch.setattr(harness.adapter.runs, name, refuse)  # type: ignore[attr-defined]
    harness.standin.on_cancel = lambda one: harness.standin.end(one, CANCELLED)
    harness.step(20.0)
    assert "is away" in str(job_card(harness.ledger.job(job), harness.wall()))
    harness.ledger.request_cancel(job, "U1", "enough")
    harness.step(20.0)
    assert harness.standin.running() == []
    harness.step(20.0)
    for _ in range(50):
        harness.step(60.0)
    row = harness.ledger.job(job)
    assert (row.state, "Not erased" in (row.error or "")) == (State.CANCELLED, True)
    assert "may still run" not in (row.error or "")


def test_a_late_final_event_is_waited_for(harness: PlatformHarness) -> None:
    """A bucket may show the final event only after the platform says that the job is done."""
    job = running_job(harness)
    for _ in range(5):
        harness.step(60.0)
    tag = remotes_of(harness.ledger.engine, job)[0].tag
    machine = next(iter(harness.standin.jobs.values()))
    harness.finish(machine)
    path = harness.home / "runs" / tag / DONE
    words = path.read_bytes()
    path.unlink()
    assert machine.stage == SUCCEEDED
    harness.step(20.0)
    assert harness.ledger.job(job).state is State.RUNNING
    path.write_bytes(words)
    for _ in range(3):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.SUCCEEDED


def test_a_machine_that_shows_no_life_is_named_on_the_card(harness: PlatformHarness) -> None:
    """By this controller's own clock, whatever the wall clock says; a new sign of life takes the note away."""
    job = running_job(harness)
    machine = next(iter(harness.standin.jobs.values()))
    harness.advance(machine, "event")
    harness.wall_skew = 86400.0
    for _ in range(14):
        harness.step(20.0)
    assert "no sign of life" not in str(job_card(harness.ledger.job(job), harness.wall()))
    for _ in range(4):
        harness.step(20.0)
    card = str(job_card(harness.ledger.job(job), harness.wall()))
    assert "no sign of life for 5 minutes" in card
    assert "cancel it" in card
    harness.advance(machine, "event")
    harness.step(20.0)
    assert "no sign of life" not in str(job_card(harness.ledger.job(job), harness.wall()))


def test_rows_that_are_gone_end_the_job_in_words(harness: PlatformHarness) -> None:
    """No job was created, so nothing is waited for."""

    def rows(digest: str) -> Any:
        raise DatasetError("These rows were erased.")

    job = harness.submit()
    controller = harness.controllers[0]
    controller.packer = Packer(harness.key, rows, {})
    for _ in range(4):
        harness.step(20.0)
    assert (harness.ledger.job(job).state, harness.ledger.job(job).error) == (
        State.FAILED,
        "These rows were erased.",
    )


def test_a_cancel_that_the_platform_refuses_is_told(harness: PlatformHarness) -> None:
    """A revoked key: the card does not say that it was asked to stop."""
    job = running_job(harness)
    harness.ledger.request_cancel(job, "U1", "enough")
    original = harness.adapter.look

    def look(reference: Any) -> Any:
        harness.standin.is_key_good = True
        status = original(reference)
        harness.standin.is_key_good = False
        return status

    harness.adapter.look = look  # type: ignore[method-assign]
    try:
        harness.step(20.0)
    finally:
        harness.adapter.look = original  # type: ignore[method-assign]
    card = str(job_card(harness.ledger.job(job), harness.wall()))
    assert "did not take the request to stop" in card
    assert "refuses the key" in card


def test_a_slow_step_delays_no_other_job(harness: PlatformHarness) -> None:
    """With a pool a step returns at once; a slow call does not start twice."""
    slow, fast = harness.submit(), harness.submit()
    upload, gate, calls = harness.adapter.upload, threading.Event(), []

    def wait(submission: Submission) -> list[str]:
        if harness.ledger.job(slow).root in submission.tag:
            calls.append(submission.tag)
            gate.wait(10.0)
        return upload(submission)

    harness.adapter.upload = wait  # type: ignore[method-assign]
    try:
        with ThreadPoolExecutor(4) as pool:
            for number in range(60):
                harness.controllers[0].step(harness.wall(), harness.clock[0] + number, pool)
                if harness.ledger.job(fast).state is State.RUNNING:
                    break
                threading.Event().wait(0.05)
            assert harness.ledger.job(fast).state is State.RUNNING
            assert (harness.ledger.job(slow).state, len(calls)) == (State.SUBMITTING, 1)
            gate.set()
    finally:
        gate.set()
        harness.adapter.upload = upload  # type: ignore[method-assign]


def test_offers_of_an_unknown_shape_do_not_stop_the_reaper(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown answer of one platform affects that platform alone."""

    def offers() -> list[Offer]:
        raise KeyError("gpus")

    monkeypatch.setattr(harness.adapter, "offers", offers)
    harness.adapter.create(
        Submission(f"{harness.controllers[0].packer.prefix}lost-1", "cpu-basic", 600.0, {}, "key")
    )
    harness.standin.on_cancel = lambda one: harness.standin.end(one, CANCELLED)
    harness.step(1.0)
    assert harness.standin.running() == []


def test_a_job_whose_platform_is_not_configured_any_more_says_so(
    harness: PlatformHarness, tmp_path: Path
) -> None:
    """The platform cannot be asked: the card names what to do."""
    job = running_job(harness)
    harness.controllers[0] = RemoteController(harness.ledger, {}, harness.controllers[0].packer, tmp_path)
    harness.step(20.0)
    assert "not configured here any more" in str(job_card(harness.ledger.job(job), harness.wall()))


def test_a_report_with_notes_of_another_shape_still_closes_its_job(harness: PlatformHarness) -> None:
    """A bucket may return any JSON."""
    job = running_job(harness)
    remote = remotes_of(harness.ledger.engine, job)[0]
    remote = decide_outcome(harness.ledger.engine, remote, Outcome.FINISHED, "done", 1.0)
    remote = keep_result(harness.ledger.engine, remote, {"kind": "finetune", "notes": 7}, {})
    close(harness.ledger.engine, remote, ["Not erased: x."], 2.0)
    assert (harness.ledger.job(job).report or {})["notes"] == ["Not erased: x."]


def test_a_slow_refusal_s_waiting_time_holds_in_a_pool_too(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that run during the create do not end the wait that its refusal asks for."""
    create, answers = harness.adapter.create, []

    def slow(submission: Submission) -> str:
        answers.append(submission.tag)
        threading.Event().wait(0.3)
        return create(submission)

    monkeypatch.setattr(harness.adapter, "create", slow)
    job = harness.submit()
    harness.standin.create_faults += ["429", "429", "429"]
    with ThreadPoolExecutor(4) as pool:
        for number in range(19):
            harness.controllers[0].step(harness.wall(), harness.clock[0] + number, pool)
            threading.Event().wait(0.05)
    assert (len(answers), harness.ledger.job(job).state) == (1, State.SUBMITTING)
