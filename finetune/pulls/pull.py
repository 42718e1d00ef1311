"""A pull: reads the pages of a source since the last pull into the next version of a dataset.

Each page is cleaned and redacted, then stored with the next cursor, so an interrupted pull resumes from there. The version is
written last and is idempotent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from finetune.data.card import Card
from finetune.data.repair import Decision, Repairs
from finetune.data.store import BUNDLED_BY, DatasetStore, check_name
from finetune.data.ticket import DatasetError, Kind, Ticket, Tickets
from finetune.pulls.change_report import Change, describe_change, nothing_usable
from finetune.pulls.merging import DROPPED_BY_PEOPLE, Merge, PulledRows, combine_pages, merge, with_decisions
from finetune.pulls.page_import import Prepare, columns_read, import_page, resolve_columns
from finetune.sources.contract import Connection, Cursor, ExpiredCursor, Page, Query, Source, SourceError
from finetune.sources.http import seconds_of

OVERLAP_S = 120.0
"""The overlap to read again after an expired cursor, as clocks and indexes of the source lag."""
MAX_CHARACTERS = 200_000_000  # of a pull, which is held in memory
MARKS = 300
"""Remembered rows, so that an unchanged row in two pages counts once."""
Step = Callable[[str], None]
State = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One pull: the query, its dataset and owner; `is_full` reads everything again, which also finds deletions.

    `by`, `scopes` and `licence` apply to a new dataset only.
    """

    dataset: str
    query: Query
    by: str
    scopes: frozenset[str]
    licence: str = "not stated"
    is_full: bool = False


@dataclass(frozen=True)
class PullResult:
    """The newest version's card, and what the pull changed."""

    card: Card
    change: Change


def pull(
    store: DatasetStore, source: Source, connection: Connection, order: Order, prepare: Prepare, step: Step
) -> PullResult:
    """Read the changes since the last pull (the first time everything) and store them as the next version.

    `step` gets the progress before each request and may raise to stop the pull, which resumes next time. SourceError and
    DatasetError say what to do; the pages so far are kept.
    """
    check_name(order.dataset)
    state = _begin(store, source, connection, order)
    while not state["is_read"]:
        state = _read_page(store, source, connection, order.dataset, state, prepare, step)
    step("making the version")
    return _make_version(store, source, order, state)


def check_origin(store: DatasetStore, dataset: str, source: str, project: str) -> None:
    """SourceError where the dataset is pulled from another source or project; before a schedule is changed, too."""
    old = store.pulls.state(dataset)
    if old is None or (old["source"], old["asked"]["project"]) == (source, project.strip()):
        return
    if any(not card.erased for card in store.versions(dataset)):
        raise SourceError(
            f"The dataset {dataset} is pulled from {old['source']} {old['asked']['project']}".rstrip()
            + ": pull this one under another name (--name)."
        )


def _begin(store: DatasetStore, source: Source, connection: Connection, order: Order) -> State:
    """The state to resume from: that of an unfinished pull with the same query, else a new one after the last pull."""
    old = store.pulls.state(order.dataset)
    newest = _newest(store, order.dataset)
    origin = {"source": source.name, "asked": order.query.to_json()}
    check_origin(store, order.dataset, source.name, order.query.project)
    if newest and newest.kind != _kind(order.query):
        raise SourceError(
            f"The dataset {order.dataset} holds {'queues' if newest.kind == 'triage' else 'replies'}: pull "
            f"{'replies' if order.query.has_replies else 'queues'} under another name (--name)."
        )
    goes_on = old is not None and old["asked"] == origin["asked"] and (newest is not None or not old["done"])
    if goes_on and old is not None and old["is_started"] and old["is_full"] >= order.is_full:
        return old
    last_end = old["done"] if old and goes_on and not order.is_full else None
    is_own = bool(old["is_own"]) if old and newest else newest is None
    state = {
        **origin,
        "query": connection.resolve(order.query).to_json() if not (old and last_end) else old["query"],
        "base": store.repairs.original_digest(newest) if newest else "",
        "cursor": last_end,
        "done": last_end,
        "until": old["until"] if old and last_end else None,
        "is_settled": bool(old and last_end and old["is_settled"]),
        "is_own": is_own,
        "is_full": last_end is None,
        "is_started": True,
        "is_read": False,
        "pages": 0,
        "tickets": 0,
        "characters": 0,
        "marks": old["marks"] if old and last_end else [],
        "last": old["last"] if old and newest else None,
    }
    store.pulls.finish(order.dataset, state)
    return state


