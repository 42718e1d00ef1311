"""What people wrote is dropped after its time; that a job was, and how it ended, stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, update

from worker.jobs.records import JobRequest
from worker.jobs.states import State, Trigger
from worker.kinds.try_model import TRY
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.ledger import Ledger
from worker.ledger.retention import forget_older, forget_person
from worker.ledger.transitions import locked_job, move

DAY_S = 86_400.0
REPORT = {
    "headline": "LoRA reads 86% right.",
    "systems": [{"name": "Tuned", "accuracy": {"value": 0.86}}],
    "examples": [{"ticket": "my card 4111 was charged"}],
    "pairs": {
        "tuned": "A",
        "baseline": "B",
        "rows": [{"ticket": "Maria asks", "tuned": "Dear Maria", "baseline": "Hi"}],
    },
    "confused": [{"true": "billing", "predicted": "login", "count": 3, "example": "Maria cannot pay"}],
}


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(str(tmp_path / "l.db"), clock=Clock())


def past_job(ledger: Ledger, key: str, kind: str = "finetune", digest: str = "d1") -> str:
    """A job that has succeeded with a report that quotes tickets."""
    spec = {"text": "Maria cannot pay"} if kind == TRY else {"method": "lora", "digest": digest}
    job = ledger.submit(JobRequest(kind, spec, "d", "U1", "m", "T", "C1", None, key))
    with writing(ledger.engine) as connection:
        row = locked_job(connection, job.id)
        for trigger in (Trigger.LEASE, Trigger.START, Trigger.WRAP_UP):
            row = move(connection, row, trigger, ledger.clock(), "w")
        move(connection, row, Trigger.FINISH, ledger.clock(), "w", report=REPORT)
        connection.execute(insert(tables.plots).values(job_id=job.id, name="loss.png", png=b"x"))
    return job.id


def everything(ledger: Ledger) -> str:
    """All that stands in the ledger, as text."""
    with reading(ledger.engine) as connection:
        return str([list(connection.execute(table.select())) for table in tables.metadata.tables.values()])


def test_texts_are_erased_while_figures_and_history_stay(ledger: Ledger) -> None:
    """Quoted tickets, typed ones, threads and pictures; not the headline, the scores, or who did what."""
    job, trial = past_job(ledger, "a"), past_job(ledger, "b", TRY)
    ledger.save_thread("C1", "1.1", {"question": "Maria asks"})
    for post in ledger.due_posts():
        ledger.complete_post(post.id, "1.2")
    before = ledger.history(job)
    now = ledger.clock() + 31 * DAY_S
    assert forget_older(ledger.engine, now - 30 * DAY_S, now) == 2
    assert "Maria" not in everything(ledger)
    assert "4111" not in everything(ledger)
    row = ledger.job(job)
    assert row.report is not None
    assert (row.state, row.report["headline"]) == (State.SUCCEEDED, REPORT["headline"])
    assert row.report["confused"] == [{"true": "billing", "predicted": "login", "count": 3}]
    assert row.spec == {"method": "lora", "digest": "d1"}
    assert ledger.plots(job) == {}
    assert ledger.job(trial).spec["text"] == ""
    assert (ledger.job(trial).report or {})["headline"] == ""
    assert ledger.thread("C1", "1.1") is None
    assert ledger.history(job) == before
    assert forget_older(ledger.engine, now - 30 * DAY_S, now) == 0


def test_recent_running_or_unreported_jobs_are_kept(ledger: Ledger) -> None:
    """A job that ended yesterday, one that waits for a month, and a report that Slack has not taken yet."""
    waiting = ledger.submit(JobRequest("finetune", {}, "d", "U1", "m", "T", "C1", None, "w")).id
    owed = past_job(ledger, "o")
    now = ledger.clock() + 31 * DAY_S
    with writing(ledger.engine) as connection:
        connection.execute(update(tables.posts).values(body={"why": "not told yet"}))
    ledger.clock.now = now - DAY_S  # type: ignore[attr-defined]
    young = past_job(ledger, "y")
    assert forget_older(ledger.engine, now - 30 * DAY_S, now) == 1
    assert ledger.job(waiting).state is State.QUEUED
    assert ledger.job(young).report == REPORT
    assert any(post.job_id == owed and post.body for post in ledger.due_posts(now))


def test_a_person_is_forgotten_where_they_were_quoted_and_others_stay(ledger: Ledger) -> None:
    """Jobs on their rows quote nothing any more; elsewhere only their name goes, in any case."""
    theirs, other, trial = (
        past_job(ledger, "a"),
        past_job(ledger, "b", digest="d2"),
        past_job(ledger, "c", TRY),
    )
    running = ledger.submit(JobRequest("finetune", {"digest": "d1"}, "d", "U1", "m", "T", "C1", None, "w")).id
    ledger.save_thread("C1", "1.1", {"question": "MARIA asks", "notes": ["Marianne too", 3]})
    ledger.save_thread("C1", "2.2", {"question": "Otto asks"})
    for post in ledger.due_posts():
        ledger.complete_post(post.id, "1.2")
    assert forget_person(ledger.engine, "Maria", frozenset({"d1"}), ledger.clock()) == 4
    assert "pairs" not in (ledger.job(theirs).report or {})
    report = ledger.job(other).report or {}
    assert report["pairs"]["rows"][0] == {
        "ticket": "<ERASED> asks",
        "tuned": "Dear <ERASED>",
        "baseline": "Hi",
    }
    assert report["examples"] == REPORT["examples"]
    assert ledger.plots(other)
    assert ledger.job(trial).spec["text"] == "<ERASED> cannot pay"
    assert ledger.thread("C1", "1.1") == {"question": "<ERASED> asks", "notes": ["Marianne too", 3]}
    assert ledger.thread("C1", "2.2") == {"question": "Otto asks"}
    assert ledger.job(running).state is State.QUEUED
    assert forget_person(ledger.engine, "Maria", frozenset(), ledger.clock()) == 0
