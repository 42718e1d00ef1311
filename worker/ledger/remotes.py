"""Submissions to platforms in the ledger: each is stored before its create, and changed by compare-and-set on its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from finetune.platforms.contract import RemoteStatus
from worker.jobs.decisions import Decision, TryAgain, decide_on_event, next_attempt
from worker.jobs.event_facts import read_facts
from worker.jobs.records import HistoryLine, Job, Order, job_of
from worker.jobs.remotes import Outcome, Remote, RemoteState, path_of, path_to_end, remote_of
from worker.jobs.report_notes import with_notes
from worker.jobs.states import END_STATES, State, Trigger
from worker.ledger import tables
from worker.ledger.apply_events import apply_decision, keep_plots
from worker.ledger.database import reading, writing
from worker.ledger.transitions import StaleVersion, locked_job, move, record, set_columns

CONTROLLER = "desk"
"""Who made the change, as the ledger's history has it; a stored value, so it keeps its first name."""
SHOWN_EVENTS = ("phase", "step", "note")
"""Event kinds of a container that are shown; its end is read from its final event and its manifest."""


@dataclass(frozen=True)
class Terms:
    """A submission's own terms: the prefix of its tag, its time limit and its price."""

    prefix: str
    limit_s: float
    usd_per_hour: float


def open_remotes(engine: Engine) -> list[tuple[Remote, Job]]:
    """Every submission that is not closed, with its job, oldest first."""
    table = tables.remotes
    query = select(table).where(table.c.state != RemoteState.CLOSED).order_by(table.c.created_at, table.c.tag)
    with reading(engine) as connection:
        rows = [remote_of(row) for row in connection.execute(query).mappings()]
        mine = select(tables.jobs).where(tables.jobs.c.id.in_({remote.job_id for remote in rows}))
        jobs = {row["id"]: job_of(row) for row in connection.execute(mine).mappings()}
    return [(remote, jobs[remote.job_id]) for remote in rows]


def remotes_of(engine: Engine, job_id: str) -> list[Remote]:
    """The submissions of one job, in order."""
    table = tables.remotes
    query = select(table).where(table.c.job_id == job_id).order_by(table.c.number)
    with reading(engine) as connection:
        return [remote_of(row) for row in connection.execute(query).mappings()]


def open_tags(engine: Engine) -> dict[str, str]:
    """The platform's id of each submission that is not closed ("" while it is not known), by tag."""
    table = tables.remotes
    query = select(table.c.tag, table.c.remote_id).where(table.c.state != RemoteState.CLOSED)
    with reading(engine) as connection:
        return {row.tag: row.remote_id for row in connection.execute(query)}


def write_intent(engine: Engine, order: Order, terms: Terms, now: float) -> Remote | None:
    """Stores the submission of a job before anything is sent; None where the job is no longer wanted.

    An attempt reuses the job's open submission, so nothing is submitted twice.
    """
    table = tables.remotes
    with writing(engine) as connection:
        job = locked_job(connection, order.job_id)
        if job.state is not State.QUEUED or job.attempt != order.attempt or job.platform is None:
            return None
        mine = (table.c.job_id == job.id) & (table.c.state != RemoteState.CLOSED)
        row = connection.execute(select(table).where(mine)).mappings().first()
        job = _along(connection, job, path_of("intent", job.state), now, f"on {job.platform}")
        if row is not None:
            return _change(connection, remote_of(row), attempt=job.attempt)
        last = connection.execute(select(func.max(table.c.number)).where(table.c.root == job.root)).scalar()
        number = (last or 0) + 1
        tag = f"{terms.prefix}{job.root}-{number}"
        remote = Remote(
            job.root,
            number,
            job.id,
            job.attempt,
            str(job.platform),
            job.machine or "",
            tag,
            RemoteState.INTENT,
            1,
            terms.limit_s,
            terms.usd_per_hour,
            now,
        )
        connection.execute(insert(table).values(vars(remote)))
        record(connection, HistoryLine(job.id, now, CONTROLLER, "intent", tag, attempt=job.attempt))
        return remote


def change(engine: Engine, remote: Remote, **columns: Any) -> Remote:
    """The submission with `columns` set; StaleVersion where another controller has changed it since."""
    with writing(engine) as connection:
        return _change(connection, remote, **columns)


def note_event(
    engine: Engine, remote: Remote, event: str, now: float, why: str = "", **columns: Any
) -> Remote:
    """Records *accepted*, *unanswered*, *intent* (again) or *seen* in the submission, the job's state and its history."""
    with writing(engine) as connection:
        remote = _change(connection, remote, **columns)
        job = locked_job(connection, remote.job_id)
        _along(connection, job, path_of(event, job.state), now, why)
        record(
            connection, HistoryLine(job.id, now, CONTROLLER, event, why or remote.tag, attempt=remote.attempt)
        )
        return remote


def note_status(engine: Engine, remote: Remote, status: RemoteStatus, note: str, now: float) -> Remote:
    """Stores a status: the job's progress and cost. Cost never falls; an unchanged status writes nothing."""
    usd = max(remote.usd, (status.ran_s or 0.0) / 3600 * remote.usd_per_hour)
    columns = {
        "cursor": max(remote.cursor, status.cursor),
        "word": status.word[:80],
        "life_at": status.life_at or remote.life_at,
        "usd": usd,
    }
    with writing(engine) as connection:
        if any(getattr(remote, name) != value for name, value in columns.items()):
            earlier, remote = remote, _change(connection, remote, **columns)
            usd = remote.usd - earlier.usd
        else:
            usd = 0.0
        job = locked_job(connection, remote.job_id)
        job = _along(connection, job, path_of("seen", job.state), now, "")
        for event in status.events:
            if str(event.get("kind")) in SHOWN_EVENTS and job.state is State.RUNNING:
                facts = read_facts({name: value for name, value in event.items() if name != "kind"})
                what = decide_on_event(job.state, str(event["kind"]), facts, job.losses, now)
                job = apply_decision(connection, job, Decision(progress=what.progress), now, CONTROLLER)
        values: dict[str, Any] = {"spent_usd": job.spent_usd + usd} if usd else {}
        if job.progress.get("platform_note", "") != note:
            values["progress"] = {**job.progress, "platform_note": note}
        if values and job.state not in END_STATES:
            set_columns(connection, job, now, **values)
        return remote


