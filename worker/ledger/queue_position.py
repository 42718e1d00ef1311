"""Each waiting job's place in line and when it will about start, written into its progress for the card."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select

from worker.jobs.states import ACTIVE_STATES, State
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.transitions import Row, locked_job, set_columns

EXACT = 10
"""Places up to here are told exactly; behind them in tens, or each start would change hundreds of cards."""
REMEMBERED = 20


def update_queue_positions(engine: Engine, now: float) -> int:
    """Writes place and expected wait of each queued job where what is told changed; how many did."""
    with reading(engine) as connection:
        queued = _rows(connection, [State.QUEUED])
        held = _rows(connection, ACTIVE_STATES)
        usual = _usual_s(connection)
    waits = estimate_waits([remaining_s(row, usual, now) for row in held], usual, len(queued))
    changed = []
    for number, (row, wait) in enumerate(zip(queued, waits, strict=True), 1):
        told = {"position": round_position(number), "starts_in_s": round_wait(wait)}
        if any(row["progress"].get(key) != value for key, value in told.items()):
            changed.append((row["id"], told))
    if changed:
        with writing(engine) as connection:
            for job_id, told in changed:
                job = locked_job(connection, job_id)
                if job["state"] == State.QUEUED:
                    set_columns(connection, job, now, progress={**job["progress"], **told})
    return len(changed)


def round_position(number: int) -> int:
    """The place that is told: exact in front, the next ten behind."""
    return number if number <= EXACT else -(-number // 10) * 10


def estimate_waits(
    remaining: Sequence[float | None], usual_s: float | None, waiting: int
) -> list[float | None]:
    """Seconds until each of `waiting` jobs starts, in order, on as many workers as are busy now.

    `remaining` is what each busy worker still has to do. All None when nothing is known of either.
    """
    known = [seconds for seconds in remaining if seconds is not None]
    if usual_s is None or not known:
        return [None] * waiting
    free = list(known)
    heapq.heapify(free)
    waits: list[float | None] = []
    for _ in range(waiting):
        at = heapq.heappop(free)
        waits.append(at)
        heapq.heappush(free, at + usual_s)
    return waits


def round_wait(seconds: float | None) -> int | None:
    """The wait as it is told: whole minutes under ten, else tens, so that cards seldom change for it."""
    if seconds is None:
        return None
    minutes = max(1, round(seconds / 60))
    return 60 * (minutes if minutes < 10 else round(minutes / 10) * 10)


def remaining_s(row: Row, usual_s: float | None, now: float) -> float | None:
    """What a running job still needs: its own estimate, else what such jobs usually take."""
    told = row["progress"].get("eta_s")
    if isinstance(told, int | float) and told > 0:
        return float(told)
    if usual_s is None:
        return None
    return max(0.0, usual_s - (now - (row["started_at"] or now)))


def _usual_s(connection: Connection) -> float | None:
    """The median run time of the last jobs that succeeded."""
    jobs = tables.jobs
    done = (jobs.c.state == State.SUCCEEDED) & jobs.c.started_at.is_not(None) & jobs.c.ended_at.is_not(None)
    query = select(jobs.c.started_at, jobs.c.ended_at).where(done)
    rows = connection.execute(query.order_by(jobs.c.ended_at.desc()).limit(REMEMBERED)).all()
    return statistics.median(max(0.0, end - start) for start, end in rows) if rows else None


def _rows(connection: Connection, states: Any) -> list[Row]:
    jobs = tables.jobs
    columns = (jobs.c.id, jobs.c.progress, jobs.c.started_at)
    query = select(*columns).where(jobs.c.state.in_(list(states))).order_by(jobs.c.created_at)
    return [dict(row) for row in connection.execute(query).mappings()]
