"""Models on duty in the ledger: each ticket is entered once, settled once, and every person's word on it is kept.

A ticket's key is its place (`CHANNEL:TS`) or its number in another system (`zendesk:4711`). Texts are redacted before they come
here. Modes of a watch: `asked` (an admin has to approve), `shadow`, `live`, `stopped`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.errors import WorkerError
from worker.ledger.database import reading, writing
from worker.ledger.duty_lines import DELETED, drop_lines_not_sent, line_key, line_ts, ticket_body
from worker.ledger.duty_places import hold, note_settled, note_word
from worker.ledger.duty_tables import about, duty_labels, duty_tickets, watches
from worker.ledger.tables import posts

ASKED, SHADOW, LIVE, STOPPED = "asked", "shadow", "live", "stopped"
AT_WORK = (SHADOW, LIVE)
WAITING, ANSWERED, ABSTAINED = "waiting", "answered", "abstained"


@dataclass(frozen=True)
class Watch:
    """One model on duty in one channel; `wish` is the mode that was asked for, `threshold` one set since on its labels, `successor`
    the job that trains its next model."""

    id: str
    channel: str
    team: str
    job_id: str
    dataset: str
    version: str
    error_rate: float
    mode: str
    wish: str
    correctors: str
    by: str
    created_at: float
    mode_at: float
    read_ts: str
    approved_by: str | None = None
    why: str = ""
    threshold: float | None = None
    successor: str | None = None


@dataclass(frozen=True)
class DutyTicket:
    """One ticket that came to a watched channel, and what the model said of it once it is settled."""

    watch_id: str
    key: str
    ts: str
    text: str
    state: str
    created_at: float
    queue: str | None = None
    confidence: float | None = None
    likeliest: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    is_near: bool = True
    is_audit: bool = False
    version: str | None = None
    edits: int = 0
    settled_at: float | None = None
    place: int | None = None
    word_place: int | None = None


@dataclass(frozen=True)
class Label:
    """One person's word on one ticket."""

    key: str
    person: str
    queue: str
    at: float


def open_watch(engine: Engine, watch: Watch) -> Watch:
    """The watch, entered with an id of its own; WorkerError where a model is on duty in the channel already."""
    watch = Watch(**{**vars(watch), "id": secrets.token_hex(6)})
    with writing(engine) as connection:
        busy = (watches.c.channel == watch.channel) & (watches.c.mode != STOPPED)
        if connection.execute(select(watches.c.id).where(busy)).first():
            raise WorkerError("A model is on duty in this channel already: `/triage stop` there first.")
        connection.execute(insert(watches).values(vars(watch)))
    return watch


def watch_in(engine: Engine, channel: str) -> Watch | None:
    """The watch of a channel that is asked for or at work."""
    query = select(watches).where((watches.c.channel == channel) & (watches.c.mode != STOPPED))
    with reading(engine) as connection:
        row = connection.execute(query).mappings().first()
    return _watch(row) if row else None


def watch_by(engine: Engine, watch_id: str) -> Watch:
    """The watch of this id; WorkerError where there is none."""
    with reading(engine) as connection:
        row = connection.execute(select(watches).where(watches.c.id == watch_id[:16])).mappings().first()
    if row is None:
        raise WorkerError("This watch is not known here. `/triage` shows what is on duty in a channel.")
    return _watch(row)


def watches_at_work(engine: Engine) -> list[Watch]:
    """Every watch in shadow or live, the oldest first."""
    query = select(watches).where(watches.c.mode.in_(AT_WORK)).order_by(watches.c.created_at)
    with reading(engine) as connection:
        return [_watch(row) for row in connection.execute(query).mappings()]


def change_watch(
    engine: Engine, watch: Watch, values: Mapping[str, Any], note: Mapping[str, Any] | None = None
) -> bool:
    """Changes a watch that is still in the mode that the caller saw, and owes its channel the note; False: someone was faster."""
    same = (watches.c.id == watch.id) & (watches.c.mode == watch.mode) & (watches.c.mode_at == watch.mode_at)
    with writing(engine) as connection:
        if connection.execute(update(watches).where(same).values(dict(values))).rowcount != 1:
            return False
        if note is not None:
            owe(connection, watch.channel, "", note, float(note["since"]))
    return True


