"""The weekly digest of a channel's jobs; a channel can switch it off."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select

from finetune.reports import headline_of
from worker.jobs.records import Job, job_of
from worker.jobs.states import END_STATES
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.transitions import enqueue_post

HOUR = 8
SHOWN = 5


def enqueue_digests(engine: Engine, now: float) -> int:
    """On Mondays from 8:00 UTC enqueues one message per channel whose jobs ended last week; returns how many were due.

    Idempotent: each channel gets one per week (the dedupe key is the week).
    """
    moment = datetime.fromtimestamp(now, UTC)
    if moment.weekday() != 0 or moment.hour < HOUR:
        return 0
    monday = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    since = monday - timedelta(days=7)
    year, week, _ = since.isocalendar()
    with reading(engine) as connection:
        due = _by_channel(connection, since.timestamp(), monday.timestamp())
    for channel, jobs in due.items():
        with writing(engine) as connection:
            last = replace(jobs[-1], thread_ts=None)
            about = f"digest:{channel}:{year}-W{week:02d}"
            enqueue_post(connection, last, now, "digest", about, summary(jobs))
    return len(due)


def summary(jobs: list[Job]) -> dict[str, Any]:
    """The digest: counts by end state, dollars, and the last few jobs with their headline or error."""
    counts = Counter(str(job.state) for job in jobs)
    lines = [
        {"id": job.id, "state": str(job.state), "dataset": job.dataset, "said": _sentence(job)}
        for job in jobs[-SHOWN:]
    ]
    return {"counts": dict(counts), "usd": round(sum(job.spent_usd for job in jobs), 2), "jobs": lines}


def _by_channel(connection: Connection, since: float, until: float) -> dict[str, list[Job]]:
    jobs, notices = tables.jobs, tables.channel_notices
    this_week = jobs.c.state.in_(list(END_STATES)) & (jobs.c.ended_at >= since) & (jobs.c.ended_at < until)
    quiet = select(notices.c.channel).where(notices.c.digest.is_(False))
    loud = (jobs.c.channel != "") & jobs.c.channel.not_in(quiet)
    query = select(jobs).where(this_week & loud).order_by(jobs.c.ended_at)
    by_channel: dict[str, list[Job]] = {}
    for job in map(job_of, connection.execute(query).mappings()):
        if not job.channel.startswith("D"):  # a person's own messages need no weekly round-up
            by_channel.setdefault(job.channel, []).append(job)
    return by_channel


def _sentence(job: Job) -> str:
    return (headline_of(job.report) or job.error or "")[:300]
