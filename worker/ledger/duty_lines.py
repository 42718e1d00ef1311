"""The message line under a duty ticket: one per ticket. An edit changes it, a deletion removes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select

from worker.jobs.records import Post
from worker.ledger.database import reading
from worker.ledger.duty_tables import duty_tickets, ticket_filter
from worker.ledger.tables import posts

DELETED = "deleted"


@dataclass(frozen=True)
class LinePlace:
    """Where a line goes: into the message `ts` (None: a new one); `is_behind` while an earlier send may still arrive."""

    ts: str | None
    is_behind: bool
    is_gone: bool


def line_key(watch_id: str, key: str) -> str:
    """The key prefix of the posts under a ticket."""
    return f"duty:{watch_id}:{key}"


def ticket_body(watch_id: str, key: str) -> dict[str, Any]:
    """The fields of a post that name its ticket."""
    return {"ticket": [watch_id, key]}


def drop_lines_not_sent(connection: Connection, watch_id: str, key: str) -> None:
    """Removes lines that nobody has begun to send."""
    fresh = _lines_of(watch_id, key) & posts.c.done_at.is_(None) & (posts.c.tries == 0)
    connection.execute(delete(posts).where(fresh))


def line_ts(connection: Connection, watch_id: str, key: str) -> str | None:
    """The ts of the ticket's posted line."""
    mine = _lines_of(watch_id, key) & posts.c.posted_ts.is_not(None)
    query = select(posts.c.posted_ts).where(mine).order_by(posts.c.id.desc())
    return connection.execute(query).scalars().first() or None


def line_place(engine: Engine, post: Post) -> LinePlace | None:
    """Where a post goes now; None where it is not a ticket's line."""
    if "ticket" not in post.body:
        return None
    watch_id, key = (str(part) for part in post.body["ticket"])
    earlier = _lines_of(watch_id, key) & posts.c.done_at.is_(None) & (posts.c.id < post.id)
    ticket = ticket_filter(duty_tickets, watch_id, key)
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).where(earlier)).scalar_one()
        state = connection.execute(select(duty_tickets.c.state).where(ticket)).scalar()
        return LinePlace(line_ts(connection, watch_id, key), count > 0, state == DELETED)


def _lines_of(watch_id: str, key: str) -> Any:
    return posts.c.dedupe_key.startswith(f"{line_key(watch_id, key)}:", autoescape=True)
