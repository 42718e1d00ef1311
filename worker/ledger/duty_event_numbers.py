"""Numbers the events of a watch in order: a ticket's first answer is one event, people's first label of it another.

The number is assigned in the event's own transaction, under the lock of the watch's row. Who holds the lock sees each event up
to the last number, and no later event gets a lower one. No clock is used. Writers lock the watch's row before a ticket's row,
so they cannot deadlock.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from worker.ledger.duty_tables import duty_tickets, ticket_filter, watches


def lock_watch(connection: Connection, watch_id: str) -> None:
    """Locks the watch's row until the transaction ends: no other transaction assigns numbers."""
    connection.execute(select(watches.c.id).where(watches.c.id == watch_id).with_for_update())


def number_answer(connection: Connection, watch_id: str, key: str) -> None:
    """Numbers a ticket's first answer. A later answer keeps the number; if people have labelled the ticket, it counts as a revision."""
    place, word_place = _numbers_of(connection, watch_id, key)
    if place is None:
        _assign_number(connection, watch_id, key, "place")
    if word_place is not None:
        count_revision(connection, watch_id)


def number_judgement(connection: Connection, watch_id: str, key: str, changes: bool) -> None:
    """Numbers the first label of a ticket; a later one that `changes` the majority counts as a revision."""
    if _numbers_of(connection, watch_id, key)[1] is None:
        _assign_number(connection, watch_id, key, "word_place")
    elif changes:
        count_revision(connection, watch_id)


def count_revision(connection: Connection, watch_id: str) -> None:
    """Counts one revision: an earlier label changed, so all labels are evaluated again."""
    mine = watches.c.id == watch_id
    values = {"revisions": func.coalesce(watches.c.revisions, 0) + 1}
    connection.execute(update(watches).where(mine).values(values))


def reserve_numbers(connection: Connection, watch_id: str, count: int = 1) -> int:
    """Reserves `count` numbers and returns the first."""
    values = {"events": func.coalesce(watches.c.events, 0) + count}
    query = update(watches).where(watches.c.id == watch_id).values(values).returning(watches.c.events)
    last = connection.execute(query).scalar()
    return (last or count) - count + 1


def _assign_number(connection: Connection, watch_id: str, key: str, column: str) -> None:
    mine = ticket_filter(duty_tickets, watch_id, key)
    values = {column: reserve_numbers(connection, watch_id)}
    connection.execute(update(duty_tickets).where(mine).values(values))


def _numbers_of(connection: Connection, watch_id: str, key: str) -> tuple[int | None, int | None]:
    mine = ticket_filter(duty_tickets, watch_id, key)
    query = select(duty_tickets.c.place, duty_tickets.c.word_place).where(mine)
    row = connection.execute(query).one()
    return row.place, row.word_place
