"""What Replicate's adapter holds beside the contract: a real run by our Cog entry point, all of it back before it vanishes."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli.replicate import app
from bot.slack.ui.job_card import job_card
from finetune.data.ticket import canonical
from finetune.platforms.contract import BadKey, NoAnswer, NotMade, Reference, Stage, Submission
from finetune.platforms.replicate import echo, echoes_of
from finetune.platforms.run_key import RunKey
from finetune.platforms.runs import DATA, ORDER, REPORT_BYTES
from finetune.spec import parse_spec
from tests.platforms.harness import ROWS, PlatformHarness, open_harness
from tests.platforms.replicate_server import KEPT_S, WIRE, ReplicateServer
from tests.platforms.standin import CANCELLED, SUCCEEDED, PlatformJob
from worker.errors import WorkerError
from worker.jobs.states import State
from worker.runtime.cog_training import train_run
from worker.transport.signing import PREFIX, Envelope, encode, order, seal

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-job00001-1"


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    clock = [1_800_000_000.0]
    server = ReplicateServer(lambda: clock[0])
    here = open_harness(WIRE, server, clock)
    yield here
    assert server.violations == []
    here.close()
    server.close()


def submission(harness: PlatformHarness) -> Submission:
    """A signed order with its rows, as the controller submits it."""
    spec = parse_spec({"dataset": "few", "digest": ROWS.digest, "method": "linear"}).to_json()
    envelope = Envelope("job00001", 1, TAG, "job00001", "finetune", spec, "few", 4e9, 600, 0.0, 5.0)
    message = {**order(envelope), "remote": TAG, "price_per_hour": 0.6, "prices": {}}
    files = {
        ORDER: seal(message, harness.key),
        f"{DATA}/rows/{ROWS.digest}.jsonl": canonical(ROWS.rows),
    }
    public = PREFIX + encode(harness.key.public.raw.public_bytes_raw())
    return Submission(TAG, WIRE.machine, 600.0, files, public, run_key=harness.key.run_secret(TAG))


def play(harness: PlatformHarness, order_of_job: Submission, home: Path) -> Reference:
    """The job of a submission as our Cog entry point runs it, ended a minute and a half after its start."""
    server = harness.standin
    assert isinstance(server, ReplicateServer)
    harness.adapter.upload(order_of_job)
    number = harness.adapter.create(order_of_job)
    job, log, archive = server.jobs[number], io.StringIO(), home / "run.zip"
    archive.write_bytes(next(iter(server.files.values()))["data"])
    key = RunKey(TAG, job.body["input"]["run_key"])
    weights = train_run(archive, key, job.body["input"]["bot_key"], home / "container", log)
    job.stage, job.started_at, job.ended_at = SUCCEEDED, harness.clock[0], harness.clock[0] + 90.0
    server.left[number] = (log.getvalue(), weights.read_bytes())
    server.models[f"acme/{TAG}"].append("v1")
    harness.clock[0] += 100.0
    return Reference(TAG, number, 0, key.secret)


def test_a_run_that_fails_says_so_in_its_log(harness: PlatformHarness, tmp_path: Path) -> None:
    """Rows that are not there: the reason comes back with the run's proof, and there is no result."""
    order_of_job = submission(harness)
    without_rows = replace(order_of_job, files={ORDER: order_of_job.files[ORDER]})
    status = harness.adapter.look(play(harness, without_rows, tmp_path))
    assert (status.stage, status.ran_s, (status.end or {})["kind"]) == (Stage.SUCCEEDED, 90.0, "failed")


@pytest.mark.slow
def test_a_real_run_comes_back_by_log_and_output_and_stays_when_replicate_has_forgotten_it(
    harness: PlatformHarness, tmp_path: Path
) -> None:
    """Our Cog entry point trains what was uploaded; an hour after the end the bot still has the result, and nothing is left there."""
    reference = play(harness, submission(harness), tmp_path)
    status = harness.adapter.look(reference)
    assert (status.stage, (status.end or {})["kind"]) == (Stage.SUCCEEDED, "finished")
    assert status.events[0] == {"kind": "phase", "phase": "loading"}
    harness.clock[0] += KEPT_S
    assert (harness.adapter.look(reference).end or {})["kind"] == "finished"
    result = harness.adapter.result(reference, tmp_path / "back")
    assert result.report["kind"] == "finetune"
    assert (tmp_path / "back" / "files" / "model" / "trainwise.json").is_file()
    with pytest.raises(Exception, match="still deleting"):
        harness.adapter.erase(reference)
    assert harness.adapter.erase(reference) == []
    assert harness.uploads() == []


def job_in_training(harness: PlatformHarness) -> tuple[str, PlatformJob]:
    """A job whose container trains."""
    job = harness.submit()
    harness.step(1.0)
    (theirs,) = harness.standin.jobs.values()
    harness.advance(theirs, "start")
    harness.step(20.0)
    return job, theirs


