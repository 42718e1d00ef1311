"""Someone else may write in the bucket: what the run's container did not write is refused, named, and never kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.slack.ui.job_card import job_card
from finetune.platforms.runs import DONE, MANIFEST, REPORT
from tests.platforms.huggingface_server import WIRE
from tests.platforms.world import World, open_before
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of

pytestmark = pytest.mark.integration


@pytest.fixture
def world() -> Iterator[World]:
    yield from open_before(WIRE)


def running_job(world: World) -> str:
    """A job whose container trains."""
    job = world.submit()
    world.step(1.0)
    world.advance(next(iter(world.standin.jobs.values())), "start")
    world.step(20.0)
    return job


def finished_job(world: World) -> tuple[str, str]:
    """A job whose container has left its result, and its tag."""
    job = running_job(world)
    world.finish(next(iter(world.standin.jobs.values())))
    return job, remotes_of(world.ledger.engine, job)[0].tag


@pytest.mark.parametrize("what", ["manifest", "file", "done", "replay"])
def test_a_result_that_the_container_did_not_write_is_refused_and_never_kept(world: World, what: str) -> None:
    """A forged manifest, a swapped file, a forged last word, another job's whole result: the reason names it, nothing is loaded."""
    earlier, source = finished_job(world)
    copies = {path: world.runs.read(source, path) or b"" for path in (MANIFEST, DONE, REPORT)}
    for _ in range(3):
        world.step(20.0)
    assert world.ledger.job(earlier).state is State.SUCCEEDED
    world.standin.jobs.clear()
    job, tag = finished_job(world)
    assert world.own_key(tag).secret not in str([world.runs.read(tag, path) for path in (*copies, "order")])
    if what == "manifest":
        world.runs.write(tag, MANIFEST, b'{"files": []}')
    elif what == "file":
        world.runs.write(tag, "files/model/model.safetensors", b"theirs!")
    elif what == "done":
        world.runs.write(tag, DONE, b'{"kind": "finished", "data": {}}')
    else:
        for path, data in copies.items():
            world.runs.write(tag, path, data)
    for _ in range(8):
        world.step(20.0)
    row = world.ledger.job(job)
    name = {"manifest": MANIFEST, "file": "model.safetensors"}.get(what, DONE)
    assert (row.state, row.report) == (State.FAILED, None)
    assert name in (row.error or "")
    assert not (world.home / "artifacts" / row.root).exists() or not list(
        (world.home / "artifacts" / row.root).iterdir()
    )
    assert world.standin.running() == []


def test_a_stranger_s_event_is_not_shown_and_the_card_says_why(world: World) -> None:
    """The container's own, written over it, is."""
    job = running_job(world)
    world.forge("event")
    world.step(20.0)
    card = str(job_card(world.ledger.job(job), world.wall()))
    assert "does not bear this run's signature" in card
    assert "777" not in card
    world.advance(next(iter(world.standin.jobs.values())), "event")
    world.step(20.0)
    assert world.ledger.job(job).progress["step"] == 2
    assert "signature" not in str(job_card(world.ledger.job(job), world.wall()))
