"""What was bet on a watch so far, beside it in the ledger: each event is taken once, in its transaction with the state after it.

An event is a ticket that was settled, or people's first word on one; its place is its order (duty_places.py). The state is JSON of
whoever takes the events, under a version, the model and the time of its duty: any other state counts as none, and is made anew
from the events' places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, update

from worker.ledger.database import reading, writing
from worker.ledger.duty import DutyTicket, Label, Watch, labels_where, tickets_where
from worker.ledger.duty_places import next_place
from worker.ledger.duty_tables import about, duty_labels, duty_tickets, watches

AT_ONCE = 1_000  # events a transaction, so that a state made anew holds up no other writer for long
State = dict[str, Any]  # JSON of whoever takes the events


@dataclass(frozen=True)
class Event:
    """A ticket that was settled, or with `words` what people say of it by now."""

    place: int
    ticket: DutyTicket
    words: tuple[Label, ...] | None = None


@dataclass(frozen=True)
class News:
    """The state that was kept, None where there is none of use; what happened since; all words so far where one has changed."""

    state: State | None
    events: Sequence[Event]
    all_words: Sequence[Event] | None


def pulse(engine: Engine, watch_id: str) -> tuple[int, int]:
    """Events and revisions so far: what changes whenever there is something new to judge."""
    query = select(watches.c.events, watches.c.revisions).where(watches.c.id == watch_id)
    with reading(engine) as connection:
        row = connection.execute(query).first()
    return (row.events or 0, row.revisions or 0) if row else (0, 0)


def advance(
    engine: Engine, watch: Watch, version: int, take: Callable[[News], State]
) -> tuple[State | None, bool]:
    """Gives `take` up to AT_ONCE events and keeps the state that it makes of them, under `version`; the state, and whether more wait.

    (None, False) where the watch has left the mode that the caller saw: nothing is taken then.
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
            old, last = {}, _place_earlier(connection, watch) or last
        after = int(old.get("place", 0))
        is_revision = bool(old) and old["revisions"] != revisions
        if old and after == last and not is_revision:
            return old["state"], False
        events = _events(connection, watch, after)
        is_more = len(events) == AT_ONCE
        all_words = _words(connection, watch, duty_tickets.c.word_place <= after) if is_revision else None
        state = take(News(old.get("state"), events, all_words))
        place = events[-1].place if is_more else last
        values = {**form, "place": place, "revisions": revisions, "state": state}
        connection.execute(update(watches).where(same).values(evidence=values))
    return state, is_more


def judged_since(engine: Engine, watch: Watch, limit: int) -> list[Event]:
    """The newest tickets since the watch's mode began that were drawn for checking and judged, the oldest first."""
    with reading(engine) as connection:
        which = duty_tickets.c.word_place.is_not(None) & duty_tickets.c.is_audit
        newest = _words(connection, watch, which, duty_tickets.c.created_at.desc(), limit)
    return newest[::-1]


def _events(connection: Connection, watch: Watch, after: int) -> list[Event]:
    which = _since(watch) & (duty_tickets.c.place > after)
    rows = tickets_where(connection, which, duty_tickets.c.place, AT_ONCE)
    tickets = [Event(one.place or 0, one) for one in rows]
    later = duty_tickets.c.word_place > after
    if len(tickets) == AT_ONCE:
        later &= duty_tickets.c.word_place < tickets[-1].place
    words = _words(connection, watch, later, limit=AT_ONCE)
    return sorted([*tickets, *words], key=lambda event: event.place)[:AT_ONCE]


def _words(
    connection: Connection,
    watch: Watch,
    which: Any,
    order: Any = duty_tickets.c.word_place,
    limit: int | None = None,
) -> list[Event]:
    """Tickets that people have judged, with their words."""
    which = _since(watch) & which
    keys = select(duty_tickets.c.key).where(which).order_by(order).limit(limit)
    labels = labels_where(connection, (duty_labels.c.watch_id == watch.id) & duty_labels.c.key.in_(keys))
    rows = tickets_where(connection, which, order, limit)
    return [Event(one.word_place or 0, one, tuple(labels.get(one.key, ()))) for one in rows]


def _since(watch: Watch) -> Any:
    return (duty_tickets.c.watch_id == watch.id) & (duty_tickets.c.created_at >= watch.mode_at)


def _place_earlier(connection: Connection, watch: Watch) -> int | None:
    """Gives what an earlier version settled and heard since the mode began its places, by time; the last one, None without any."""
    placeless = duty_tickets.c.place.is_(None) & duty_tickets.c.settled_at.is_not(None)
    rows = connection.execute(
        select(duty_tickets.c.key, duty_tickets.c.created_at).where(_since(watch) & placeless)
    )
    events = [(row.created_at, "place", row.key) for row in rows]
    silent = _words(connection, watch, duty_tickets.c.word_place.is_(None) & duty_tickets.c.is_audit)
    events += [(one.words[0].at, "word_place", one.ticket.key) for one in silent if one.words]
    if not events:
        return None
    first = next_place(connection, watch.id, len(events))
    places = [
        (column, {"ticket": key, "number": n}) for n, (_, column, key) in enumerate(sorted(events), first)
    ]
    mine = about(duty_tickets, watch.id, bindparam("ticket"))
    for name in ("place", "word_place"):
        if numbers := [values for column, values in places if column == name]:
            connection.execute(update(duty_tickets).where(mine).values({name: bindparam("number")}), numbers)
    return first + len(events) - 1
