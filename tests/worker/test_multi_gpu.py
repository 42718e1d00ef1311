"""One run in two processes under torchrun: reported once, stopped together, ended together, resumed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from finetune.errors import Stopped
from tests.integration.conftest import add_dataset
from tests.worker import counting_kind
from tests.worker.conftest import ROOT, WorkerHarness
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.kinds.job_kind import JobKind
from worker.runtime.attempt import RunCrash, Work
from worker.runtime.multi_gpu import outcome, over_ranks
from worker.transport.signing import Envelope

pytestmark = pytest.mark.integration
COUNTING = JobKind("counting", "Counting", counting_kind.count)


def work(folder: Path, stop: Callable[[], str | None], **spec: Any) -> tuple[Work, list[dict[str, Any]]]:
    """A run in a folder of its own, and the events it will tell."""
    events: list[dict[str, Any]] = []
    attempt, pids = folder / "attempt", folder / "pids"
    attempt.mkdir()
    pids.mkdir()
    spec = {"pids": str(pids), **spec}
    envelope = Envelope("j", 1, "f", "j", "finetune", spec, "d", 0.0, 60, 0.0, None)
    return Work(envelope, attempt, "none", events.append, stop, 0.0, {}), events


def pids_of(folder: Path) -> list[int]:
    return [int(path.read_text()) for path in (folder / "pids").iterdir()]


def alive(folder: Path) -> list[int]:
    """The run's processes that still do something (a zombie only waits for init)."""
    processes = [psutil.Process(pid) for pid in pids_of(folder) if psutil.pid_exists(pid)]
    return [process.pid for process in processes if process.status() != psutil.STATUS_ZOMBIE]


def test_two_processes_run_and_the_first_one_reports(tmp_path: Path) -> None:
    """Its events and its report only; the other one leaves when training is over; nothing stays behind."""
    run, events = work(tmp_path, lambda: None, steps=5)
    report = over_ranks(COUNTING, 2).run(run)
    assert report == {"headline": "counted", "shared": True}
    assert [event["step"] for event in events if event["kind"] == "step"] == [1, 2, 3, 4, 5]
    assert len(pids_of(tmp_path)) == 2
    assert not alive(tmp_path)
    assert [path.name for path in run.folder.iterdir()] == ["checkpoints"]


def test_a_process_that_dies_ends_the_others_and_the_run_may_be_tried_again(tmp_path: Path) -> None:
    """kill -9 of one rank: no process of the run is left, and the failure counts as one to repeat."""
    run, _ = work(tmp_path, lambda: None, steps=5000, dies_at=5)
    with pytest.raises(RunCrash, match="goes on from the last good checkpoint"):
        over_ranks(COUNTING, 2).run(run)
    assert len(pids_of(tmp_path)) == 2
    assert not alive(tmp_path)


def test_one_stop_ends_both_within_five_seconds(tmp_path: Path) -> None:
    """The first rank hears it; the other one, which listens to nobody, is ended with it; proved by pid."""
    stopped_at: list[float] = []

    def stop() -> str | None:
        if not any(event["kind"] == "step" for event in events):
            return None
        stopped_at.append(time.monotonic())
        return "cancel"

    run, events = work(tmp_path, stop, steps=5000)
    with pytest.raises(Stopped) as reason:
        over_ranks(COUNTING, 2).run(run)
    assert reason.value.reason == "cancel"
    assert time.monotonic() - stopped_at[0] < 5.0
    assert not alive(tmp_path)


def test_what_the_first_rank_left_is_told_as_it_was_meant() -> None:
    """A failure in words stays one, and one that may be repeated stays that."""
    with pytest.raises(RunCrash, match="odd"):
        outcome({"kind": "failed", "data": {"error": "odd", "retryable": True}})
    with pytest.raises(Exception, match="one class") as error:
        outcome({"kind": "failed", "data": {"error": "one class", "retryable": False}})
    assert not isinstance(error.value, RunCrash)


def start_worker_with_two_processes(harness: WorkerHarness, name: str) -> None:
    """A worker process that fine-tunes for real, each run in two processes on this CPU."""
    command = [
        sys.executable,
        "-m",
        "tests.worker.multi_process_worker",
        str(harness.home),
        harness.redis.url,
        name,
    ]
    log = (harness.home / f"{name}.log").open("ab")
    harness.workers.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))


def launch(harness: WorkerHarness, epochs: int) -> str:
    from finetune.data.store import DatasetStore
    from finetune.spec import parse_spec

    card = DatasetStore(str(harness.home / "datasets")).get("few")
    form = {
        "dataset": "few",
        "digest": card.digest,
        "method": "lora",
        "epochs": str(epochs),
        "patience": "100",
    }
    spec = parse_spec(form).to_json()
    return harness.ledger.submit(
        JobRequest("finetune", spec, "few", "U1", "maya", "T1", "C1", None, f"k{epochs}")
    ).id


def ranks(job: str) -> list[psutil.Process]:
    """The training processes of the job that live, torchrun itself aside."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if f"ranks-ft-{job}-" in " ".join(line) and "torch.distributed.run" not in line:
            processes.append(process)
    return processes


def intact(harness: WorkerHarness, job: str) -> int:
    """The step of the newest verified checkpoint of any attempt."""
    from finetune.training.checkpoints import newest_intact

    folders = (harness.home / "artifacts" / job).glob("*/checkpoints")
    steps = [int(folder.name.split("-")[1]) for folder, _ in map(newest_intact, folders) if folder]
    return max(steps, default=0)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_real_fine_tune_in_two_processes_survives_the_death_of_one_and_obeys_one_cancel(
    harness: WorkerHarness,
) -> None:
    """A rank killed after a checkpoint: the next attempt goes on from it and reports; a cancel leaves no process."""
    add_dataset(harness.home / "datasets", "few")
    start_worker_with_two_processes(harness, "w1")
    job = launch(harness, 12)
    harness.wait(job, lambda _: intact(harness, job) > 0 and len(ranks(job)) == 2, timeout_s=120)
    step = intact(harness, job)
    ranks(job)[-1].kill()
    harness.wait(job, lambda now: now.attempt == 2 and not now.progress.get("step"), timeout_s=120)
    again = harness.wait(job, lambda now: now.progress.get("step"), timeout_s=120)
    assert again.progress["step"] > step
    result = harness.end_of(job, timeout_s=180)
    assert (result.state, harness.reports(job)) == (State.SUCCEEDED, 1)
    second = launch(harness, 90)
    harness.wait(second, lambda now: now.progress.get("step") and len(ranks(second)) == 2, timeout_s=120)
    processes = ranks(second)
    began = time.monotonic()
    harness.ledger.request_cancel(second, "U1", "enough")
    assert harness.end_of(second, timeout_s=10).state is State.CANCELLED
    assert time.monotonic() - began < 5.0
    assert not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
