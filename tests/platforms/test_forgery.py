"""Someone else may write in the bucket: what the run's container did not write is refused, named, and never kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.slack.ui.job_card import job_card
from finetune.platforms.runs import DONE, MANIFEST, REPORT
from tests.platforms.harness import PlatformHarness, standalone_harness
from tests.platforms.huggingface_server import WIRE
from worker.jobs.states import State
from worker.ledger.remotes import remotes_of

pytestmark = pytest.mark.integration


@pytest.fixture
def harness() -> Iterator[PlatformHarness]:
    yield from standalone_harness(WIRE)


def running_job(harness: PlatformHarness) -> str:
    """A job whose container trains."""
    job = harness.submit()
    harness.step(1.0)
    harness.advance(next(iter(harness.standin.jobs.values())), "start")
    harness.step(20.0)
    return job


def finished_job(harness: PlatformHarness) -> tuple[str, str]:
    """A job whose container has left its result, and its tag."""
    job = running_job(harness)
    harness.finish(next(iter(harness.standin.jobs.values())))
    return job, remotes_of(harness.ledger.engine, job)[0].tag


@pytest.mark.parametrize("what", ["manifest", "file", "done", "replay"])
def test_a_result_that_the_container_did_not_write_is_refused_and_never_kept(
    harness: PlatformHarness, what: str
) -> None:
    """A forged manifest, a swapped file, a forged last word, another job's whole result: the reason names it, nothing is loaded."""
    earlier, source = finished_job(harness)
    copies = {path: harness.runs.read(source, path) or b"" for path in (MANIFEST, DONE, REPORT)}
    for _ in range(3):
        harness.step(20.0)
    assert harness.ledger.job(earlier).state is State.SUCCEEDED
    harness.standin.jobs.clear()
    job, tag = finished_job(harness)
    assert harness.own_key(tag).secret not in str(
        [harness.runs.read(tag, path) for path in (*copies, "order")]
    )
    if what == "manifest":
        harness.runs.write(tag, MANIFEST, b'{"files": []}')
    elif what == "file":
        harness.runs.write(tag, "files/model/model.safetensors", b"theirs!")
    elif what == "done":
        harness.runs.write(tag, DONE, b'{"kind": "finished", "data": {}}')
    else:
        for path, data in copies.items():
            harness.runs.write(tag, path, data)
    for _ in range(8):
        harness.step(20.0)
    row = harness.ledger.job(job)
    name = {"manifest": MANIFEST, "file": "model.safetensors"}.get(what, DONE)
    assert (row.state, row.report) == (State.FAILED, None)
    assert name in (row.error or "")
    assert not (harness.home / "artifacts" / row.root).exists() or not list(
        (harness.home / "artifacts" / row.root).iterdir()
    )
    assert harness.standin.running() == []


def test_an_event_with_a_wrong_signature_is_not_shown_and_the_card_says_why(harness: PlatformHarness) -> None:
    """The container's own, written over it, is."""
    job = running_job(harness)
    harness.forge("event")
    harness.step(20.0)
    card = str(job_card(harness.ledger.job(job), harness.wall()))
    assert "does not bear this run's signature" in card
    assert "777" not in card
    harness.advance(next(iter(harness.standin.jobs.values())), "event")
    harness.step(20.0)
    assert harness.ledger.job(job).progress["step"] == 2
    assert "signature" not in str(job_card(harness.ledger.job(job), harness.wall()))
