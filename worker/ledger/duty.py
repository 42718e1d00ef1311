"""Models on duty in the ledger: each ticket is added once and answered once, and every person's label is kept.

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
from worker.ledger.duty_event_numbers import lock_watch, number_answer, number_judgement
from worker.ledger.duty_lines import DELETED, drop_lines_not_sent, line_key, line_ts, ticket_body
from worker.ledger.duty_tables import duty_labels, duty_tickets, ticket_filter, watches
from worker.ledger.tables import posts

ASKED, SHADOW, LIVE, STOPPED = "asked", "shadow", "live", "stopped"
AT_WORK = (SHADOW, LIVE)
WAITING, ANSWERED, ABSTAINED = "waiting", "answered", "abstained"


@dataclass(frozen=True)
class Watch:
    """One model on duty in one channel; `wish` is the requested mode, `threshold` a recalibrated one, `successor` the job that
    trains its next model."""

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
    """One ticket of a watched channel, with the model's answer once there is one."""

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
    """One person's label of one ticket."""

    key: str
    person: str
    queue: str
    at: float


def open_watch(engine: Engine, watch: Watch) -> Watch:
    """Stores the watch under a new id; WorkerError where the channel already has one."""
    watch = Watch(**{**vars(watch), "id": secrets.token_hex(6)})
    with writing(engine) as connection:
        busy = (watches.c.channel == watch.channel) & (watches.c.mode != STOPPED)
        if connection.execute(select(watches.c.id).where(busy)).first():
            raise WorkerError("A model is on duty in this channel already: `/triage stop` there first.")
        connection.execute(insert(watches).values(vars(watch)))
    return watch


def watch_in(engine: Engine, channel: str) -> Watch | None:
    """The requested or active watch of a channel."""
    query = select(watches).where((watches.c.channel == channel) & (watches.c.mode != STOPPED))
    with reading(engine) as connection:
        row = connection.execute(query).mappings().first()
    return _watch(row) if row else None


def find_watch(engine: Engine, watch_id: str) -> Watch:
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
    """Changes a watch if it is still in the caller's mode, and enqueues the note for its channel; False: someone was faster."""
    same = (watches.c.id == watch.id) & (watches.c.mode == watch.mode) & (watches.c.mode_at == watch.mode_at)
    with writing(engine) as connection:
        if connection.execute(update(watches).where(same).values(dict(values))).rowcount != 1:
            return False
        if note is not None:
            enqueue_message(connection, watch.channel, "", note, float(note["since"]))
    return True


def set_mode(engine: Engine, watch: Watch, mode: str, why: str, now: float) -> bool:
    """Moves a watch to another mode and restarts its alarms."""
    return change_watch(engine, watch, {"mode": mode, "mode_at": now, "why": why})


def note_read(engine: Engine, watch_id: str, read_ts: str) -> None:
    """Records that the channel's history was read up to this message."""
    with writing(engine) as connection:
        connection.execute(update(watches).where(watches.c.id == watch_id).values(read_ts=read_ts))


def add_ticket(engine: Engine, watch_id: str, key: str, ts: str, text: str, now: float) -> bool:
    """Adds a ticket; False where it is there already, so repeated deliveries add one."""
    row = {"watch_id": watch_id, "key": key, "ts": ts, "text": text, "state": WAITING, "created_at": now}
    try:
        with writing(engine) as connection:
            connection.execute(insert(duty_tickets).values(row))
    except IntegrityError:
        return False
    return True


def edit_ticket(engine: Engine, watch_id: str, key: str, text: str) -> bool:
    """Stores the ticket's new text, to be answered again, unless a person has labelled it or it was deleted."""
    with writing(engine) as connection:
        ticket = _ticket_row(connection, watch_id, key)
        if ticket is None or ticket["state"] == DELETED or ticket["text"] == text:
            return False
        if connection.execute(
            select(duty_labels.c.person).where(ticket_filter(duty_labels, watch_id, key))
        ).first():
            return False
        values = {"text": text, "state": WAITING, "edits": ticket["edits"] + 1}
        connection.execute(
            update(duty_tickets).where(ticket_filter(duty_tickets, watch_id, key)).values(values)
        )
    return True


def delete_ticket(engine: Engine, watch_id: str, key: str) -> str | None:
    """Removes a deleted ticket's text and unsent lines, keeps its row; returns the ts of its posted line, if any."""
    with writing(engine) as connection:
        values = {"text": "", "state": DELETED}
        connection.execute(
            update(duty_tickets).where(ticket_filter(duty_tickets, watch_id, key)).values(values)
        )
        drop_lines_not_sent(connection, watch_id, key)
        return line_ts(connection, watch_id, key)


def waiting_tickets(engine: Engine, watch_id: str, limit: int = 50) -> list[DutyTicket]:
    """Tickets that have no answer yet, oldest first."""
    mine = (duty_tickets.c.watch_id == watch_id) & (duty_tickets.c.state == WAITING)
    with reading(engine) as connection:
        return tickets_where(connection, mine, duty_tickets.c.created_at, limit)


