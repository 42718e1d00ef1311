"""The card of a dataset: what a person must know before training on it, as plain values."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from statistics import median
from typing import Any

from finetune.data.dummy_rows import is_dummy_text
from finetune.data.duplicates import find_duplicates
from finetune.data.import_report import report_lines
from finetune.data.languages import language_line, language_shares
from finetune.data.repair import Repairs, repair_lines
from finetune.data.similar_labels import similar_labels
from finetune.data.split import split
from finetune.data.ticket import Tickets

CARD_SEED = 7
MAX_COMPARED, MAX_CHARACTERS = (
    50_000,
    100_000_000,
)  # rows, and characters of theirs, among which near copies are counted and a split is tried


@dataclass(frozen=True)
class Card:
    """One version of a dataset. Round-trips JSON; carries counts and names of queues, and of tickets' texts only the
    redacted ends of the largest cuts in `intake`, the import report.

    `balance` is the largest class over the smallest; `weeks` are (Monday, rows) pairs; `redactions` count
    replacements by type; `noise` stays empty until labels were checked; `tryouts` are rows that look like tests;
    `languages` are shares by code, "" for what is not certain;
    `repairs` are people's decisions about the rows (finetune/data/repair.py); `erased` rows are gone for good.
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
    intake: Mapping[str, Any] = field(default_factory=dict)
    redactions: Mapping[str, int] = field(default_factory=dict)
    not_covered: str = ""
    noise: Mapping[str, Any] = field(default_factory=dict)
    splits: Mapping[str, Any] = field(default_factory=dict)
    weeks: tuple[tuple[str, int], ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    customers: int = 0
    tryouts: int = 0
    languages: Mapping[str, float] = field(default_factory=dict)
    repairs: Mapping[str, Any] = field(default_factory=dict)
    erased: bool = False

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Card:
        """The card that `to_json` wrote; unknown keys of a newer version are ignored."""
        names = {item.name for item in fields(Card)}
        facts: dict[str, Any] = {key: value for key, value in values.items() if key in names}
        for key in ("classes", "weeks"):
            facts[key] = tuple((str(name), int(count)) for name, count in facts.get(key, ()))
        for key in ("scopes", "notes"):
            facts[key] = tuple(facts.get(key, ()))
        return Card(**facts)


def describe(
    tickets: Tickets,
    *,
    name: str,
    scopes: tuple[str, ...],
    licence: str,
    added_by: str,
    added_at: str,
    source: str = "",
    **counts: Any,
) -> Card:
    """The card of these rows (version 0: the store numbers it); `counts` are clean and redact's counts."""
    lengths = array("q", (len(row.text) for row in tickets.rows))
    some = _sample_rows(tickets, lengths)
    copies = find_duplicates(some.texts)
    sides = split(some, CARD_SEED, clusters=copies.of)
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
        rejected=len(tickets.rejections),
        repaired=len(tickets.problems) - len(tickets.rejections),
        notes=tickets.notes,
        balance=round(max(sizes) / min(sizes), 1) if sizes else 1.0,
        duplicates={"exact": copies.exact, "near": copies.near, **_of(some, tickets)},
        splits={
            "train": len(sides.train),
            "dev": len(sides.dev),
            "test": len(sides.test),
            "left_out": len(sides.left_out),
            "folds": len(sides.folds),
            "how": sides.how,
            **_of(some, tickets),
        },
        weeks=_weeks(tickets),
        lengths={"median": int(median(lengths)), "longest": max(lengths)},
        customers=len({row.customer for row in tickets.rows if row.customer}),
        tryouts=sum(map(is_dummy_text, tickets.texts)),
        languages=language_shares(tickets.texts),
        **counts,
    )


def _sample_rows(tickets: Tickets, lengths: Sequence[int]) -> Tickets:
    """The rows, or so many of them at random, in their order, that finding near copies keeps its time and memory."""
    most = min(MAX_COMPARED, round(MAX_CHARACTERS * len(lengths) / max(1, sum(lengths))))
    if len(tickets) <= most:
        return tickets
    places = sorted(random.Random(CARD_SEED).sample(range(len(tickets)), most))
    return replace(tickets, rows=tuple(tickets.rows[at] for at in places), problems=())


def _of(some: Tickets, tickets: Tickets) -> dict[str, int]:
    """How many rows were looked at, where these are not all."""
    return {"of": len(some)} if len(some) < len(tickets) else {}


def _weeks(tickets: Tickets) -> tuple[tuple[str, int], ...]:
    dates = (row.created_at.date() for row in tickets.rows if row.created_at)
    mondays = Counter(date - timedelta(days=date.weekday()) for date in dates)
    return tuple((monday.isoformat(), count) for monday, count in sorted(mondays.items()))


CLASSES_SHOWN = 8
NOTES_SHOWN = 6


def card_lines(card: Card) -> list[str]:
    """The card as sentences a manager reads in ten seconds; no markup, and queue names unescaped."""
    lines = [_size(card)]
    if card.classes:
        lines.append(_balance(card))
    return [*lines, *care_lines(card), _origin(card)]