def set_mode(engine: Engine, watch: Watch, mode: str, why: str, now: float) -> bool:
    """Moves a watch to another mode; what is counted for its alarms begins anew."""
    return change_watch(engine, watch, {"mode": mode, "mode_at": now, "why": why})


def note_read(engine: Engine, watch_id: str, read_ts: str) -> None:
    """The channel's history has been read up to this message."""
    with writing(engine) as connection:
        connection.execute(update(watches).where(watches.c.id == watch_id).values(read_ts=read_ts))


def enter(engine: Engine, watch_id: str, key: str, ts: str, text: str, now: float) -> bool:
    """Enters a ticket; False where it has come before, however often it is delivered."""
    row = {"watch_id": watch_id, "key": key, "ts": ts, "text": text, "state": WAITING, "created_at": now}
    try:
        with writing(engine) as connection:
            connection.execute(insert(duty_tickets).values(row))
    except IntegrityError:
        return False
    return True


def edit(engine: Engine, watch_id: str, key: str, text: str) -> bool:
    """The ticket's new words: it is settled anew, unless a person has judged it or it is gone."""
    with writing(engine) as connection:
        ticket = _ticket_row(connection, watch_id, key)
        if ticket is None or ticket["state"] == DELETED or ticket["text"] == text:
            return False
        if connection.execute(select(duty_labels.c.person).where(about(duty_labels, watch_id, key))).first():
            return False
        values = {"text": text, "state": WAITING, "edits": ticket["edits"] + 1}
        connection.execute(update(duty_tickets).where(about(duty_tickets, watch_id, key)).values(values))
    return True


def delete_ticket(engine: Engine, watch_id: str, key: str) -> str | None:
    """The ticket was deleted: its words and the lines still owed go, its entry stays. The ts of its line, if one was posted."""
    with writing(engine) as connection:
        values = {"text": "", "state": DELETED}
        connection.execute(update(duty_tickets).where(about(duty_tickets, watch_id, key)).values(values))
        drop_lines_not_sent(connection, watch_id, key)
        return line_ts(connection, watch_id, key)


def waiting(engine: Engine, watch_id: str, limit: int = 50) -> list[DutyTicket]:
    """Tickets that no model has looked at yet, the oldest first."""
    mine = (duty_tickets.c.watch_id == watch_id) & (duty_tickets.c.state == WAITING)
    with reading(engine) as connection:
        return tickets_where(connection, mine, duty_tickets.c.created_at, limit)


def settle(
    engine: Engine, ticket: DutyTicket, line: Mapping[str, Any] | None, channel: str, now: float
) -> bool:
    """Keeps the answer and owes its line (an `answer` of bot/slack/delivery) in one go; False where it was settled or edited.

    A ticket that has a line already, as it was edited, gets that line changed.
    """
    names = ("state", "queue", "confidence", "likeliest", "reason", "is_near", "is_audit", "version")
    values: dict[str, Any] = {name: getattr(ticket, name) for name in names}
    values |= {"likeliest": [list(pair) for pair in ticket.likeliest], "settled_at": now}
    same = about(duty_tickets, ticket.watch_id, ticket.key) & (duty_tickets.c.state == WAITING)
    same &= duty_tickets.c.edits == ticket.edits
    with writing(engine) as connection:
        hold(connection, ticket.watch_id)
        if connection.execute(update(duty_tickets).where(same).values(values)).rowcount != 1:
            return False
        note_settled(connection, ticket.watch_id, ticket.key)
        drop_lines_not_sent(connection, ticket.watch_id, ticket.key)
        if line is None:
            return True
        key = f"{line_key(ticket.watch_id, ticket.key)}:{ticket.edits}"
        body = {**line, "key": key, "ts": line_ts(connection, ticket.watch_id, ticket.key)}
        owe(connection, channel, ticket.ts, body, now, ticket_body(ticket.watch_id, ticket.key))
    return True


