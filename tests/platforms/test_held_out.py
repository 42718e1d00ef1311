"""Held-out rows of triage stay here on every platform that runs our image, and the returned model is evaluated here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.slack.ui.job_card import job_card
from finetune.data.split import split
from finetune.platforms.contract import Result, Submission
from finetune.platforms.runs import DATA, ORDER
from tests.platforms import harness as world_of_tests
from tests.platforms import huggingface_server
from tests.platforms.harness import RESULT, ROWS, TEXTS, PlatformHarness, standalone_harness
from tests.platforms.wires import WIRES
from worker.dispatch.local_evaluation import HostedRun, MeasuringFailure, TrainedRun
from worker.dispatch.packing import Packer
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of
from worker.transport.signing import unseal

pytestmark = pytest.mark.integration
SIDES = split(ROWS, 7)
SENT = {TEXTS[at] for at in (*SIDES.train, *SIDES.dev)}
HELD_OUT = set(TEXTS) - SENT


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(huggingface_server.WIRE)


@pytest.fixture(params=[name for name, wire in WIRES.items() if wire.platform.gives == "weights"])
def any_world(request: Any) -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRES[request.param])


def first_submission(harness: PlatformHarness) -> Submission:
    """What the controller hands to the platform for a new job."""
    submissions: list[Submission] = []
    upload = harness.adapter.upload

    def look(submission: Submission) -> list[str]:
        submissions.append(submission)
        return upload(submission)

    harness.adapter.upload = look  # type: ignore[method-assign]
    try:
        harness.submit()
        harness.step(1.0)
    finally:
        harness.adapter.upload = upload  # type: ignore[method-assign]
    return submissions[0]


def finish_job(harness: PlatformHarness) -> str:
    """The newest job, whose container has left its result."""
    job = harness.submit()
    harness.step(1.0)
    machine = list(harness.standin.jobs.values())[-1]
    harness.advance(machine, "start")
    harness.step(20.0)
    harness.finish(machine)
    return job


def test_no_held_out_row_goes_to_any_platform(any_world: PlatformHarness) -> None:
    """Neither in the files nor in what lies in the bucket; the order says how many rows choose, and is signed."""
    submission = first_submission(any_world)
    rows = next(data for path, data in submission.files.items() if path.startswith(DATA)).decode()
    assert HELD_OUT
    assert [text for text in HELD_OUT if text in rows] == []
    assert [text for text in SENT if text not in rows] == []
    places = [path for path in any_world.home.rglob("*") if path.is_file() and "runs" in path.parts]
    assert [path for path in places for text in HELD_OUT if text.encode() in path.read_bytes()] == []
    order = unseal(submission.files[ORDER], any_world.key.public)
    assert order["choosing"] == len(SIDES.dev)


def test_what_comes_back_is_measured_here_on_all_rows(harness: PlatformHarness) -> None:
    """The report is this measurement's; of the container's files only the model and what the measurement goes on from count."""
    runs: list[TrainedRun] = []

    def measure(run: HostedRun | TrainedRun, should_stop: Callable[[], bool]) -> Result:
        assert isinstance(run, TrainedRun)
        runs.append(run)
        assert sorted(path.name for path in run.folder.iterdir()) == ["model", "trained.json"]
        return Result({**RESULT, "headline": "Measured at home."}, {}, "")

    harness.controllers[0].measure = measure
    machine_folder = harness.home / "work"
    job = harness.submit()
    harness.step(1.0)
    machine = next(iter(harness.standin.jobs.values()))
    harness.advance(machine, "start")
    (machine_folder / machine.id).mkdir(parents=True)
    (machine_folder / machine.id / "report.json").write_text('{"headline": "What the container says."}')
    harness.finish(machine)
    for _ in range(4):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.SUCCEEDED
    assert (harness.ledger.job(job).report or {})["headline"] == "Measured at home."
    assert [row.text for row in runs[0].tickets.rows] == TEXTS
    assert runs[0].training == {"kind": "training", "notes": []}


def test_a_model_that_cannot_be_measured_is_kept_and_named_in_the_one_report(
    harness: PlatformHarness,
) -> None:
    """It has been paid for: the job fails once, says why, and how to ask the model; nothing is left at the platform."""

    def fail(run: HostedRun | TrainedRun, should_stop: Callable[[], bool]) -> Result:
        raise MeasuringFailure("The base model Qwen/Qwen3-0.6B could not be had from the hub.")

    harness.controllers[0].measure = fail
    job = finish_job(harness)
    for _ in range(8):
        harness.step(20.0)
    row = harness.ledger.job(job)
    assert row.state is State.FAILED
    assert "could not be measured here" in (row.error or "")
    assert f"trainwise try {job}" in (row.error or "")
    assert "Qwen/Qwen3-0.6B" in (row.error or "")
    assert list((harness.home / "artifacts" / row.root).glob("*/model/model.safetensors"))
    harness.judge()
    assert harness.problems == []


def test_a_machine_that_cannot_measure_refuses_before_anything_leaves(harness: PlatformHarness) -> None:
    """The reason says what to install."""
    packer = harness.controllers[0].packer
    harness.controllers[0].packer = replace(packer, gap="Install the extra `train` here.")
    job = harness.submit()
    for _ in range(3):
        harness.step(20.0)
    assert (harness.ledger.job(job).state, harness.ledger.job(job).error) == (
        State.FAILED,
        "Install the extra `train` here.",
    )
    assert harness.standin.creates == 0
    harness.judge()
    assert harness.problems == []


def test_all_rows_go_along_where_the_bot_is_set_up_so(harness: PlatformHarness) -> None:
    """Then the container measures, and a report on other rows than the job's is refused."""
    packer = harness.controllers[0].packer
    harness.controllers[0].packer = Packer(
        packer.key, packer.rows, packer.prices, keeps_held_out=False, gap="-"
    )
    submission = first_submission(harness)
    rows = next(data for path, data in submission.files.items() if path.startswith(DATA)).decode()
    assert [text for text in TEXTS if text not in rows] == []
    assert unseal(submission.files[ORDER], harness.key.public)["choosing"] is None
    job, machine = harness.jobs[-1], next(iter(harness.standin.jobs.values()))
    harness.advance(machine, "start")
    folder = harness.home / "old"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "trainwise.json").write_text("{}")
    report = {**RESULT, "dataset": {"digest": "of other rows"}}
    leave_result(harness, machine.tag, folder, report)
    harness.standin.end(machine, "succeeded")
    for _ in range(8):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.FAILED
    assert "older than the bot" in (harness.ledger.job(job).error or "")


