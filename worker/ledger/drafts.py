"""A job as it is drafted from a request, before the ledger accepts it."""

from __future__ import annotations

import secrets

from worker.jobs.records import Job, JobRequest
from worker.jobs.states import State
from worker.ledger.budgets import month_of

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def draft_of(request: JobRequest, now: float) -> Job:
    """The draft that a request asks for, with an id of its own."""
    job_id = "".join(secrets.choice(LETTERS) for _ in range(8))
    old = request.retry_of
    return Job(
        id=job_id,
        kind=request.kind,
        state=State.DRAFT,
        version=1,
        spec=dict(request.spec),
        dataset=request.dataset,
        by=request.by,
        by_name=request.by_name,
        team=request.team,
        channel=request.channel,
        thread_ts=request.thread_ts,
        root=old.root if old else job_id,
        retry_of=old.id if old else None,
        month=month_of(now),
        estimate_usd=request.estimate_usd,
        reserved_usd=request.estimate_usd,
        created_at=now,
        updated_at=now,
        platform=request.platform,
        machine=request.machine,
    )