def test_a_final_event_counts_only_with_its_output(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log shows the container's end while its weights still go up: nobody looks for files that are not there yet."""
    job, theirs = job_in_training(harness)
    with monkeypatch.context() as patch:
        patch.setattr(harness.standin, "end", lambda *_: None)
        harness.advance(theirs, "finish")
    for _ in range(8):
        harness.step(20.0)
    assert harness.ledger.job(job).state is State.RUNNING
    harness.standin.end(theirs, SUCCEEDED)
    for _ in range(8):
        harness.step(20.0)
    assert (harness.ledger.job(job).state, harness.problems) == (State.SUCCEEDED, [])


def test_a_full_disk_here_keeps_nobody_from_a_cancel(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log holds cannot be copied: the card says so, and Replicate is asked to end the training."""
    job, theirs = job_in_training(harness)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(harness.adapter.runs, "write", refuse)  # type: ignore[attr-defined]
    harness.standin.on_cancel = lambda one: harness.standin.end(one, CANCELLED)
    harness.advance(theirs, "event")
    harness.step(20.0)
    assert "No space left" in str(harness.ledger.job(job).progress["platform_note"])
    harness.ledger.request_cancel(job, "U1", "enough")
    for _ in range(4):
        harness.step(20.0)
    assert harness.standin.running() == []
    assert harness.ledger.job(job).state is State.CANCELLED


def test_the_bot_s_own_copy_goes_while_replicate_still_deletes(harness: PlatformHarness) -> None:
    """Weights that nobody needs any more lie on no disk here, however long Replicate takes."""
    order_of_job = submission(harness)
    harness.adapter.upload(order_of_job)
    reference = Reference(TAG, harness.adapter.create(order_of_job))
    harness.standin.models[f"acme/{TAG}"].append("v1")  # type: ignore[attr-defined]
    store: Any = harness.adapter
    store.runs.write(TAG, "life.json", b"{}")
    with pytest.raises(NoAnswer, match="still deleting"):
        harness.adapter.erase(reference)
    assert store.runs.read(TAG, "life.json") is None


def test_an_output_larger_than_ours_can_be_is_not_unpacked(harness: PlatformHarness, tmp_path: Path) -> None:
    """Its own list of sizes says so, before a byte of it is written."""
    machines: Any = harness.adapter
    path = tmp_path / "output.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.json", b" " * (REPORT_BYTES + 1))
    with zipfile.ZipFile(path) as archive, pytest.raises(NoAnswer, match="larger"):
        machines.machines._unpack(archive, TAG)


def test_a_training_at_replicate_cannot_be_ended_early(harness: PlatformHarness) -> None:
    """No word reaches its container: the card has no such button, and who asks all the same is told."""
    job, theirs = job_in_training(harness)
    harness.advance(theirs, "event")
    harness.step(20.0)
    card = str(job_card(harness.ledger.job(job), harness.wall()))
    assert "step 2" in card.lower()
    assert "job_finish" not in card
    with pytest.raises(WorkerError, match="Replicate trains job"):
        harness.ledger.request_finish(job, "U1")


def test_a_bill_that_is_refused_keeps_no_rows_at_the_platform(
    harness: PlatformHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that may not read its bills: the time at the offer's price counts, and everything is erased soon."""
    job, theirs = job_in_training(harness)

    def refuse_bill(*_: Any) -> Any:
        raise BadKey("This plan has no billing report.")

    monkeypatch.setattr(harness.adapter, "bill", refuse_bill)
    harness.advance(theirs, "finish")
    for _ in range(12):
        harness.step(20.0)
    row = harness.ledger.job(job)
    assert (row.state, harness.uploads()) == (State.SUCCEEDED, [])
    assert "Not erased" not in str(row.report)


def test_only_lines_of_the_container_s_own_objects_are_taken_from_a_log() -> None:
    """Other lines, other paths and broken ones count for nothing; of two for one path the later."""
    log = "\n".join(
        [
            "Downloading",
            echo("life.json", "1"),
            f"2026-11-30 {echo('life.json', '2')}",
            echo("report.json", "no"),
            echo("events/../../x.json", "no"),
            '{"trainwise": "done.json"',
        ]
    )
    assert echoes_of(log) == {"life.json": "2"}


def test_a_search_reads_more_than_one_page(harness: PlatformHarness) -> None:
    """A job that is not among the newest is found, and others of the account are not."""
    order_of_job = submission(harness)
    harness.adapter.upload(order_of_job)
    number = harness.adapter.create(order_of_job)
    for other in range(4):
        harness.standin.make(f"other-{other}", harness.standin.jobs[number].body)
    assert [one.remote_id for one in harness.adapter.find(TAG)] == [number]
    assert [one.remote_id for one in harness.adapter.find("tw-abcdef-")] == [number]


def test_a_file_that_is_not_listed_yet_is_waited_for(harness: PlatformHarness) -> None:
    """Nothing is created without the rows."""
    with pytest.raises(NotMade) as refusal:
        harness.adapter.create(submission(harness))
    assert refusal.value.retry_after_s
    assert harness.standin.jobs == {}


def test_push_gives_cog_our_code_with_the_entry_points_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the place of Cog, which needs Docker, notes what it was given; without it the command says what to install."""
    program = tmp_path / "bin" / "cog"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words; ls > {tmp_path}/files\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert CliRunner().invoke(app, ["push", "acme/trainwise"]).exit_code == 0
    assert (tmp_path / "words").read_text() == "push r8.im/acme/trainwise\n"
    names = set((tmp_path / "files").read_text().split())
    assert {
        "cog.yaml",
        "train.py",
        "predict.py",
        "worker.lock",
        "pyproject.toml",
        "worker",
        "finetune",
    } <= names
    build = (Path(__file__).parents[2] / "deploy" / "replicate" / "cog.yaml").read_text()
    assert "python_requirements: worker.lock" in build
    assert "run:" not in build  # Cog's commands are carried out before our code is there
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    missing = CliRunner().invoke(app, ["push", "acme/trainwise"])
    assert "Cog is not installed here" in str(missing.exception)
