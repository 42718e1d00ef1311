"""The card of a dataset: what a person must know before training on it, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from statistics import median
from typing import Any

from finetune.data.duplicates import find_duplicates
from finetune.data.split import split
from finetune.data.ticket import Tickets

CARD_SEED = 7


@dataclass(frozen=True)
class Card:
    """One version of a dataset. Round-trips JSON; carries counts and names of queues, never a ticket's text.

    `balance` is the largest class over the smallest; `weeks` are (Monday, rows) pairs; `redactions` count
    replacements by type; `noise` stays empty until labels were checked; `erased` rows are gone for good.
    """

    name: str
    version: int
    digest: str
    kind: str
    rows: int
    classes: tuple[tuple[str, int], ...]
    scopes: tuple[str, ...]
    licence: str
    added_by: str
    added_at: str
    source: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    guessed: bool = False
    rejected: int = 0
    repaired: int = 0
    notes: tuple[str, ...] = ()
    balance: float = 1.0
    duplicates: Mapping[str, int] = field(default_factory=dict)
    cleaned: Mapping[str, int] = field(default_factory=dict)
    redactions: Mapping[str, int] = field(default_factory=dict)
    not_covered: str = ""
    noise: Mapping[str, Any] = field(default_factory=dict)
    splits: Mapping[str, Any] = field(default_factory=dict)
    weeks: tuple[tuple[str, int], ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    customers: int = 0
    erased: bool = False

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Card:
        """The card that `to_json` wrote; unknown keys of a newer version are ignored."""
        known = {item.name for item in fields(Card)}
        kept: dict[str, Any] = {key: value for key, value in values.items() if key in known}
        for key in ("classes", "weeks"):
            kept[key] = tuple((str(name), int(count)) for name, count in kept.get(key, ()))
        for key in ("scopes", "notes"):
            kept[key] = tuple(kept.get(key, ()))
        return Card(**kept)


def describe(
    tickets: Tickets,
    *,
    name: str,
    scopes: tuple[str, ...],
    licence: str,
    added_by: str,
    added_at: str,
    source: str = "",
    **found: Any,
) -> Card:
    """The card of these rows (version 0: the store numbers it); `found` are clean and redact's counts."""
    copies = find_duplicates(tickets.texts)
    sides = split(tickets, CARD_SEED, clusters=copies.of)
    lengths = [len(text) for text in tickets.texts]
    sizes = [count for _, count in tickets.classes]
    return Card(
        name=name,
        version=0,
        digest=tickets.digest,
        kind=tickets.kind,
        rows=len(tickets),
        classes=tickets.classes,
        scopes=scopes,
        licence=licence,
        added_by=added_by,
        added_at=added_at,
        source=source,
        columns=dict(tickets.columns),
        guessed=tickets.guessed,
        rejected=len(tickets.rejected),
        repaired=len(tickets.problems) - len(tickets.rejected),
        notes=tickets.notes,
        balance=round(max(sizes) / min(sizes), 1) if sizes else 1.0,
        duplicates={"exact": copies.exact, "near": copies.near},
        splits={
            "train": len(sides.train),
            "dev": len(sides.dev),
            "test": len(sides.test),
            "left_out": len(sides.left_out),
            "folds": len(sides.folds),
            "how": sides.how,
        },
        weeks=_weeks(tickets),
        lengths={"median": int(median(lengths)), "longest": max(lengths)},
        customers=len({row.customer for row in tickets.rows if row.customer}),
        **found,
    )


def _weeks(tickets: Tickets) -> tuple[tuple[str, int], ...]:
    dates = [row.created_at.date() for row in tickets.rows if row.created_at]
    mondays = Counter(date - timedelta(days=date.weekday()) for date in dates)
    return tuple((monday.isoformat(), count) for monday, count in sorted(mondays.items()))