def care_lines(card: Card) -> list[str]:
    """What was done to the rows and what to know of them: left out, cleaned, redacted, doubtful, split."""
    labels = _labels(card) if card.kind == "triage" else ""
    split = f"Split{_among(card.splits)}: {card.splits.get('how', 'not made')}."
    lines = (
        _columns(card),
        *(report_lines(card.intake) or [_read(card)]),
        *_notes(card),
        _cleaning_line(card),
        _copies(card),
        language_line(card.languages),
        _redaction_line(card),
        labels,
        repair_hint(card),
        *repair_lines(Repairs.from_json(card.repairs, card.digest)),
        split,
    )
    return [line for line in lines if line]


PAIRS_SHOWN = 3


def repair_hint(card: Card) -> str:
    """What a person should look at: labels that look like one, rows that look like tests; empty where there is nothing."""
    decisions = Repairs.from_json(card.repairs, card.digest).in_force
    apart = {frozenset(one.labels) for one in decisions if one.kind == "apart"}
    pairs = [pair for pair in similar_labels(card.classes) if frozenset(pair) not in apart]
    tests = card.tryouts - sum(len(one.ids) for one in decisions if one.kind == "stay")
    names = ", ".join(f"“{small}” and “{large}”" for small, large in pairs[:PAIRS_SHOWN])
    more = f" and {len(pairs) - PAIRS_SHOWN} more" if len(pairs) > PAIRS_SHOWN else ""
    parts = [f"labels that look like one: {names}{more}"] if pairs else []
    parts += (
        ["1 row that looks like a test" if tests == 1 else f"{tests:,} rows that look like tests"]
        if tests > 0
        else []
    )
    return f"To look at: {'; '.join(parts)}." if parts else ""


def issues(card: Card) -> list[tuple[str, int]]:
    """What is or was wrong with the rows, as (name, rows) of more than none, worst first."""
    counts = {
        "unreadable": card.rejected,
        "encoding repaired": card.repaired,
        **card.cleaned,
        "near copies": card.duplicates.get("near", 0),
        "doubtful labels": int(card.noise.get("suspects", 0)),
    }
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda item: -item[1])


def _size(card: Card) -> str:
    what = f"{len(card.classes)} queues" if card.classes else "questions with answers"
    weeks = f", {card.weeks[0][0]} to the week of {card.weeks[-1][0]}" if card.weeks else ", without dates"
    people = f", {card.customers:,} customers" if card.customers else ""
    return f"{card.rows:,} tickets ({what}{people}{weeks})."


def _balance(card: Card) -> str:
    classes = ", ".join(f"{name} {count:,}" for name, count in card.classes[:CLASSES_SHOWN])
    rest = len(card.classes) - CLASSES_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    least = card.classes[-1]
    few = f" Only {least[1]} of {least[0]}: 50 or more a queue are useful." if least[1] < 50 else ""
    return f"Balance {card.balance:g}:1: {classes}{more}.{few}"


def _columns(card: Card) -> str:
    """Which columns were read, so that a wrong guess is seen."""
    if not card.columns:
        return ""
    read = ", ".join(f"{field} from “{column}”" for field, column in card.columns.items())
    if not card.guessed:
        return f"Columns: {read}."
    return (
        f"Columns guessed: {read}. Wrong? Add the file again and name them (--text-column, --label-column)."
    )


def _notes(card: Card) -> list[str]:
    """What reading decided: labels that count as one, several in a cell, dates that were not used."""
    notes = [note for note in card.notes if not note.startswith("columns guessed")]
    more = len(notes) - NOTES_SHOWN
    return [*notes[:NOTES_SHOWN], *([f"and {more:,} more such notes"] if more > 0 else [])]


def _read(card: Card) -> str:
    counts = {"left out, unreadable": card.rejected, "repaired": card.repaired}
    return _counts_line("Rows", counts)


def _cleaning_line(card: Card) -> str:
    return _counts_line("Cleaned", card.cleaned)


def _copies(card: Card) -> str:
    near = card.duplicates.get("near", 0)
    return f"Near copies{_among(card.duplicates)}: {near:,}, kept on one side of the split." if near else ""


def _among(counts: Mapping[str, Any]) -> str:
    return f" among {counts['of']:,} tickets drawn at random" if counts.get("of") else ""


def _redaction_line(card: Card) -> str:
    line = _counts_line("Redacted", card.redactions) or (
        "" if card.redactions is None else "Redacted: nothing found."
    )
    return f"{line} {card.not_covered}".strip() if card.not_covered else line


def _labels(card: Card) -> str:
    if not card.noise:
        return "Labels: not checked yet."
    share, total = 100 * float(card.noise["share"]), int(card.noise.get("of", 0))
    sampling = f"; {card.noise['checked']:,} of {total:,} were drawn" if total > card.noise["checked"] else ""
    return f"Labels: {card.noise['suspects']:,} of {card.noise['checked']:,} look wrong ({share:.1f}%{sampling})."


def _origin(card: Card) -> str:
    who = ", ".join("everyone" if scope == "workspace" else scope for scope in card.scopes)
    source = f" from {card.source}" if card.source else ""
    return (
        f"Version {card.version} ({card.digest[:12]}){source}, added by {card.added_by} on {card.added_at[:10]}; "
        f"licence: {card.licence}; for {who}."
    )


def _counts_line(title: str, counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"{title}: {', '.join(parts)}." if parts else ""
