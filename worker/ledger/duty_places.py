"""The order of what happens to a watch: each ticket gets a number when it is settled first, and one when people first judge it.

A number is given in the transaction that it tells of, under the lock of the watch's row: whoever holds that row sees every
event up to the last number, and none comes before it later. Clocks of several bots play no part. Whoever writes takes that
row first and a ticket's row after it, so that no two wait for each other.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from worker.ledger.duty_tables import about, duty_tickets, watches


def hold(connection: Connection, watch_id: str) -> None:
    """Nobody else gives a place in this watch until the transaction ends."""
    connection.execute(select(watches.c.id).where(watches.c.id == watch_id).with_for_update())


def note_settled(connection: Connection, watch_id: str, key: str) -> None:
    """Gives a settled ticket its place; one that was settled before keeps it, and what people said of it is looked at anew."""
    place, word_place = _places(connection, watch_id, key)
    if place is None:
        _give(connection, watch_id, key, "place")
    if word_place is not None:
        note_revision(connection, watch_id)


def note_word(connection: Connection, watch_id: str, key: str, changes: bool) -> None:
    """Gives people's first word on a ticket its place; a later one that `changes` the verdict is a revision."""
    if _places(connection, watch_id, key)[1] is None:
        _give(connection, watch_id, key, "word_place")
    elif changes:
        note_revision(connection, watch_id)


def note_revision(connection: Connection, watch_id: str) -> None:
    """An earlier word has changed: what was counted of people's words is counted anew."""
    mine = watches.c.id == watch_id
    values = {"revisions": func.coalesce(watches.c.revisions, 0) + 1}
    connection.execute(update(watches).where(mine).values(values))


def next_place(connection: Connection, watch_id: str, count: int = 1) -> int:
    """The first of so many new places."""
    values = {"events": func.coalesce(watches.c.events, 0) + count}
    query = update(watches).where(watches.c.id == watch_id).values(values).returning(watches.c.events)
    last = connection.execute(query).scalar()
    return (last or count) - count + 1


def _give(connection: Connection, watch_id: str, key: str, column: str) -> None:
    mine = about(duty_tickets, watch_id, key)
    values = {column: next_place(connection, watch_id)}
    connection.execute(update(duty_tickets).where(mine).values(values))


def _places(connection: Connection, watch_id: str, key: str) -> tuple[int | None, int | None]:
    mine = about(duty_tickets, watch_id, key)
    query = select(duty_tickets.c.place, duty_tickets.c.word_place).where(mine)
    row = connection.execute(query).one()
    return row.place, row.word_place
