"""Applies worker events to the ledger: each once, and only those of the job's live run."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from worker.errors import IllegalTransition, UnknownJob
from worker.jobs.decisions import Decision, decide_on_event
from worker.jobs.event_facts import EventFacts, read_facts
from worker.jobs.records import Attempt, HistoryLine, Job, attempt_of
from worker.jobs.states import ACTIVE_STATES, State
from worker.ledger import tables
from worker.ledger.database import after_commit, writing
from worker.ledger.transitions import locked_job, move, record, set_columns
from worker.logs import log_event
from worker.transport.events import WorkerEvent

PNG = b"\x89PNG\r\n\x1a\n"
PLOT_LIMIT_BYTES = 512 * 1024
REMEMBERED_GAPS = 20
log = logging.getLogger("trainwise.jobs")

HELD = ACTIVE_STATES | {State.QUEUED}


def apply_events(engine: Engine, events: Iterable[WorkerEvent], cursor: tuple[str, str], now: float) -> None:
    """Applies the events in order and moves the stream's cursor (name, value), all in one transaction."""
    with writing(engine) as connection:
        for event in events:
            apply_event(connection, event, now)
        name, value = cursor
        mine = tables.cursors.c.name == name
        if connection.execute(update(tables.cursors).where(mine).values(value=value)).rowcount == 0:
            connection.execute(insert(tables.cursors).values(name=name, value=value))


def apply_each(engine: Engine, events: Iterable[WorkerEvent], cursor: tuple[str, str], now: float) -> None:
    """As `apply_events`, but skips an event that the database refuses instead of failing for all.

    A run whose last event is skipped loses its lease and is tried again as a lost one.
    """
    for event in events:
        try:
            with writing(engine) as connection:
                apply_event(connection, event, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # a worker may send anything; the other events still count
            log.exception("event %s %d of %s left out", event.kind, event.seq, event.job)
    apply_events(engine, (), cursor, now)


def apply_event(connection: Connection, event: WorkerEvent, now: float) -> bool:
    """Whether the event was applied; a late, repeated or fenced one is at most recorded."""
    try:
        job = locked_job(connection, event.job)
    except UnknownJob:
        return False
    attempt = _attempt(connection, event)
    if attempt is None:
        return False
    if not _is_live(job, attempt, event):
        _record(connection, event, now, applied=False)
        return False
    if event.seq <= attempt.last_seq:
        return False
    facts = read_facts(event.data)
    _note_attempt(connection, attempt, event, facts, now)
    what = decide_on_event(job.state, event.kind, facts, job.losses, now)
    if event.kind not in ("step", "finished"):
        _record(connection, event, now, applied=True)
    if event.kind == "phase":
        after_commit(connection, partial(_log_phase, job, event.attempt, facts.phase))
    if event.kind == "finished":
        keep_plots(connection, job.id, facts.plots)
    try:
        apply_decision(connection, job, what, now, who=f"worker:{attempt.worker or event.worker_key}")
    except IllegalTransition as e:
        record(
            connection,
            HistoryLine(job.id, now, "ledger", "refused", str(e), applied=False, attempt=event.attempt),
        )
    return True


def _log_phase(job: Job, attempt: int, phase: str) -> None:
    log_event(log, "job phase", job=job.id, kind=job.kind, attempt=attempt, phase=phase)


def apply_decision(connection: Connection, job: Job, what: Decision, now: float, who: str) -> Job:
    """Applies the decision `what` and returns the job."""
    columns = what.columns()
    if what.usd:
        columns["spent_usd"] = job.spent_usd + what.usd
    if what.progress:
        columns["progress"] = {**job.progress, **what.progress}
    if not what.path:
        return set_columns(connection, job, now, **columns) if columns else job
    if job.started_at is None:
        columns["started_at"] = now
    for trigger in what.path:
        job = move(connection, job, trigger, now, who, what.why, **columns)
        columns = {}
    return job


def _attempt(connection: Connection, event: WorkerEvent) -> Attempt | None:
    attempts = tables.attempts
    mine = (attempts.c.job_id == event.job) & (attempts.c.attempt == event.attempt)
    row = connection.execute(select(attempts).where(mine)).mappings().first()
    return attempt_of(row) if row else None


def _is_live(job: Job, attempt: Attempt, event: WorkerEvent) -> bool:
    """Whether fence, run and worker key are the attempt's own, and neither job nor attempt has ended."""
    return (
        attempt.live
        and attempt.fence == event.fence
        and attempt.attempt == job.attempt
        and attempt.run in (None, event.run)
        and attempt.worker_key in (None, event.worker_key)
        and job.state in HELD
    )


def _note_attempt(
    connection: Connection, attempt: Attempt, event: WorkerEvent, facts: EventFacts, now: float
) -> None:
    values: dict[str, Any] = {"run": event.run, "worker_key": event.worker_key, "last_seq": event.seq}
    values["last_event_at"] = now
    if attempt.leased_at is None:
        values["leased_at"] = now
    if event.kind == "leased":
        values |= {"worker": facts.worker, "pid": facts.pid}
    if event.kind == "step":
        if attempt.last_step_at is not None:
            gaps = [*attempt.step_gaps, round(now - attempt.last_step_at, 3)]
            values["step_gaps"] = gaps[-REMEMBERED_GAPS:]
        values["last_step_at"] = now
    mine = (tables.attempts.c.job_id == event.job) & (tables.attempts.c.attempt == event.attempt)
    connection.execute(update(tables.attempts).where(mine).values(values))


def _record(connection: Connection, event: WorkerEvent, now: float, applied: bool) -> None:
    if event.kind == "step":
        return
    at = tables.events
    same = (at.c.job_id == event.job) & (at.c.attempt == event.attempt)
    same &= (at.c.run == event.run) & (at.c.seq == event.seq)
    if connection.execute(select(at.c.id).where(same)).first():
        return
    data = {k: v for k, v in event.data.items() if k not in ("report", "plots")}
    who = f"worker:{event.worker_key}"
    why = "" if applied else "late or fenced; not applied"
    record(
        connection,
        HistoryLine(
            event.job,
            now,
            who,
            event.kind,
            why,
            attempt=event.attempt,
            run=event.run,
            seq=event.seq,
            applied=applied,
            data=data,
        ),
    )


def keep_plots(connection: Connection, job_id: str, plots: Mapping[str, Any]) -> None:
    """Stores the plots that are PNGs, as many as fit the limit; drops anything else."""
    connection.execute(delete(tables.plots).where(tables.plots.c.job_id == job_id))
    left = PLOT_LIMIT_BYTES
    for name, text in plots.items():
        try:
            png = base64.b64decode(text, validate=True)
        except (TypeError, binascii.Error):
            continue
        if png.startswith(PNG) and len(png) <= left and "/" not in name:
            left -= len(png)
            connection.execute(insert(tables.plots).values(job_id=job_id, name=name[:120], png=png))
