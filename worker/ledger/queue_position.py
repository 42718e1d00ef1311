"""Writes each queued job's position and expected wait into its progress, for the card."""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from worker.jobs.progress import job_progress, seconds_run
from worker.jobs.states import ACTIVE_STATES, State
from worker.kinds import kind_of
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.transitions import locked_job, set_columns

EXACT = 10
"""Positions up to here are exact, later ones in tens; else each start would change hundreds of cards."""
REMEMBERED = 20


@dataclass(frozen=True)
class JobInLine:
    """The fields of a queued or running job that the wait estimate uses."""

    id: str
    kind: str
    progress: dict[str, Any]


def update_queue_positions(engine: Engine, now: float) -> int:
    """Updates position and expected wait of each queued job where the shown values changed; returns how many."""
    with reading(engine) as connection:
        line = sorted(_jobs(connection, [State.QUEUED]), key=lambda job: not kind_of(job.kind).at_front)
        active = _jobs(connection, ACTIVE_STATES)
        usual = _usual_s(connection)
    remaining = [remaining_s(job, usual, now) for job in active]
    waits = estimate_waits(remaining, [usual.get(job.kind) for job in line])
    changes: dict[str, dict[str, Any]] = {}
    for number, (queued, wait) in enumerate(zip(line, waits, strict=True), 1):
        place = {"position": round_position(number), "starts_in_s": round_wait(wait)}
        if any(queued.progress.get(key) != value for key, value in place.items()):
            changes[queued.id] = place
    if changes:
        with writing(engine) as connection:
            for job_id, place in changes.items():
                job = locked_job(connection, job_id)
                if job.state == State.QUEUED:
                    set_columns(connection, job, now, progress={**job.progress, **place})
    return len(changes)


def round_position(number: int) -> int:
    """The shown position: exact up to EXACT, then rounded up to tens."""
    return number if number <= EXACT else -(-number // 10) * 10


def estimate_waits(
    remaining: Sequence[float | None], durations: Sequence[float | None]
) -> list[float | None]:
    """Seconds until each waiting job starts, in order, on as many workers as are busy now.

    `remaining` is the time left of each busy worker, `durations` the usual time of each queued job. Each wait after an
    unknown one is None, as it would leave out a job in front.
    """
    if not remaining or None in remaining:
        return [None] * len(durations)
    free = [seconds for seconds in remaining if seconds is not None]
    heapq.heapify(free)
    waits: list[float | None] = []
    for duration in durations:
        at = heapq.heappop(free) if free else None
        waits.append(at)
        if at is None or duration is None:
            free = []
        else:
            heapq.heappush(free, at + duration)
    return waits


def round_wait(seconds: float | None) -> int | None:
    """The shown wait: whole minutes under ten, else tens, so that cards seldom change."""
    if seconds is None:
        return None
    minutes = max(1, round(seconds / 60))
    return 60 * (minutes if minutes < 10 else round(minutes / 10) * 10)


def remaining_s(job: JobInLine, usual: Mapping[str, float], now: float) -> float | None:
    """Seconds left of a running job: by its progress, else by the median of its kind."""
    left_s = job_progress(job.progress, kind_of(job.kind).phases, now).left_s
    if left_s is not None:
        return left_s
    if job.kind not in usual:
        return None
    return max(0.0, usual[job.kind] - (seconds_run(job.progress, now) or 0.0))


def _usual_s(connection: Connection) -> dict[str, float]:
    """The median run time, by kind, of the last jobs that succeeded."""
    jobs = tables.jobs
    query = select(jobs.c.kind, jobs.c.progress, jobs.c.ended_at).where(jobs.c.state == State.SUCCEEDED)
    times: dict[str, list[float]] = defaultdict(list)
    for row in connection.execute(query.order_by(jobs.c.ended_at.desc()).limit(REMEMBERED)):
        if (ran_s := seconds_run(row.progress, row.ended_at)) is not None:
            times[row.kind].append(ran_s)
    return {kind: statistics.median(values) for kind, values in times.items()}


def _jobs(connection: Connection, states: Collection[State]) -> list[JobInLine]:
    jobs = tables.jobs
    columns = (jobs.c.id, jobs.c.kind, jobs.c.progress)
    here = jobs.c.state.in_(list(states)) & jobs.c.platform.is_(None)
    query = select(*columns).where(here).order_by(jobs.c.created_at)
    return [JobInLine(row.id, row.kind, row.progress) for row in connection.execute(query)]
