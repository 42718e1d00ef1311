"""Approval requests of a job: who is asked, in which messages, and the decision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, select

from worker.jobs.records import Job
from worker.ledger.database import reading
from worker.ledger.tables import posts
from worker.ledger.transitions import enqueue_post


def ask_approval(connection: Connection, job: Job, now: float, why: str, approvers: Collection[str]) -> None:
    """Enqueues the request for the job's channel and for each approver (user id) except its launcher."""
    enqueue_post(connection, job, now, "approval_request", "approval", {"why": why})
    for person in sorted(set(approvers) - {job.by}):
        own = replace(job, channel=person, thread_ts=None)
        enqueue_post(connection, own, now, "approval_direct", f"approval:{person}", {"why": why})


def decision(by: str, by_name: str, why: str, now: float, yes: bool) -> dict[str, Any]:
    """The stored form of a decision on the approval."""
    return {"by": by, "by_name": by_name or by, "at": now, "why": why, "approved": yes}


def approval_requests(engine: Engine, job_id: str) -> list[tuple[str, str]]:
    """(channel, ts) of every message that asked for this job's approval."""
    requests = (posts.c.job_id == job_id) & posts.c.kind.in_(["approval_request", "approval_direct"])
    query = select(posts.c.channel, posts.c.posted_ts).where(requests & (posts.c.posted_ts != ""))
    with reading(engine) as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]
