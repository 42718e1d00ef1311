"""The only code that changes a job's state: compare-and-set on `version`, an audit row, and posts and orders.

Everything here runs inside the caller's transaction, so it is atomic.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.errors import UnknownJob, WorkerError
from worker.jobs.progress import begin_run, end_run
from worker.jobs.records import HistoryLine, Job, attempt_of, job_of
from worker.jobs.states import ACTIVE_STATES, END_STATES, State, Trigger, next_state
from worker.ledger import tables
from worker.ledger.database import after_commit
from worker.ledger.notifications import ENDS, report_recipient
from worker.logs import log_event

log = logging.getLogger("trainwise.jobs")
END_VERBS = {"finished": "finish", "failed": "fail"}


class StaleVersion(WorkerError):
    """The row has changed since it was read; the caller reads it again and decides again."""


def locked_job(connection: Connection, job_id: str) -> Job:
    """The job, its row locked until the transaction ends."""
    query = select(tables.jobs).where(tables.jobs.c.id == job_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise UnknownJob(job_id)
    return job_of(row)


def set_columns(connection: Connection, job: Job, now: float, **columns: Any) -> Job:
    """The job with `columns` (fields of Job) set and its version one higher; StaleVersion when it was no longer as read."""
    values = {**columns, "version": job.version + 1, "updated_at": now}
    changed_job = replace(job, **values)
    same = (tables.jobs.c.id == job.id) & (tables.jobs.c.version == job.version)
    if connection.execute(update(tables.jobs).where(same).values(values)).rowcount != 1:
        raise StaleVersion(f"Job {job.id} was changed by someone else at the same moment; try again.")
    return changed_job


def move(
    connection: Connection,
    job: Job,
    trigger: Trigger,
    now: float,
    who: str,
    why: str = "",
    data: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Job:
    """Moves the job by one transition and writes its audit row; an end state also enqueues its report.

    Raises IllegalTransition when the table has no such edge; then nothing is changed.
    """
    before = job.state
    after = next_state(before, trigger)
    if after in END_STATES:
        columns |= {"ended_at": now, "reserved_usd": 0.0}
    progress: Mapping[str, Any] = columns.get("progress") or job.progress
    if after in ACTIVE_STATES and before not in ACTIVE_STATES:
        columns["progress"] = begin_run(progress, now)
    if before in ACTIVE_STATES and after not in ACTIVE_STATES:
        columns["progress"] = end_run(progress, now)
    job = set_columns(connection, job, now, state=after, **columns)
    facts = dict(data or {})
    record(connection, HistoryLine(job.id, now, who, trigger, why, before, after, job.attempt, data=facts))
    if after not in ACTIVE_STATES:
        fence_attempts(connection, job, now, after)
    if before is State.AWAITING_APPROVAL:  # update every approval message with the outcome
        enqueue_post(connection, job, now, "approval_end", "approval_end", {})
    if after in END_STATES:
        _enqueue_report(connection, job, now, after, why)
    after_commit(connection, partial(_log_move, job, before, trigger, who))
    return job


def _log_move(job: Job, before: State, trigger: Trigger, who: str) -> None:
    state, began, end = job.state, job.started_at, job.ended_at
    log_event(
        log,
        "job ended" if state in END_STATES else "job moved",
        job=job.id,
        kind=job.kind,
        state=str(state),
        before=str(before),
        trigger=str(trigger),
        by=who,
        attempt=job.attempt or None,
        seconds=round(end - began, 1) if end and began else None,
        usd=round(job.spent_usd, 4) if end else None,
    )


def _enqueue_report(connection: Connection, job: Job, now: float, end: State, why: str) -> None:
    """Enqueues the one final report, for the job's channel or for its launcher where the channel switched reports off."""
    body: dict[str, str] = {"state": end, "why": why}
    if (person := report_recipient(connection, job, end)) is not None:
        body["moved"] = f"the channel where it was launched is not told of jobs that {END_VERBS[ENDS[end]]}"
        job = replace(job, channel=person, thread_ts=None)
    enqueue_post(connection, job, now, "final_report", end, body)


def record(connection: Connection, line: HistoryLine) -> None:
    """Appends a line to the job's history; lines are never changed or removed."""
    connection.execute(insert(tables.events).values(vars(line)))


def new_attempt(connection: Connection, job: Job, now: float, due_at: float) -> Job:
    """Adds an attempt with a new fence, fences the older ones, and enqueues its order."""
    fence_attempts(connection, job, now, State.LOST)
    number = job.attempt + 1
    attempt = {
        "job_id": job.id,
        "attempt": number,
        "fence": secrets.token_hex(12),
        "live": True,
        "created_at": now,
    }
    connection.execute(insert(tables.attempts).values(attempt))
    job = set_columns(connection, job, now, attempt=number)
    enqueue_order(connection, "enqueue", job.id, number, now, due_at)
    return job


def fence_attempts(connection: Connection, job: Job, now: float, outcome: State) -> None:
    """Fences every live attempt of the job, and enqueues a stop for one that may still run."""
    mine = (tables.attempts.c.job_id == job.id) & tables.attempts.c.live
    for attempt in map(attempt_of, connection.execute(select(tables.attempts).where(mine)).mappings().all()):
        same = (tables.attempts.c.job_id == job.id) & (tables.attempts.c.attempt == attempt.attempt)
        values = {"live": False, "ended_at": now, "outcome": outcome}
        connection.execute(update(tables.attempts).where(same).values(values))
        if outcome is not State.SUCCEEDED:
            enqueue_order(connection, "stop", job.id, attempt.attempt, now, now, "lost")


def enqueue_order(
    connection: Connection, what: str, job_id: str, attempt: int, now: float, due_at: float, reason: str = ""
) -> None:
    """Enqueues one order; idempotent."""
    values = {"what": what, "job_id": job_id, "attempt": attempt, "reason": reason}
    _insert_once(connection, tables.outbox, {**values, "created_at": now, "due_at": due_at})


def enqueue_post(
    connection: Connection, job: Job, now: float, kind: str, about: str, body: Mapping[str, Any]
) -> None:
    """Enqueues one message for the job's channel, at most once for each job and `about`."""
    values = {
        "job_id": job.id,
        "dedupe_key": f"{job.id}:{about}",
        "kind": kind,
        "channel": job.channel,
        "thread_ts": job.thread_ts,
        "body": dict(body),
        "due_at": now,
        "created_at": now,
    }
    _insert_once(connection, tables.posts, values)


def _insert_once(connection: Connection, table: Any, values: Mapping[str, Any]) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(dict(values)))
    except IntegrityError:
        return False
    return True