def record_answer(
    engine: Engine, ticket: DutyTicket, line: Mapping[str, Any] | None, channel: str, now: float
) -> bool:
    """Stores the answer and enqueues its line (an `answer` of bot/slack/delivery) in one transaction; False where it was answered or edited.

    An edited ticket that has a line already gets that line changed.
    """
    names = ("state", "queue", "confidence", "likeliest", "reason", "is_near", "is_audit", "version")
    values: dict[str, Any] = {name: getattr(ticket, name) for name in names}
    values |= {"likeliest": [list(pair) for pair in ticket.likeliest], "settled_at": now}
    same = ticket_filter(duty_tickets, ticket.watch_id, ticket.key) & (duty_tickets.c.state == WAITING)
    same &= duty_tickets.c.edits == ticket.edits
    with writing(engine) as connection:
        lock_watch(connection, ticket.watch_id)
        if connection.execute(update(duty_tickets).where(same).values(values)).rowcount != 1:
            return False
        number_answer(connection, ticket.watch_id, ticket.key)
        drop_lines_not_sent(connection, ticket.watch_id, ticket.key)
        if line is None:
            return True
        key = f"{line_key(ticket.watch_id, ticket.key)}:{ticket.edits}"
        body = {**line, "key": key, "ts": line_ts(connection, ticket.watch_id, ticket.key)}
        enqueue_message(connection, channel, ticket.ts, body, now, ticket_body(ticket.watch_id, ticket.key))
    return True


def enqueue_message(
    connection: Connection,
    channel: str,
    thread_ts: str,
    answer: Mapping[str, Any],
    now: float,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Enqueues a message of the bot for a channel, once for each key; `about` holds further fields for the sender."""
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
    """Stores a person's label of a ticket; it replaces an earlier one of the same person."""
    with writing(engine) as connection:
        lock_watch(connection, watch_id)
        if _ticket_row(connection, watch_id, key) is None:
            raise WorkerError("This ticket is not known here any more.")
        before = _majority_queue(connection, watch_id, key)
        mine = ticket_filter(duty_labels, watch_id, key) & (duty_labels.c.person == person)
        values = {"queue": queue, "at": now}
        if connection.execute(update(duty_labels).where(mine).values(values)).rowcount == 0:
            row = {"watch_id": watch_id, "key": key, "person": person, **values}
            connection.execute(insert(duty_labels).values(row))
        number_judgement(connection, watch_id, key, before != _majority_queue(connection, watch_id, key))


def ticket_of(engine: Engine, watch_id: str, key: str) -> DutyTicket:
    """One ticket; WorkerError where it is not known."""
    with reading(engine) as connection:
        row = _ticket_row(connection, watch_id, key)
    if row is None:
        raise WorkerError("This ticket is not known here any more.")
    return _ticket(row)


def tickets_of(engine: Engine, watch_id: str, since: float = 0.0) -> list[DutyTicket]:
    """Every ticket of a watch since then, oldest first; reads all of it, so do not call it in a loop."""
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
    """The labels by ticket, oldest first, inside a transaction."""
    query = select(*(duty_labels.c[one.name] for one in fields(Label))).where(which)
    by_key: dict[str, list[Label]] = {}
    for row in connection.execute(query.order_by(duty_labels.c.at)):
        by_key.setdefault(row.key, []).append(Label(*row))
    return by_key


def ticket_rate(engine: Engine, watch_id: str, since: float) -> tuple[int, float]:
    """The number of tickets since then, and the time of the first; (0, `since`) without any."""
    mine = (duty_tickets.c.watch_id == watch_id) & (duty_tickets.c.created_at >= since)
    with reading(engine) as connection:
        query = select(func.count(), func.min(duty_tickets.c.created_at)).where(mine)
        count, first = connection.execute(query).one()
    return count, since if first is None else first


def labels_of(engine: Engine, watch_id: str) -> dict[str, list[Label]]:
    """The labels by ticket, oldest first."""
    with reading(engine) as connection:
        return labels_where(connection, duty_labels.c.watch_id == watch_id)


def majority_queue(labels: Sequence[Label]) -> str | None:
    """The queue with the most labels; None without labels or at a tie."""
    counts: dict[str, int] = {}
    for one in labels:
        counts[one.queue] = counts.get(one.queue, 0) + 1
    most = max(counts.values(), default=0)
    best = [queue for queue, count in counts.items() if count == most]
    return best[0] if len(best) == 1 else None


def _majority_queue(connection: Connection, watch_id: str, key: str) -> str | None:
    return majority_queue(labels_where(connection, ticket_filter(duty_labels, watch_id, key)).get(key, ()))


def _ticket_row(connection: Connection, watch_id: str, key: str) -> RowMapping | None:
    query = select(duty_tickets).where(ticket_filter(duty_tickets, watch_id, key))
    return connection.execute(query).mappings().first()


def _watch(row: RowMapping) -> Watch:
    return Watch(**{one.name: row[one.name] for one in fields(Watch)})


def _ticket(row: RowMapping) -> DutyTicket:
    values = {one.name: row[one.name] for one in fields(DutyTicket)}
    likeliest = tuple((str(name), float(share)) for name, share in row["likeliest"] or ())
    return DutyTicket(**{**values, "likeliest": likeliest})
