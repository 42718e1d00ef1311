"""State that must survive a restart of the bot: handled deliveries and threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.ledger.database import reading, writing
from worker.ledger.tables import cursors, deliveries, threads


def first_time(engine: Engine, key: str, now: float) -> bool:
    """True for the first caller with `key` ever, False for every other one, also from another process."""
    try:
        with writing(engine) as connection:
            connection.execute(insert(deliveries).values(key=key[:200], at=now))
    except IntegrityError:
        return False
    return True


def forget_seen(engine: Engine, before: float) -> None:
    """Drops keys first seen earlier than `before`; Slack repeats a delivery for about an hour at most."""
    with writing(engine) as connection:
        connection.execute(delete(deliveries).where(deliveries.c.at < before))


def thread(engine: Engine, channel: str, ts: str) -> dict[str, Any] | None:
    """What was saved for this Slack thread, or None."""
    query = select(threads.c.state).where((threads.c.channel == channel) & (threads.c.ts == ts))
    with reading(engine) as connection:
        state = connection.execute(query).scalar_one_or_none()
    return dict(state) if state is not None else None


def save_thread(engine: Engine, channel: str, ts: str, state: Mapping[str, Any], now: float) -> None:
    """Keeps `state` (JSON) for this Slack thread, in place of what was there."""
    mine = (threads.c.channel == channel) & (threads.c.ts == ts)
    values = {"state": dict(state), "updated_at": now}
    try:
        with writing(engine) as connection:
            if connection.execute(update(threads).where(mine).values(values)).rowcount == 0:
                connection.execute(insert(threads).values(channel=channel, ts=ts, **values))
    except IntegrityError:  # another bot was faster with the first of them
        with writing(engine) as connection:
            connection.execute(update(threads).where(mine).values(values))


def cursor(engine: Engine, name: str) -> str | None:
    """How far the stream `name` was read, or None."""
    with reading(engine) as connection:
        return connection.execute(select(cursors.c.value).where(cursors.c.name == name)).scalar_one_or_none()
