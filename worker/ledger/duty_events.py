"""The events of a watch for its alarms: each is processed once, in one transaction with the state that follows.

An event is a ticket's first answer or its first label, in the order of their numbers (duty_event_numbers.py). The state is JSON of
the caller, stored with a version, the model and the start of its duty; a state with other values is discarded and computed
again from all events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, update

from worker.ledger.database import reading, writing
from worker.ledger.duty import DutyTicket, Label, Watch, labels_where, tickets_where
from worker.ledger.duty_event_numbers import reserve_numbers
from worker.ledger.duty_tables import duty_labels, duty_tickets, ticket_filter, watches

BATCH = 1_000  # events per transaction, so that computing a state again does not block other writers for long
State = dict[str, Any]  # the caller's JSON


@dataclass(frozen=True)
class Event:
    """A ticket's answer or, where `words` is set, its labels so far."""

    place: int
    ticket: DutyTicket
    words: tuple[Label, ...] | None = None


@dataclass(frozen=True)
class NewEvents:
    """The stored state (None: start again), the events since, and all labelled tickets where an earlier label has changed."""

    state: State | None
    events: Sequence[Event]
    all_judged: Sequence[Event] | None


def event_counts(engine: Engine, watch_id: str) -> tuple[int, int]:
    """Counts of events and revisions; one of them grows whenever there is something new."""
    query = select(watches.c.events, watches.c.revisions).where(watches.c.id == watch_id)
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return (row.events or 0, row.revisions or 0) if row else (0, 0)


def advance(
    engine: Engine, watch: Watch, version: int, take: Callable[[NewEvents], State]
) -> tuple[State | None, bool]:
    """Passes up to BATCH new events to `take` and stores the state that it returns, under `version`; returns it, and whether more wait.

    Returns (None, False) and processes nothing where the watch is no longer in the caller's mode.
    """
    same = (watches.c.id == watch.id) & (watches.c.mode == watch.mode) & (watches.c.mode_at == watch.mode_at)
    form = {"version": version, "model": watch.version, "since": watch.mode_at}
    with writing(engine) as connection:
        query = select(watches.c.evidence, watches.c.events, watches.c.revisions).where(same)
        row = connection.execute(query.with_for_update()).first()
        if row is None:
            return None, False
        old = row.evidence if isinstance(row.evidence, dict) else {}
        last, revisions = row.events or 0, row.revisions or 0
        if any(old.get(name) != value for name, value in form.items()):
            old, last = {}, _number_earlier(connection, watch) or last
        after = int(old.get("place", 0))
        is_revision = bool(old) and old["revisions"] != revisions
        if old and after == last and not is_revision:
            return old["state"], False
        events = _events(connection, watch, after)
        is_more = len(events) == BATCH
        all_judged = (
            _judged_events(connection, watch, duty_tickets.c.word_place <= after) if is_revision else None
        )
        state = take(NewEvents(old.get("state"), events, all_judged))
        place = events[-1].place if is_more else last
        values = {**form, "place": place, "revisions": revisions, "state": state}
        connection.execute(update(watches).where(same).values(evidence=values))
    return state, is_more


def checked_events_since(engine: Engine, watch: Watch, limit: int) -> list[Event]:
    """The newest checked and labelled tickets since the mode began, oldest first."""
    with reading(engine) as connection:
        which = duty_tickets.c.word_place.is_not(None) & duty_tickets.c.is_audit
        newest = _judged_events(connection, watch, which, duty_tickets.c.created_at.desc(), limit)
    return newest[::-1]


def _events(connection: Connection, watch: Watch, after: int) -> list[Event]:
    which = _since(watch) & (duty_tickets.c.place > after)
    rows = tickets_where(connection, which, duty_tickets.c.place, BATCH)
    tickets = [Event(one.place or 0, one) for one in rows]
    later = duty_tickets.c.word_place > after
    if len(tickets) == BATCH:
        later &= duty_tickets.c.word_place < tickets[-1].place
    words = _judged_events(connection, watch, later, limit=BATCH)
    return sorted([*tickets, *words], key=lambda event: event.place)[:BATCH]


def _judged_events(
    connection: Connection,
    watch: Watch,
    which: Any,
    order: Any = duty_tickets.c.word_place,
    limit: int | None = None,
) -> list[Event]:
    """Labelled tickets with their labels."""
    which = _since(watch) & which
    keys = select(duty_tickets.c.key).where(which).order_by(order).limit(limit)
    labels = labels_where(connection, (duty_labels.c.watch_id == watch.id) & duty_labels.c.key.in_(keys))
    rows = tickets_where(connection, which, order, limit)
    return [Event(one.word_place or 0, one, tuple(labels.get(one.key, ()))) for one in rows]


def _since(watch: Watch) -> Any:
    return (duty_tickets.c.watch_id == watch.id) & (duty_tickets.c.created_at >= watch.mode_at)


def _number_earlier(connection: Connection, watch: Watch) -> int | None:
    """Numbers the events of an earlier version by time; returns the last number, None without any."""
    without_number = duty_tickets.c.place.is_(None) & duty_tickets.c.settled_at.is_not(None)
    rows = connection.execute(
        select(duty_tickets.c.key, duty_tickets.c.created_at).where(_since(watch) & without_number)
    )
    events = [(row.created_at, "place", row.key) for row in rows]
    silent = _judged_events(connection, watch, duty_tickets.c.word_place.is_(None) & duty_tickets.c.is_audit)
    events += [(one.words[0].at, "word_place", one.ticket.key) for one in silent if one.words]
    if not events:
        return None
    first = reserve_numbers(connection, watch.id, len(events))
    places = [
        (column, {"ticket": key, "number": n}) for n, (_, column, key) in enumerate(sorted(events), first)
    ]
    mine = ticket_filter(duty_tickets, watch.id, bindparam("ticket"))
    for name in ("place", "word_place"):
        if numbers := [values for column, values in places if column == name]:
            connection.execute(update(duty_tickets).where(mine).values({name: bindparam("number")}), numbers)
    return first + len(events) - 1
