"""The ledger decides once per job which notices a channel gets; the report is always sent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from worker.errors import WorkerError
from worker.jobs.records import Job, JobRequest
from worker.ledger.ledger import Ledger
from worker.ledger.notifications import NAMES, Notices, notices, set_notice


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(str(tmp_path / "l.db"))


def submit(ledger: Ledger, key: str, by: str = "U1", approval: str | None = None) -> Job:
    return ledger.submit(JobRequest("finetune", {}, "d", by, "m", "T", "C1", "9.9", key, approval=approval))


def test_everything_is_on_until_switched_off_and_each_alone(ledger: Ledger) -> None:
    """One switch leaves the others and other channels as they were; an unknown name is refused."""
    assert notices(ledger.engine, "C1") == Notices()
    for name in NAMES:
        set_notice(ledger.engine, "C1", name, False, "U1", 1.0)
        assert getattr(set_notice(ledger.engine, "C1", name, True, "U1", 1.0), name)
    assert set_notice(ledger.engine, "C1", "failed", False, "U1", 2.0) == Notices(failed=False)
    assert notices(ledger.engine, "C1") == Notices(failed=False)
    assert notices(ledger.engine, "C2") == Notices()
    with pytest.raises(WorkerError, match="There is no notice"):
        set_notice(ledger.engine, "C1", "set_by", False, "U1", 1.0)


@pytest.mark.parametrize(
    ("off", "end", "goes_to"),
    [
        ("finished", "cancel", ("U1", None)),
        ("finished", "reject", ("C1", "9.9")),
        ("failed", "reject", ("U1", None)),
        ("failed", "cancel", ("C1", "9.9")),
    ],
)
def test_a_report_the_channel_does_not_want_goes_to_its_launcher(
    ledger: Ledger, off: str, end: str, goes_to: tuple[str, str | None]
) -> None:
    """One report either way; what is set after the end changes nothing."""
    job = submit(ledger, "k", approval="dear" if end == "reject" else None)
    set_notice(ledger.engine, "C1", off, False, "U2", 1.0)
    ledger.reject(job.id, "U2", "no") if end == "reject" else ledger.request_cancel(job.id, "U1", "enough")
    set_notice(ledger.engine, "C1", off, True, "U2", 2.0)
    (report,) = [post for post in ledger.due_posts() if post.kind == "final_report"]
    assert (report.channel, report.thread_ts) == goes_to


def test_a_job_from_a_terminal_has_no_messages_of_its_own(ledger: Ledger) -> None:
    """Nobody in Slack launched it: the channel is told whatever it wants."""
    for name in NAMES:
        set_notice(ledger.engine, "C1", name, False, "U2", 1.0)
    job = submit(ledger, "k", by="terminal")
    ledger.request_cancel(job.id, "terminal", "enough")
    (report,) = ledger.due_posts()
    assert (job.card_channel, report.channel) == (None, "C1")


def test_a_ledger_of_an_earlier_version_gets_the_columns_it_lacks(tmp_path: Path) -> None:
    """An upgrade keeps the jobs."""
    first = Ledger(str(tmp_path / "l.db"))
    job = submit(first, "k")
    first.close()
    with sqlite3.connect(tmp_path / "l.db") as file:
        file.execute("alter table jobs drop column card_channel")
    assert Ledger(str(tmp_path / "l.db")).job(job.id) == job
