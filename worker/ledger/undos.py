"""Changes that can be undone for a day, and the owners of what people added.

A button carries only an id; the ledger holds the change and allows one undo.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update

from worker.errors import WorkerError
from worker.ledger.database import reading, writing
from worker.ledger.tables import owners, undos

KEEP_S = 24 * 3600.0


@dataclass(frozen=True)
class Undo:
    """One change that can be undone: `kind` names it, `body` holds the values before it."""

    id: str
    kind: str
    body: Mapping[str, Any]
    by: str


def save_undo(engine: Engine, kind: str, body: Mapping[str, Any], by: str, now: float) -> str:
    """Stores how to undo a change for a day; returns the id for its button."""
    undo_id = secrets.token_hex(6)
    with writing(engine) as connection:
        connection.execute(delete(undos).where(undos.c.at < now - 7 * KEEP_S))
        connection.execute(insert(undos).values(id=undo_id, kind=kind, body=dict(body), by=by, at=now))
    return undo_id


def find_undo(engine: Engine, undo_id: str, kind: str, now: float) -> Undo:
    """The change with this id; WorkerError when it is unknown, older than a day or already undone."""
    with reading(engine) as connection:
        row = connection.execute(select(undos).where(undos.c.id == undo_id[:16])).mappings().first()
    if row is None or row["kind"] != kind or row["done_at"] or now - row["at"] > KEEP_S:
        raise WorkerError("This cannot be taken back any more: that is possible once, for a day.")
    return Undo(row["id"], row["kind"], row["body"], row["by"])


def use_undo(engine: Engine, undo_id: str, now: float) -> bool:
    """Marks the undo as used; True for the first caller only."""
    mine = (undos.c.id == undo_id) & undos.c.done_at.is_(None)
    with writing(engine) as connection:
        return connection.execute(update(undos).where(mine).values(done_at=now)).rowcount == 1


def set_owner(engine: Engine, kind: str, key: str, person: str, now: float) -> None:
    """Stores the owner; the first one stays."""
    if owner(engine, kind, key):
        return
    with writing(engine) as connection:
        connection.execute(insert(owners).values(kind=kind, key=key[:80], person=person, at=now))


def owner(engine: Engine, kind: str, key: str) -> str:
    """The owner; empty where none is stored."""
    mine = (owners.c.kind == kind) & (owners.c.key == key[:80])
    with reading(engine) as connection:
        return str(connection.execute(select(owners.c.person).where(mine)).scalar_one_or_none() or "")


def drop_owner(engine: Engine, kind: str, key: str) -> None:
    """Removes the owner of something that was deleted."""
    mine = (owners.c.kind == kind) & (owners.c.key == key[:80])
    with writing(engine) as connection:
        connection.execute(delete(owners).where(mine))