def _read_page(
    store: DatasetStore,
    source: Source,
    connection: Connection,
    dataset: str,
    state: State,
    prepare: Prepare,
    step: Step,
) -> State:
    """Read and store one more page; returns the state after it."""
    query = Query.from_json(state["query"])
    step(f"{state['tickets']:,} tickets read")
    cursor = state["cursor"] or connection.start(query, seconds_of(query.since) if query.since else None)
    page = _ask(connection, query, cursor, state["until"])
    if not state["is_settled"]:
        query = resolve_columns(page, query)
    marks = [_mark(row) for row in page.rows]
    page = replace(
        page,
        rows=tuple(row for row, mark in zip(page.rows, marks, strict=True) if mark not in state["marks"]),
    )
    page_values = import_page(page, query, prepare, state["tickets"] + 1)
    texts = (row["text"] + row.get("answer", "") for row in page_values["rows"])
    characters = state["characters"] + sum(map(len, texts))
    if characters > MAX_CHARACTERS:
        raise SourceError(
            f"{source.label} has more than {MAX_CHARACTERS / 1e6:,.0f} MB of tickets. Pull the newer ones: --since 2026-01-01; "
            "20,000 are plenty."
        )
    after = {
        **state,
        "query": query.to_json(),
        "is_settled": state["is_settled"] or bool(page.rows),
        "cursor": dict(page.cursor),
        "until": max((at for at in (state["until"], page.until) if at is not None), default=None),
        "is_read": page.is_last,
        "pages": state["pages"] + 1,
        "tickets": state["tickets"] + len(page.rows),
        "characters": characters,
        "marks": list(dict.fromkeys([*state["marks"], *marks]))[-MARKS:],
    }
    store.pulls.keep_page(dataset, page_values, after)
    return after


