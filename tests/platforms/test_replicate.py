"""What Replicate's adapter holds beside the contract: a real run by our Cog entry point, all of it back before it vanishes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.replicate import app
from finetune.data.ticket import canonical
from finetune.platforms.contract import NotMade, Reference, Stage, Submission
from finetune.platforms.replicate import echo, echoes_of
from finetune.platforms.run_key import RunKey
from finetune.platforms.runs import DATA, ORDER
from finetune.spec import parse_spec
from tests.platforms.replicate_server import KEPT_S, WIRE, ReplicateServer
from tests.platforms.standin import SUCCEEDED
from tests.platforms.world import ROWS, World, open_world
from worker.runtime.cog_training import train_run
from worker.transport.signing import PREFIX, Envelope, encode, order, seal

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-job00001-1"


@pytest.fixture
def world() -> Iterator[World]:
    clock = [1_800_000_000.0]
    server = ReplicateServer(lambda: clock[0])
    here = open_world(WIRE, server, clock)
    yield here
    assert server.violations == []
    here.close()
    server.close()


def submission(world: World) -> Submission:
    """A signed order with its rows, as the desk hands it on."""
    spec = parse_spec({"dataset": "few", "digest": ROWS.digest, "method": "linear"}).to_json()
    envelope = Envelope("job00001", 1, TAG, "job00001", "finetune", spec, "few", 4e9, 600, 0.0, 5.0)
    message = {**order(envelope), "remote": TAG, "price_per_hour": 0.6, "prices": {}}
    files = {
        ORDER: seal(message, world.key),
        f"{DATA}/rows/{ROWS.digest}.jsonl": canonical(ROWS.rows),
    }
    public = PREFIX + encode(world.key.public.raw.public_bytes_raw())
    return Submission(TAG, WIRE.machine, 600.0, files, public, run_key=world.key.run_secret(TAG))


def play(world: World, order_of_job: Submission, home: Path) -> Reference:
    """The job of a submission as our Cog entry point runs it, ended a minute and a half after its start."""
    server = world.standin
    assert isinstance(server, ReplicateServer)
    world.adapter.upload(order_of_job)
    number = world.adapter.create(order_of_job)
    job, log, archive = server.jobs[number], io.StringIO(), home / "run.zip"
    archive.write_bytes(next(iter(server.files.values()))["data"])
    key = RunKey(TAG, job.body["input"]["run_key"])
    weights = train_run(archive, key, job.body["input"]["bot_key"], home / "container", log)
    job.stage, job.started_at, job.ended_at = SUCCEEDED, world.clock[0], world.clock[0] + 90.0
    server.left[number] = (log.getvalue(), weights.read_bytes())
    server.models[f"acme/{TAG}"].append("v1")
    world.clock[0] += 100.0
    return Reference(TAG, number, 0, key.secret)


def test_a_run_that_fails_says_so_in_its_log(world: World, tmp_path: Path) -> None:
    """Rows that are not there: the reason comes back with the run's proof, and there is no result."""
    order_of_job = submission(world)
    without_rows = replace(order_of_job, files={ORDER: order_of_job.files[ORDER]})
    sighting = world.adapter.look(play(world, without_rows, tmp_path))
    assert (sighting.stage, sighting.ran_s, (sighting.end or {})["kind"]) == (Stage.SUCCEEDED, 90.0, "failed")


@pytest.mark.slow
def test_a_real_run_comes_back_by_log_and_output_and_stays_when_replicate_has_forgotten_it(
    world: World, tmp_path: Path
) -> None:
    """Our Cog entry point trains what was uploaded; an hour after the end the bot still has the result, and nothing is left there."""
    reference = play(world, submission(world), tmp_path)
    sighting = world.adapter.look(reference)
    assert (sighting.stage, (sighting.end or {})["kind"]) == (Stage.SUCCEEDED, "finished")
    assert sighting.events[0] == {"kind": "phase", "phase": "loading"}
    world.clock[0] += KEPT_S
    assert (world.adapter.look(reference).end or {})["kind"] == "finished"
    result = world.adapter.result(reference, tmp_path / "back")
    assert result.report["kind"] == "finetune"
    assert (tmp_path / "back" / "files" / "model" / "trainwise.json").is_file()
    with pytest.raises(Exception, match="still deleting"):
        world.adapter.erase(reference)
    assert world.adapter.erase(reference) == []
    assert world.uploads() == []


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


def test_a_search_reads_more_than_one_page(world: World) -> None:
    """A job that is not among the newest is found, and others of the account are not."""
    order_of_job = submission(world)
    world.adapter.upload(order_of_job)
    number = world.adapter.create(order_of_job)
    for other in range(4):
        world.standin.make(f"other-{other}", world.standin.jobs[number].body)
    assert [one.remote_id for one in world.adapter.find(TAG)] == [number]
    assert [one.remote_id for one in world.adapter.find("tw-abcdef-")] == [number]


def test_a_file_that_is_not_listed_yet_is_waited_for(world: World) -> None:
    """Nothing is created without the rows."""
    with pytest.raises(NotMade) as refusal:
        world.adapter.create(submission(world))
    assert refusal.value.retry_after_s
    assert world.standin.jobs == {}


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
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    missing = CliRunner().invoke(app, ["push", "acme/trainwise"])
    assert "Cog is not installed here" in str(missing.exception)
