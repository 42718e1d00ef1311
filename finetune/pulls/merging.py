"""Merges the rows of a pull into the newest version: new, changed, unchanged and deleted tickets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune.data.labels import merge_spellings
from finetune.data.prepare import same_text
from finetune.data.repair import Decision, apply_decisions
from finetune.data.ticket import Ticket
from finetune.pulls.page_import import add_facts


@dataclass(frozen=True)
class PulledRows:
    """All pages of a pull: the last state of each ticket by id, ids of departed tickets, counts and notes."""

    rows: Mapping[str, Ticket]
    departures: frozenset[str]
    facts: Mapping[str, Any]
    deletions: int = 0
    earlier: int = 0  # rows that a later page replaced
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Merge:
    """The rows of the next version in order, the ids of what became of them, and what the account of rows needs:
    `replacements` of the base's rows by their later state, `departures` of those that are gone at the source, `copies` of others."""

    rows: tuple[Ticket, ...]
    new_ids: tuple[str, ...]
    changed_ids: tuple[str, ...]
    gone_ids: tuple[str, ...]
    replacements: int
    departures: int
    copies: int
    notes: tuple[str, ...] = ()


def combine_pages(pages: Iterable[Mapping[str, Any]]) -> PulledRows:
    """Combine the pages; of a ticket that changed during the pull the last state counts."""
    rows: dict[str, Ticket] = {}
    departures: set[str] = set()
    facts: list[Mapping[str, Any]] = []
    notes: list[str] = []
    deletions = earlier = 0
    for page in pages:
        for one in page["left"]:
            earlier += rows.pop(one, None) is not None
            departures.add(one)
        for values in page["rows"]:
            row = Ticket.from_json(values)
            earlier += rows.pop(row.id, None) is not None
            rows[row.id] = row
            departures.discard(row.id)
        deletions += page["deleted"]
        facts.append(page["facts"])
        notes += page["notes"]
    return PulledRows(
        rows, frozenset(departures), add_facts(facts), deletions, earlier, tuple(dict.fromkeys(notes))
    )


DROPPED_BY_PEOPLE = "dropped by people before"


def with_decisions(arrivals: PulledRows, decisions: Sequence[Decision]) -> PulledRows:
    """Apply people's decisions about the dataset to the pulled rows: merged and corrected labels, dropped rows.

    A corrected label holds until the source changes the ticket's label.
    """
    open_ones = [replace(one, is_settled=False) for one in decisions if one.is_open]
    labels_now = {key: row.label for key, row in arrivals.rows.items()}
    fitting = [
        replace(one, ids=tuple(key for key in one.ids if labels_now.get(key) == one.labels[0]))
        if one.kind == "label"
        else one
        for one in open_ones
    ]
    rows = {row.id: row for row in apply_decisions(arrivals.rows.values(), fitting)}
    if not (drops := len(arrivals.rows) - len(rows)):
        return replace(arrivals, rows=rows)
    left_out = {**arrivals.facts["left_out"], DROPPED_BY_PEOPLE: drops}
    departures = arrivals.departures | (labels_now.keys() - rows.keys())
    return replace(arrivals, rows=rows, departures=departures, facts={**arrivals.facts, "left_out": left_out})


def merge(base: Sequence[Ticket], arrivals: PulledRows, is_whole: bool = False) -> Merge:
    """The base with each ticket's current state and new tickets at the end. `is_whole`: missing tickets were deleted."""
    rows: list[Ticket] = []
    gone_ids: list[str] = []
    old = {row.id: row for row in base}
    for row in base:
        if row.id in arrivals.rows:
            rows.append(arrivals.rows[row.id])
        elif row.id in arrivals.departures or is_whole:
            gone_ids.append(row.id)
        else:
            rows.append(row)
    departures = len(gone_ids)
    rows += [row for key, row in arrivals.rows.items() if key not in old]
    rows, copies = _without_copies(rows)
    merged_rows, notes = merge_spellings(rows)
    after = {row.id: row for row in merged_rows}
    missing = set(gone_ids)
    gone_ids += [key for key in old if key not in after and key not in missing]
    return Merge(
        tuple(merged_rows),
        tuple(key for key in after if key not in old),
        tuple(key for key, row in after.items() if key in old and old[key] != row),
        tuple(gone_ids),
        sum(key in old for key in arrivals.rows),
        departures,
        copies,
        tuple(notes),
    )


def _without_copies(rows: Sequence[Ticket]) -> tuple[list[Ticket], int]:
    """The first row of each set with equal text, label and answer; and the number of dropped copies."""
    first: dict[tuple[str, str], Ticket] = {}
    for row in rows:
        first.setdefault((same_text(row.text), row.label or same_text(row.answer or "")), row)
    return list(first.values()), len(rows) - len(first)