def owe(
    connection: Connection,
    channel: str,
    thread_ts: str,
    answer: Mapping[str, Any],
    now: float,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Owes a message of the bot's to a place, once for each key; `about` is what else its sender is to know."""
    place = {"job_id": "", "dedupe_key": answer["key"], "kind": "answer", "channel": channel}
    body = {"answer": dict(answer), **about}
    row = {**place, "thread_ts": thread_ts, "body": body, "due_at": now, "created_at": now}
    try:
        with connection.begin_nested():
            connection.execute(insert(posts).values(row))
    except IntegrityError:
        return False
    return True


def label(engine: Engine, watch_id: str, key: str, person: str, queue: str, now: float) -> None:
    """A person's word on a ticket; a later one of the same person takes its place, another person's stands beside it."""
    with writing(engine) as connection:
        hold(connection, watch_id)
        if _ticket_row(connection, watch_id, key) is None:
            raise WorkerError("This ticket is not known here any more.")
        before = _verdict(connection, watch_id, key)
        mine = about(duty_labels, watch_id, key) & (duty_labels.c.person == person)
        values = {"queue": queue, "at": now}
        if connection.execute(update(duty_labels).where(mine).values(values)).rowcount == 0:
            row = {"watch_id": watch_id, "key": key, "person": person, **values}
            connection.execute(insert(duty_labels).values(row))
        note_word(connection, watch_id, key, before != _verdict(connection, watch_id, key))


def ticket_of(engine: Engine, watch_id: str, key: str) -> DutyTicket:
    """One ticket; WorkerError where it is not known."""
    with reading(engine) as connection:
        row = _ticket_row(connection, watch_id, key)
    if row is None:
        raise WorkerError("This ticket is not known here any more.")
    return _ticket(row)


def tickets_of(engine: Engine, watch_id: str, since: float = 0.0) -> list[DutyTicket]:
    """Every ticket of a watch that came since, the oldest first: all of it is read, so not at each look."""
    mine = (duty_tickets.c.watch_id == watch_id) & (duty_tickets.c.created_at >= since)
    with reading(engine) as connection:
        return tickets_where(connection, mine, duty_tickets.c.created_at)


def tickets_where(
    connection: Connection, which: Any, order: Any, limit: int | None = None
) -> list[DutyTicket]:
    """Tickets in an order, inside a transaction."""
    query = select(duty_tickets).where(which).order_by(order).limit(limit)
    return [_ticket(row) for row in connection.execute(query).mappings()]


def labels_where(connection: Connection, which: Any) -> dict[str, list[Label]]:
    """What people said, by ticket, the first word first, inside a transaction."""
    query = select(*(duty_labels.c[one.name] for one in fields(Label))).where(which)
    by_key: dict[str, list[Label]] = {}
    for row in connection.execute(query.order_by(duty_labels.c.at)):
        by_key.setdefault(row.key, []).append(Label(*row))
    return by_key


def pace(engine: Engine, watch_id: str, since: float) -> tuple[int, float]:
    """How many tickets came since, and when the first of them did; (0, `since`) where none did."""
    mine = (duty_tickets.c.watch_id == watch_id) & (duty_tickets.c.created_at >= since)
    with reading(engine) as connection:
        query = select(func.count(), func.min(duty_tickets.c.created_at)).where(mine)
        count, first = connection.execute(query).one()
    return count, since if first is None else first


def labels_of(engine: Engine, watch_id: str) -> dict[str, list[Label]]:
    """What people said, by ticket, the first word first."""
    with reading(engine) as connection:
        return labels_where(connection, duty_labels.c.watch_id == watch_id)


def verdict_on(labels: Sequence[Label]) -> str | None:
    """The queue that people give a ticket: what most of them say; None where nobody does, or they are split."""
    counts: dict[str, int] = {}
    for one in labels:
        counts[one.queue] = counts.get(one.queue, 0) + 1
    most = max(counts.values(), default=0)
    best = [queue for queue, count in counts.items() if count == most]
    return best[0] if len(best) == 1 else None


def _verdict(connection: Connection, watch_id: str, key: str) -> str | None:
    return verdict_on(labels_where(connection, about(duty_labels, watch_id, key)).get(key, ()))


def _ticket_row(connection: Connection, watch_id: str, key: str) -> RowMapping | None:
    query = select(duty_tickets).where(about(duty_tickets, watch_id, key))
    return connection.execute(query).mappings().first()


def _watch(row: RowMapping) -> Watch:
    return Watch(**{one.name: row[one.name] for one in fields(Watch)})


def _ticket(row: RowMapping) -> DutyTicket:
    values = {one.name: row[one.name] for one in fields(DutyTicket)}
    likeliest = tuple((str(name), float(share)) for name, share in row["likeliest"] or ())
    return DutyTicket(**{**values, "likeliest": likeliest})