def _mark(row: Mapping[str, Any]) -> str:
    """The mark of a row, to recognise it unchanged in an overlapping page."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:20]


def _ask(connection: Connection, query: Query, cursor: Cursor, until: float | None) -> Page:
    """The page at the cursor; if the cursor has expired, the page after the last read change."""
    try:
        return connection.page(query, cursor)
    except ExpiredCursor:
        oldest = seconds_of(query.since) if query.since else None
        since = until - OVERLAP_S if until is not None else oldest
        return connection.page(query, connection.start(query, since))


def _make_version(store: DatasetStore, source: Source, order: Order, state: State) -> PullResult:
    """Merge the pages into the base version; without changes no version is created."""
    where = f"{source.label} {state['asked']['project']}".strip()
    newest = _newest(store, order.dataset)
    if newest is None and state["base"]:
        store.pulls.end_removed(order.dataset)
    arrivals = combine_pages(store.pulls.pages(order.dataset, state["pages"]))
    base, is_remade = _base(store, newest, state)
    decisions = _decisions(store, newest, state)
    drops = {key for one in decisions if one.kind == "drop" and not one.is_settled for key in one.ids}
    dropped = len(drops & arrivals.rows.keys())
    arrivals = with_decisions(arrivals, [one for one in decisions if one.is_settled])  # the others: `carry`
    whole = bool(state["is_full"] and state["is_own"] and base)
    merger = merge(base, arrivals, whole)
    if not (merger.new_ids or merger.changed_ids or merger.gone_ids):
        if newest is None:
            store.pulls.keep_state(order.dataset, {**state, "is_read": False})
            raise SourceError(nothing_usable(where, arrivals, Query.from_json(state["query"])))
        change = describe_change(where, base, arrivals, merger, None)
        return _finish(store, order, state, PullResult(newest, replace(change, rows=newest.rows)))
    try:
        whole_newest = replace(newest, rows=len(base)) if newest else None
        card = _keep(store, order, where, whole_newest, merger, arrivals, state)
    except DatasetError as refused:
        store.pulls.keep_state(order.dataset, {**state, "is_read": False})
        raise DatasetError(
            f"{where} gave {arrivals.facts['rows']:,} tickets, which are no dataset yet. {refused}\nWhat was pulled is kept: the "
            "next pull adds to it. For another label, name it (--label-column) and pull again."
        ) from refused
    is_new = newest is None or card.version != newest.version or is_remade
    change = describe_change(where, base, arrivals, merger, card.version if is_new else None)
    before = change.before if newest is None or is_remade else newest.rows
    left_out = {**change.left_out, **({DROPPED_BY_PEOPLE: dropped} if dropped else {})}
    change = replace(change, rows=card.rows, before=before, left_out=left_out)  # as the cards count
    return _finish(store, order, state, PullResult(card, change))


def _kind(query: Query) -> Kind:
    return "reply" if query.has_replies else "triage"


def _newest(store: DatasetStore, dataset: str) -> Card | None:
    versions = [card for card in store.versions(dataset) if not card.erased]
    return versions[-1] if versions else None


def _decisions(store: DatasetStore, newest: Card | None, state: Mapping[str, Any]) -> tuple[Decision, ...]:
    """People's decisions in force: the newest version's, or those of the one before that a killed pull began with."""
    if newest is None:
        return ()
    made = state.get("made") == newest.digest
    cards = [one for one in store.versions(newest.name) if not one.erased and one.repairs]
    old = [one for one in cards if store.repairs.original_digest(one) == state["base"]] if made else []
    card = old[-1] if old and not newest.repairs else newest
    return Repairs.from_json(card.repairs, card.digest).in_force


def _base(
    store: DatasetStore, newest: Card | None, state: Mapping[str, Any]
) -> tuple[Sequence[Ticket], bool]:
    """The rows to merge with: the newest version's as they were before people's repairs, which are made again afterwards.

    And whether that version was made of these pages by a pull that was killed.
    """
    if newest is None:
        return (), False
    mark = state.get("made")
    before_repairs = store.repairs.original_digest(newest)
    if mark is not None and mark == before_repairs:
        before = state["base"]
        there = before and any(
            card.digest == before and not card.erased for card in store.versions(newest.name)
        )
        return (store.tickets(before).rows if there else ()), True
    return store.tickets(before_repairs).rows, False


def _keep(
    store: DatasetStore,
    order: Order,
    where: str,
    newest: Card | None,
    merger: Merge,
    arrivals: PulledRows,
    state: State,
) -> Card:
    """The merged rows as a version, with the counts of the base's card and the pull's together."""
    query = Query.from_json(state["query"])
    columns = columns_read(query)
    notes = tuple(dict.fromkeys((*arrivals.notes, *merger.notes)))
    tickets = Tickets(merger.rows, _kind(query), columns=columns, notes=notes)
    before_repairs = store.repairs.original_digest(newest) if newest else ""
    state["base"] = before_repairs if newest and state.get("made") != before_repairs else state["base"]
    if newest and before_repairs == tickets.digest != newest.digest:
        return newest  # a killed pull had come to its end
    state["made"] = tickets.digest
    store.pulls.keep_state(order.dataset, state)  # so that a kill from here on is recognised
    prepare = partial(_as_prepared, _facts(newest, merger, arrivals))
    scopes = frozenset(newest.scopes) if newest else order.scopes
    licence = newest.licence if newest else order.licence
    by = newest.added_by if newest and newest.added_by != BUNDLED_BY else order.by
    card = store.preparing(prepare).keep(tickets, order.dataset, by, scopes, licence, where)
    return store.repairs.carry_over(str(state["base"]), card) if newest else card


def _as_prepared(facts: Mapping[str, Any], tickets: Tickets) -> tuple[Tickets, Mapping[str, Any]]:
    """The rows as they are: each page was prepared when it came."""
    return tickets, facts


def _facts(newest: Card | None, merger: Merge, arrivals: PulledRows) -> dict[str, Any]:
    """The card's counts: those of the versions before, and of this pull."""
    facts = arrivals.facts
    before = newest.rows if newest else 0
    left_out = {**facts["left_out"], **facts["skips"]}
    more = {
        "exact copies": merger.copies,
        "earlier states of tickets": arrivals.earlier + merger.replacements,
        "gone at the source": merger.departures,
    }
    for rule, count in more.items():
        if count:
            left_out[rule] = left_out.get(rule, 0) + count
    report = {
        "whose": "The earlier version's and the pull's" if before else "The pull's",
        "rows": before + facts["rows"] + sum(facts["skips"].values()),
        "kept": len(merger.rows),
        "left_out": left_out,
        "repaired": facts["repaired"],
        "lines": {},
        "characters": facts["characters"],
        "cuts": [],
        "also": {},
        "unread": [],
    }
    return {
        "cleaned": _sum(newest.cleaned if newest else {}, facts["cleaned"]),
        "redactions": _sum((newest.redactions or {}) if newest else {}, facts["redactions"]),
        "not_covered": facts["not_covered"],
        "intake": report,
    }


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def _finish(store: DatasetStore, order: Order, state: State, result: PullResult) -> PullResult:
    """Writes where the next pull begins, then erases the pages."""
    after = {
        **state,
        "done": state["cursor"],
        "is_started": False,
        "is_read": False,
        "is_full": False,
        "pages": 0,
        "characters": 0,
        "tickets": 0,
        "made": None,
        "last": result.change.to_json() if result.change.version is not None else state["last"],
    }
    store.pulls.finish(order.dataset, after)
    return result