@pytest.mark.parametrize("fails", [False, True])
def test_a_container_s_own_report_on_replies_is_rechecked(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """All rows go along; a note says how far its figures can be repeated here, and a check that breaks costs the job nothing."""
    monkeypatch.setattr(world_of_tests, "SPEC", {**world_of_tests.SPEC, "task": "reply", "method": "scratch"})

    def measure(run: HostedRun | TrainedRun, should_stop: Callable[[], bool]) -> Result:
        assert isinstance(run, TrainedRun)
        assert run.training["headline"] == "By the container."
        assert (run.folder / "model" / "trainwise.json").is_file()
        if fails:
            raise MeasuringFailure("No memory is left.")
        return Result({"note": "5 are the same."}, {}, "")

    harness.controllers[0].measure = measure
    submission = first_submission(harness)
    assert unseal(submission.files[ORDER], harness.key.public)["choosing"] is None
    machine = next(iter(harness.standin.jobs.values()))
    harness.advance(machine, "start")
    folder = harness.home / "there"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "trainwise.json").write_text("{}")
    leave_result(harness, machine.tag, folder, {**RESULT, "headline": "By the container."})
    harness.standin.end(machine, "succeeded")
    for _ in range(4):
        harness.step(20.0)
    row = harness.ledger.job(harness.jobs[0])
    assert row.state is State.SUCCEEDED
    words = "could not be checked here: No memory is left." if fails else "5 are the same."
    assert words in str((row.report or {})["notes"])


def leave_result(harness: PlatformHarness, tag: str, folder: Path, report: dict[str, Any]) -> None:
    """A container's result and its last word, with the run's proof."""
    harness.runs.save_result(harness.own_key(tag), folder, report, {})
    harness.runs.sign(harness.own_key(tag), "done.json", {"kind": "finished", "data": {}})


def test_one_model_is_measured_at_a_time(harness: PlatformHarness) -> None:
    """The other one's card says that it waits; nothing of it is fetched meanwhile, and it is not given up."""
    controller = harness.controllers[0]
    controller._turn.acquire()
    job = finish_job(harness)
    for _ in range(60):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.FINALIZING
    assert "another model" in str(job_card(harness.ledger.job(job), harness.wall()))
    controller._turn.release()
    for _ in range(3):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.SUCCEEDED
    assert len(remotes_of(harness.ledger.engine, job)) == 1
