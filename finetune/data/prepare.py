"""Rows worth training on: HTML, quoted history and signatures go, automatic replies and copies are left out.

Every change is counted and every row that is left out stands among the problems with its line. Near copies
stay (the split keeps a cluster on one side; benchmarks/data.py counts them); what the encoding reader
repaired was counted on reading. Pure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from finetune.data.duplicates import normalise
from finetune.data.ticket import RAW_SHOWN, Problem, Ticket, Tickets
from finetune.mail import is_automatic, plain, without_history, without_signature

LONG_TIMES = 20  # times the median length
LONG_LEAST = 5_000  # characters below which nothing is too long


@dataclass(frozen=True)
class Cleaned:
    """The rows that stay, with problems extended by those left out; `counts` are rows by what was done."""

    tickets: Tickets
    counts: Mapping[str, int]


def clean(tickets: Tickets) -> Cleaned:
    """Clean every row. Keeps order and ids; the same rows give the same result."""
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    rows: list[Ticket] = []
    for row in tickets.rows:
        if is_automatic(row.text):
            counts["automatic replies"] += 1
            problems.append(_left_out(row, "is an automatic reply"))
            continue
        stripped = _strip(row, counts)
        if len(re.findall(r"[^\W\d_]", stripped.text)) < 2:
            counts["without words"] += 1
            problems.append(_left_out(row, "has no words"))
        else:
            rows.append(stripped)
    rows = _without_copies(rows, counts, problems)
    _note_lengths(rows, counts, problems)
    if conflicts := conflicting(rows):
        counts["same text, other label"] = len(conflicts)
    found = tuple(sorted((*tickets.problems, *problems), key=lambda problem: problem.line))
    return Cleaned(replace(tickets, rows=tuple(rows), problems=found), dict(counts))


def conflicting(rows: Sequence[Ticket]) -> list[int]:
    """Rows whose text (normalised) stands elsewhere with another label: at least one of them is wrong."""
    homes: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row.label is not None:
            homes[normalise(row.text)].append(at)
    return sorted(at for group in homes.values() if len({rows[i].label for i in group}) > 1 for at in group)


def _strip(row: Ticket, counts: Counter[str]) -> Ticket:
    """The row without what a mail program added; counts what was found."""
    steps = (
        ("HTML", plain, plain),
        ("quoted history", without_history, without_history),
        ("signatures", without_signature, lambda text: without_signature(text, keep_greeting=True)),
    )
    text, answer = row.text, row.answer
    for name, in_text, in_answer in steps:
        new_text, new_answer = in_text(text), in_answer(answer) if answer else answer
        counts[name] += (new_text, new_answer) != (text, answer)
        text, answer = new_text, new_answer
    return row if (text, answer) == (row.text, row.answer) else replace(row, text=text, answer=answer)


def _without_copies(rows: list[Ticket], counts: Counter[str], problems: list[Problem]) -> list[Ticket]:
    """The first of each set of rows that say the same (but for case, digits and ids) to the same end."""
    first: dict[tuple[str, str], Ticket] = {}
    kept = []
    for row in rows:
        key = normalise(row.text) or row.id, row.label or normalise(row.answer or "")
        if (original := first.setdefault(key, row)) is row:
            kept.append(row)
            continue
        counts["exact copies"] += 1
        where = f"of {original.id}" if not original.line else f"of the row at {original.line}"
        problems.append(_left_out(row, f"is a copy {where} (numbers and case aside)"))
    return kept


def _note_lengths(rows: Sequence[Ticket], counts: Counter[str], problems: list[Problem]) -> None:
    """Report rows far longer than the others: they stay, but a model reads only their beginning."""
    limit = max(LONG_LEAST, LONG_TIMES * median([len(row.text) for row in rows] or [0]))
    for row in rows:
        if len(row.text) > limit:
            counts["very long"] += 1
            message = f"is very long ({len(row.text):,} characters): a model reads only its beginning"
            problems.append(replace(_left_out(row, message), kept=True))


def _left_out(row: Ticket, message: str) -> Problem:
    return Problem(row.line, message, "text", row.text[:RAW_SHOWN])