def note_state(engine: Engine, remote: Remote, note: str, now: float) -> None:
    """Stores the note for the card of the submission's job; an unchanged note writes nothing."""
    with writing(engine) as connection:
        job = locked_job(connection, remote.job_id)
        if job.progress.get("platform_note", "") != note and job.state not in END_STATES:
            set_columns(connection, job, now, progress={**job.progress, "platform_note": note})


def decide_outcome(
    engine: Engine, remote: Remote, outcome: Outcome, why: str, now: float, **columns: Any
) -> Remote:
    """Records how the submission ended and starts its clean-up."""
    with writing(engine) as connection:
        values = {"state": RemoteState.CLEARING, "outcome": outcome, "why": why, **columns}
        remote = _change(connection, remote, **values)
        job = locked_job(connection, remote.job_id)
        if outcome is Outcome.FINISHED and job.state is not State.CANCELLING:
            path = (*path_of("seen", job.state), Trigger.WRAP_UP)
            job = _along(connection, job, path, now, why) if job.state is not State.FINALIZING else job
        record(connection, HistoryLine(job.id, now, CONTROLLER, outcome, why, attempt=remote.attempt))
        return remote


def keep_result(
    engine: Engine, remote: Remote, report: Mapping[str, Any], plots: Mapping[str, str]
) -> Remote:
    """Stores the fetched report and its plots until the submission is closed."""
    with writing(engine) as connection:
        keep_plots(connection, remote.job_id, plots)
        return _change(connection, remote, report=dict(report))


def close(
    engine: Engine, remote: Remote, notes: list[str], now: float, most_losses: int = 1, **columns: Any
) -> Remote:
    """Closes the submission; its job ends, or is queued again while fewer than `most_losses` submissions were lost.

    `notes` name what could not be ended or erased; the report or the reason shows them.
    """
    usd_before = remote.usd
    with writing(engine) as connection:
        remote = _change(connection, remote, state=RemoteState.CLOSED, **columns)
        job = locked_job(connection, remote.job_id)
        more = remote.usd - usd_before
        if job.state in END_STATES:
            return remote
        if more > 0:
            job = set_columns(connection, job, now, spent_usd=job.spent_usd + more)
        outcome, report = Outcome(remote.outcome), remote.report
        if outcome is Outcome.FINISHED and report is not None:
            report = with_notes(report, *notes)
        again = attempt_after(job, remote, most_losses)
        why = " ".join([remote.why, *notes]).strip()
        if again is not None:
            what = Decision((Trigger.RETRY,), why, losses=again.losses, not_before=now + again.delay_s)
        else:
            what = _ending(job, outcome, why, bool(notes), report)
        apply_decision(connection, job, what, now, CONTROLLER)
        return remote


def attempt_after(job: Job, remote: Remote, most_losses: int) -> TryAgain | None:
    """What follows a lost submission; None where the job ends with it."""
    if remote.outcome != Outcome.LOST or job.losses >= most_losses:
        return None
    is_wanted = job.state in (State.RUNNING, State.FINALIZING)
    again = next_attempt(job.losses, remote.why) if is_wanted else None
    return again if isinstance(again, TryAgain) else None


def unerased_remotes(engine: Engine, platform: str) -> list[Remote]:
    """Closed submissions of ended jobs whose checkpoints are still stored."""
    table, jobs = tables.remotes, tables.jobs
    query = (
        select(table)
        .join(jobs, jobs.c.id == table.c.job_id)
        .where(table.c.platform == platform, table.c.state == RemoteState.CLOSED, table.c.erased_at.is_(None))
        .where(table.c.outcome == Outcome.LOST, jobs.c.state.in_(END_STATES))
    )
    with reading(engine) as connection:
        return [remote_of(row) for row in connection.execute(query).mappings()]


def _ending(job: Job, outcome: Outcome, why: str, has_notes: bool, report: dict[str, Any] | None) -> Decision:
    path = path_to_end(outcome, job.state)
    if outcome is Outcome.FINISHED:
        return Decision(path, report=report if job.state is not State.CANCELLING else None)
    is_news = job.state is not State.CANCELLING or has_notes
    return Decision(path, why, error=why if is_news else None)


def _change(connection: Connection, remote: Remote, **columns: Any) -> Remote:
    table = tables.remotes
    values = {**columns, "version": remote.version + 1}
    same = (table.c.tag == remote.tag) & (table.c.version == remote.version)
    if connection.execute(update(table).where(same).values(values)).rowcount != 1:
        raise StaleVersion(
            f"The submission {remote.tag} was changed by another controller at the same moment."
        )
    return replace(remote, **values)


def _along(connection: Connection, job: Job, path: tuple[Trigger, ...], now: float, why: str) -> Job:
    for trigger in path:
        columns: dict[str, Any] = {"started_at": now} if job.started_at is None else {}
        job = move(connection, job, trigger, now, CONTROLLER, why, **columns)
    return job
