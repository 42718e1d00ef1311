"""What guests may read in a channel, as an admin allowed it; nothing by default.

`documents`: answers in the channel may use the whole workspace's documents. `jobs`: cards and reports of jobs
launched there are posted there.
"""

from __future__ import annotations

from sqlalchemy import Engine, delete, insert, select

from worker.errors import WorkerError
from worker.ledger.database import reading, writing
from worker.ledger.tables import channel_openings

NAMES = ("documents", "jobs")


def guest_access(engine: Engine, channel: str) -> frozenset[str]:
    """The names of what guests may read in the channel."""
    query = select(channel_openings.c.name).where(channel_openings.c.channel == channel)
    with reading(engine) as connection:
        return frozenset(connection.execute(query).scalars())


def set_guest_access(
    engine: Engine, channel: str, name: str, on: bool, by: str, now: float
) -> frozenset[str]:
    """Allows or forbids one thing in the channel; returns all that is allowed now. WorkerError for an unknown name."""
    if name not in NAMES:
        raise WorkerError(f"{name[:40]!r} cannot be opened; there are {', '.join(NAMES)}.")
    mine = (channel_openings.c.channel == channel) & (channel_openings.c.name == name)
    with writing(engine) as connection:
        connection.execute(delete(channel_openings).where(mine))
        if on:
            row = {"channel": channel, "name": name, "set_by": by, "set_at": now}
            connection.execute(insert(channel_openings).values(row))
    return guest_access(engine, channel)
