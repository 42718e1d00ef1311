"""Scheduled pulls of tickets: source, interval and lease of each dataset. Holds no token.

One row per dataset. The holder of the lease runs the pull: it takes the lease by compare-and-set, renews it at each step, and
releases it at the end. So two bots never pull the same dataset at once, and a killed bot blocks others only until it expires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Engine, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.ledger.database import reading, writing
from worker.ledger.duty import enqueue_message
from worker.ledger.tables import pulls

LEASE_S = 180.0


@dataclass(frozen=True)
class Pull:
    """One dataset's pull: `query` and `scopes` as plain values, `every_s` 0 for once; `next_at` None where none is due.

    `last_trouble` and `version` are the last problem and dataset version that were announced, so that each is announced once;
    `lease_by` holds the lease until `lease_until`.
    """

    dataset: str
    source: str
    query: Mapping[str, Any]
    scopes: tuple[str, ...]
    licence: str
    by: str
    channel: str
    every_s: float
    created_at: float
    next_at: float | None = None
    is_asked: bool = False
    last_at: float | None = None
    last: str = ""
    last_trouble: str = ""
    version: int = 0
    tries: int = 0
    lease_by: str = ""
    lease_until: float = 0.0


def set_pull(engine: Engine, pull: Pull) -> None:
    """Stores a dataset's pull or changes its settings; keeps a held lease."""
    values = {one.name: getattr(pull, one.name) for one in fields(Pull)}
    values |= {"query": dict(pull.query), "scopes": list(pull.scopes)}
    fresh = {name: value for name, value in values.items() if name not in ("lease_by", "lease_until")}
    mine = pulls.c.dataset == pull.dataset
    with writing(engine) as connection:
        if connection.execute(update(pulls).where(mine).values(fresh)).rowcount:
            return
        try:
            with connection.begin_nested():
                connection.execute(insert(pulls).values(values))
        except IntegrityError:  # another bot was faster
            connection.execute(update(pulls).where(mine).values(fresh))


def pull_of(engine: Engine, dataset: str) -> Pull | None:
    """A dataset's pull, None where there is none."""
    with reading(engine) as connection:
        row = connection.execute(select(pulls).where(pulls.c.dataset == dataset)).mappings().first()
    return _pull(row) if row else None


def all_pulls(engine: Engine) -> list[Pull]:
    """Every pull, by dataset."""
    with reading(engine) as connection:
        return [_pull(row) for row in connection.execute(select(pulls).order_by(pulls.c.dataset)).mappings()]


def due_pulls(engine: Engine, now: float) -> list[Pull]:
    """Due pulls without a lease holder, longest due first."""
    due = pulls.c.next_at.is_not(None) & (pulls.c.next_at <= now) & (pulls.c.lease_until <= now)
    with reading(engine) as connection:
        query = select(pulls).where(due).order_by(pulls.c.next_at)
        return [_pull(row) for row in connection.execute(query).mappings()]


def ask_now(engine: Engine, dataset: str, now: float) -> bool:
    """Makes a pull due now, as a person asked; False where there is none."""
    mine = pulls.c.dataset == dataset
    with writing(engine) as connection:
        return bool(connection.execute(update(pulls).where(mine).values(next_at=now, is_asked=True)).rowcount)


def stop_pull(engine: Engine, dataset: str) -> bool:
    """Deletes a dataset's pull; a running one stops at its next step. False where there is none."""
    with writing(engine) as connection:
        return bool(connection.execute(delete(pulls).where(pulls.c.dataset == dataset)).rowcount)


def take_lease(engine: Engine, dataset: str, holder: str, now: float) -> bool:
    """Takes the lease where nobody holds it."""
    free = (pulls.c.dataset == dataset) & ((pulls.c.lease_until <= now) | (pulls.c.lease_by == holder))
    return _lease(engine, free, holder, now)


def take_due(engine: Engine, pull: Pull, holder: str, now: float) -> bool:
    """Takes the lease of a pull if its due time is unchanged; False: another bot was faster."""
    free = (pulls.c.dataset == pull.dataset) & (pulls.c.lease_until <= now)
    return _lease(engine, free & (pulls.c.next_at == pull.next_at), holder, now)


def renew_lease(engine: Engine, dataset: str, holder: str, now: float) -> bool:
    """Renews the lease; False where it was lost or the pull was deleted."""
    return _lease(engine, (pulls.c.dataset == dataset) & (pulls.c.lease_by == holder), holder, now)


def _lease(engine: Engine, where: Any, holder: str, now: float) -> bool:
    values = {"lease_by": holder, "lease_until": now + LEASE_S}
    with writing(engine) as connection:
        return connection.execute(update(pulls).where(where).values(values)).rowcount == 1


def end_pull(
    engine: Engine,
    dataset: str,
    holder: str,
    values: Mapping[str, Any],
    message: Mapping[str, Any] | None = None,
    due_at: float | None = None,
) -> bool:
    """Stores the outcome, releases the lease and enqueues the message in one transaction; False where the lease was lost.

    `due_at` is the due time that the pull began with; a new due time set since then is kept.
    """
    mine = (pulls.c.dataset == dataset) & (pulls.c.lease_by == holder)
    end = {**values, "lease_by": "", "lease_until": 0.0}
    with writing(engine) as connection:
        row = connection.execute(select(pulls.c.next_at).where(mine).with_for_update()).first()
        if due_at is not None and row is not None and row.next_at != due_at:
            end = {name: value for name, value in end.items() if name not in ("next_at", "is_asked")}
        if connection.execute(update(pulls).where(mine).values(end)).rowcount != 1:
            return False
        if message is not None:
            enqueue_message(connection, str(message["channel"]), "", message, float(message["since"]))
    return True


def _pull(row: RowMapping) -> Pull:
    values = {one.name: row[one.name] for one in fields(Pull)}
    return Pull(**{**values, "scopes": tuple(values["scopes"])})
