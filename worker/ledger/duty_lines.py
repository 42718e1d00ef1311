"""The line beneath a ticket on duty: one message, whatever is owed for it. An edit changes it, a deletion takes it away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select

from worker.jobs.records import Post
from worker.ledger.database import reading
from worker.ledger.duty_tables import about, duty_tickets
from worker.ledger.tables import posts

DELETED = "deleted"


@dataclass(frozen=True)
class LinePlace:
    """Where an owed line goes: into the message `ts`, None for a new one; `is_behind` while an earlier one may still arrive."""

    ts: str | None
    is_behind: bool
    is_gone: bool


def line_key(watch_id: str, key: str) -> str:
    """What the posts beneath a ticket are known by."""
    return f"duty:{watch_id}:{key}"


def ticket_body(watch_id: str, key: str) -> dict[str, Any]:
    """What a post says of the ticket that it belongs to."""
    return {"ticket": [watch_id, key]}


def drop_lines_not_sent(connection: Connection, watch_id: str, key: str) -> None:
    """Lines that nobody has begun to send are owed no more."""
    fresh = _lines_of(watch_id, key) & posts.c.done_at.is_(None) & (posts.c.tries == 0)
    connection.execute(delete(posts).where(fresh))


def line_ts(connection: Connection, watch_id: str, key: str) -> str | None:
    """The message in which the ticket's line stands."""
    mine = _lines_of(watch_id, key) & posts.c.posted_ts.is_not(None)
    query = select(posts.c.posted_ts).where(mine).order_by(posts.c.id.desc())
    return connection.execute(query).scalars().first() or None


def line_place(engine: Engine, post: Post) -> LinePlace | None:
    """Where an owed line goes now; None for what is no line of a ticket."""
    if "ticket" not in post.body:
        return None
    watch_id, key = (str(part) for part in post.body["ticket"])
    earlier = _lines_of(watch_id, key) & posts.c.done_at.is_(None) & (posts.c.id < post.id)
    ticket = about(duty_tickets, watch_id, key)
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).where(earlier)).scalar_one()
        state = connection.execute(select(duty_tickets.c.state).where(ticket)).scalar()
        return LinePlace(line_ts(connection, watch_id, key), count > 0, state == DELETED)


def _lines_of(watch_id: str, key: str) -> Any:
    return posts.c.dedupe_key.startswith(f"{line_key(watch_id, key)}:", autoescape=True)
