"""What an admin has opened to people from outside in a channel: kept in the ledger, nothing until someone opens it.

`documents`: answers there may rest on the whole workspace's documents. `jobs`: cards and reports of jobs launched
there stay there, for everyone who reads along.
"""

from __future__ import annotations

from sqlalchemy import Engine, delete, insert, select

from worker.errors import WorkerError
from worker.ledger.database import reading, writing
from worker.ledger.tables import channel_openings

NAMES = ("documents", "jobs")


def openings(engine: Engine, channel: str) -> frozenset[str]:
    """The names of what is open in the channel."""
    query = select(channel_openings.c.name).where(channel_openings.c.channel == channel)
    with reading(engine) as connection:
        return frozenset(connection.execute(query).scalars())


def set_opening(engine: Engine, channel: str, name: str, on: bool, by: str, now: float) -> frozenset[str]:
    """Opens or closes one thing in the channel; what is open from now on. WorkerError for an unknown name."""
    if name not in NAMES:
        raise WorkerError(f"{name[:40]!r} cannot be opened; there are {', '.join(NAMES)}.")
    mine = (channel_openings.c.channel == channel) & (channel_openings.c.name == name)
    with writing(engine) as connection:
        connection.execute(delete(channel_openings).where(mine))
        if on:
            row = {"channel": channel, "name": name, "set_by": by, "set_at": now}
            connection.execute(insert(channel_openings).values(row))
    return openings(engine, channel)
