"""People's decisions about a dataset's labels and rows, and their effect on the rows. Pure.

A repaired version consists of base rows and decisions; the same two give the same rows, so any decision can be undone,
also an earlier one. Decisions hold label names and row ids, never a ticket's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from finetune.data.row_file import collect_rows
from finetune.data.ticket import Ticket

Kind = Literal["merge", "apart", "label", "keep", "drop", "stay"]
CHANGES = frozenset({"merge", "label", "drop"})


@dataclass(frozen=True)
class Draft:
    """A proposed decision: its kind, labels and rows.

    merge: (from, into); apart: the two labels; label: (given, new) of the rows `ids`; keep: (given, suggested);
    drop and stay: the rows `ids`.
    """

    kind: Kind
    labels: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """One decision: who, when (ISO 8601, UTC), how many rows it changed, the resulting version.

    `undone_by` is who undid it. An `is_settled` one is part of the stored rows and cannot be undone.
    """

    number: int
    kind: Kind
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    rows: int
    by: str
    by_name: str
    at: str
    version: int
    undone_by: str = ""
    undone_at: str = ""
    is_settled: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is in force and can be undone."""
        return not self.undone_by

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"labels": list(self.labels), "ids": list(self.ids)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Decision:
        """What `to_json` wrote; unknown keys of a newer version are ignored."""
        names = {item.name for item in fields(Decision)}
        facts: dict[str, Any] = {key: value for key, value in values.items() if key in names}
        return Decision(**facts | {"labels": tuple(facts["labels"]), "ids": tuple(facts["ids"])})


@dataclass(frozen=True)
class Repairs:
    """The decisions on the rows of `base`, a digest with stored rows."""

    base: str
    decisions: tuple[Decision, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the card stores it; {} without decisions."""
        if not self.decisions:
            return {}
        return {"base": self.base, "decisions": [one.to_json() for one in self.decisions]}

    @staticmethod
    def from_json(values: Mapping[str, Any], base: str) -> Repairs:
        """What `to_json` wrote; without any, no decisions on `base`."""
        if not values:
            return Repairs(base)
        return Repairs(str(values["base"]), tuple(map(Decision.from_json, values["decisions"])))

    @property
    def in_force(self) -> tuple[Decision, ...]:
        """The decisions in force, in order."""
        return tuple(one for one in self.decisions if one.is_open)

    def settled_on(self, base: str) -> Repairs:
        """The same decisions as history, on rows that include them already."""
        return Repairs(base, tuple(replace(one, is_settled=True) for one in self.decisions))


def apply_decisions(rows: Iterable[Ticket], decisions: Sequence[Decision]) -> Sequence[Ticket]:
    """Apply these decisions to the rows, in order.

    A merge applies to every row with its label at that point; a row's last new label wins; dropped rows stay dropped.
    """
    steps = [one for one in decisions if one.kind in CHANGES and one.is_open and not one.is_settled]
    merges = [(place, one.labels[0], one.labels[1]) for place, one in enumerate(steps) if one.kind == "merge"]
    fresh = {
        id: (place, one.labels[1]) for place, one in enumerate(steps) if one.kind == "label" for id in one.ids
    }
    drops = {id for one in steps if one.kind == "drop" for id in one.ids}
    names: dict[tuple[int, str], str] = {}

    def name_after(start: int, label: str) -> str:
        if (start, label) not in names:
            name = label
            for place, old, new in merges:
                name = new if place >= start and name == old else name
            names[start, label] = name
        return names[start, label]

    def decide_on(row: Ticket) -> Ticket:
        if row.label is None:
            return row
        label = name_after(*fresh.get(row.id, (0, row.label)))
        return row if label == row.label else replace(row, label=label)

    return collect_rows(decide_on(row) for row in rows if row.id not in drops)


def without_moved(
    decisions: Sequence[Decision], before: Iterable[Ticket], after: Iterable[Ticket]
) -> tuple[Decision, ...]:
    """The decisions without those on rows whose label has changed at the source since."""
    own = {id for one in decisions if one.kind in ("label", "keep") for id in one.ids}
    labels = {row.id: (row.label or "").casefold() for row in before if row.id in own}
    moved = {row.id for row in after if row.id in labels and labels[row.id] != (row.label or "").casefold()}
    return tuple(
        replace(one, ids=tuple(id for id in one.ids if id not in moved))
        if one.kind in ("label", "keep")
        else one
        for one in decisions
    )


def changed_rows(before: Iterable[Ticket], draft: Draft) -> int:
    """The number of rows that a decision changes."""
    ids = set(draft.ids)
    if draft.kind == "merge":
        old, new = draft.labels
        return sum(row.label == old != new for row in before)
    if draft.kind == "label":
        return sum(row.id in ids and row.label != draft.labels[1] for row in before)
    return sum(row.id in ids for row in before) if draft.kind == "drop" else 0


def decision_line(one: Decision) -> str:
    """A decision as a sentence without ticket text; no markup, labels unescaped."""
    first, second = (*one.labels, "", "")[:2]
    rows = f"{one.rows:,} {'row' if one.rows == 1 else 'rows'}"
    many = f"{len(one.ids):,} {'row' if len(one.ids) == 1 else 'rows'}"
    return {
        "merge": f"“{first}” counts as “{second}” ({rows})",
        "apart": f"“{first}” and “{second}” stay apart",
        "label": f"{rows} from “{first}” to “{second}”",
        "keep": f"“{first}” stays, not “{second}” ({many})",
        "drop": f"{rows} dropped as tests",
        "stay": f"{many} that look like tests stay",
    }[one.kind]


def repair_lines(repairs: Repairs, shown: int = 4) -> list[str]:
    """The card's lines: merges by name, relabelled and dropped rows by number, each with who and when; the newest first."""
    holding = [one for one in reversed(repairs.in_force) if one.kind in CHANGES]
    lines = [f"{decision_line(one)}, by {one.by_name} on {one.at[:10]}" for one in holding[:shown]]
    more = len(holding) - len(lines)
    if not lines:
        return []
    return [f"Repaired: {'; '.join(lines)}{f'; and {more:,} more decisions' if more else ''}."]
