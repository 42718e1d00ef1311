"""Cleans the rows: removes HTML, quoted history and signatures; leaves out automatic replies and copies.

It counts every change by rule, with the largest cuts before and after, and lists every row that it leaves out among the
problems with its line. Near copies stay (the split keeps a cluster on one side; benchmarks/data.py counts
them); what the encoding reader repaired was counted on reading. Pure.
"""

from __future__ import annotations

import heapq
import multiprocessing
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

from finetune.data.checkpoints import Checkpoints
from finetune.data.clutter import is_automatic, without_history, without_signature
from finetune.data.import_report import CUTS_SHOWN, Cut, report_of
from finetune.data.markup import plain
from finetune.data.redact import redact, redact_texts
from finetune.data.row_file import collect_rows
from finetune.data.ticket import RAW_SHOWN, Problem, ProblemLog, Ticket, Tickets
from finetune.progress import Progress

__all__ = [
    "clean",
    "is_automatic",
    "plain",
    "prepare",
    "prepare_in_subprocess",
    "without_history",
    "without_signature",
]

LETTER = re.compile(r"[^\W\d_]")
PROGRESS_EVERY = 1_000  # rows
LONG_TIMES = 20  # times the median length
MIN_LONG_CHARACTERS = 5_000  # characters below which nothing is too long


@dataclass(frozen=True)
class CleaningResult:
    """The remaining rows, with the left-out ones added to the problems; `counts` are rows by change.

    `cut_sizes` are characters cut by rule, `cuts` the largest of them.
    """

    tickets: Tickets
    counts: Mapping[str, int]
    cut_sizes: Mapping[str, int] = field(default_factory=dict)
    cuts: tuple[Cut, ...] = ()


class CutLog:
    """Counts the characters that each rule cuts and keeps the largest cuts."""

    def __init__(self) -> None:
        self.cut_sizes: Counter[str] = Counter()
        self._largest: list[tuple[int, int, Cut]] = []
        self._number = 0

    def add(self, rule: str, line: int, before: str, after: str) -> None:
        """Record one text that a rule changed."""
        size = max(0, len(before) - len(after))
        self.cut_sizes[rule] += size
        self._number += 1
        heapq.heappush(self._largest, (size, -self._number, Cut(rule, line, size, before, after)))
        if len(self._largest) > CUTS_SHOWN:
            heapq.heappop(self._largest)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The largest cuts, largest first."""
        return tuple(cut for _, _, cut in sorted(self._largest, key=lambda item: -item[0]))


def clean(tickets: Tickets, progress: Progress | None = None) -> CleaningResult:
    """Clean every row. Keeps order and ids; the same rows give the same result."""
    counts: Counter[str] = Counter()
    problems = ProblemLog()
    log = CutLog()
    rows_with_words = collect_rows(_with_words(with_progress(tickets.rows, progress), counts, problems, log))
    rows = _without_copies(rows_with_words, counts, problems)
    _note_lengths(rows, counts, problems)
    if conflicts := conflicting(rows):
        counts["same text, other label"] = len(conflicts)
    problems_by_line = tuple(sorted((*tickets.problems, *problems), key=lambda problem: problem.line))
    rest = replace(tickets, rows=rows, problems=problems_by_line)
    return CleaningResult(rest, dict(counts), dict(log.cut_sizes), log.cuts)


def _with_words(
    rows: Iterable[Ticket], counts: Counter[str], problems: ProblemLog, log: CutLog
) -> Iterator[Ticket]:
    """The rows by people, without clutter; the others become problems."""
    for row in rows:
        if is_automatic(row.text):
            counts["automatic replies"] += 1
            problems.append(_left_out(row, "is an automatic reply", "automatic replies"))
            continue
        row_without_history = _strip(row, counts, log)
        if len(LETTER.findall(row_without_history.text)) < 2:
            counts["without words"] += 1
            problems.append(_left_out(row, "has no words", "without words"))
        else:
            yield row_without_history


def with_progress(rows: Sequence[Ticket], progress: Progress | None) -> Iterator[Ticket]:
    """Iterates over the rows, reports progress and checks whether to stop."""
    for number, row in enumerate(rows, 1):
        yield row
        if progress is not None and number % PROGRESS_EVERY == 0:
            progress.check()
            progress.step(number, len(rows), None, None)


def conflicting(rows: Sequence[Ticket]) -> list[int]:
    """Rows whose text occurs with another label too: at least one label is wrong."""
    label_of: dict[int, str | None] = {}  # by the text's hash, to save memory
    several: set[int] = set()
    keys = array("q")
    for row in rows:
        key = hash(same_text(row.text))
        keys.append(key)
        if row.label is not None and label_of.setdefault(key, row.label) != row.label:
            several.add(key)
    if not several:
        return []
    return [at for at, row in enumerate(rows) if keys[at] in several and row.label is not None]


def same_text(text: str) -> str:
    """The key that equal texts share: the words with every number and sign, without blanks."""
    return " ".join(text.split())


STEPS = (
    ("HTML", plain, plain),
    ("quoted history", without_history, without_history),
    ("signatures", without_signature, partial(without_signature, keep_greeting=True)),
)


def _strip(row: Ticket, counts: Counter[str], log: CutLog) -> Ticket:
    """The row without the additions of mail programs; counts them."""
    text, answer = row.text, row.answer
    for name, in_text, in_answer in STEPS:
        new_text, new_answer = in_text(text), in_answer(answer) if answer else answer
        counts[name] += (new_text, new_answer) != (text, answer)
        if new_text != text:
            log.add(name, row.line, text, new_text)
        if answer and new_answer and new_answer != answer:
            log.add(name, row.line, answer, new_answer)
        text, answer = new_text, new_answer
    return row if (text, answer) == (row.text, row.answer) else replace(row, text=text, answer=answer)


def _without_copies(rows: Sequence[Ticket], counts: Counter[str], problems: ProblemLog) -> Sequence[Ticket]:
    """The first row of each set with equal text, label and answer."""
    first: dict[int, int] = {}  # by hash first; hits are compared in full
    copies: set[int] = set()
    for at, row in enumerate(rows):
        key = _content_key(row)
        place = first.setdefault(hash(key), at)
        if place == at or _content_key(original := rows[place]) != key:
            continue
        copies.add(at)
        where = f"of {original.id}" if not original.line else f"of the row at {original.line}"
        problems.append(_left_out(row, f"is a copy {where}", "exact copies"))
    if not copies:
        return rows
    counts["exact copies"] += len(copies)
    return collect_rows(row for at, row in enumerate(rows) if at not in copies)


def _content_key(row: Ticket) -> tuple[str, str]:
    return same_text(row.text), row.label or same_text(row.answer or "")


def _note_lengths(rows: Sequence[Ticket], counts: Counter[str], problems: ProblemLog) -> None:
    """Report rows far longer than the others; they stay, but a model reads only their beginning."""
    sizes = array("q", (len(row.text) for row in rows))
    limit = max(MIN_LONG_CHARACTERS, LONG_TIMES * median(sizes or [0]))
    for at, size in enumerate(sizes):
        if size > limit:
            row = rows[at]
            counts["very long"] += 1
            message = f"is very long ({len(row.text):,} characters): a model reads only its beginning"
            problems.append(replace(_left_out(row, message, "very long"), is_kept=True))


def _left_out(row: Ticket, message: str, rule: str) -> Problem:
    return Problem(row.line, message, "text", row.text[:RAW_SHOWN], rule=rule)


def prepare(
    tickets: Tickets, progress: Progress | None = None, checkpoints: Checkpoints | None = None
) -> tuple[Tickets, Mapping[str, Any]]:
    """Clean and redact; returns the rows and the card's `cleaned`, `redactions`, `not_covered` and `intake`.

    Raises Stopped where `progress` asks for it; with `checkpoints` a later call then resumes.
    """
    if progress is not None:
        progress.phase("cleaning")
    cleaning = clean(tickets, progress)
    if progress is not None:
        progress.phase("redacting")
    redaction = redact(cleaning.tickets, progress=progress, checkpoints=checkpoints)
    counts = {name: count for name, count in cleaning.counts.items() if count}
    report = report_of(redaction.tickets, cleaning.cut_sizes, cleaning.cuts, redact_texts)
    facts = {
        "cleaned": counts,
        "redactions": redaction.counts,
        "not_covered": redaction.not_covered,
        "intake": report,
    }
    return redaction.tickets, facts


@contextmanager
def open_preparer() -> Iterator[Callable[[Tickets], tuple[Tickets, Mapping[str, Any]]]]:
    """Opens a subprocess that runs `prepare` for many calls, such as the pages of a pull."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        yield lambda tickets: child.submit(prepare, tickets).result()


def prepare_in_subprocess(tickets: Tickets) -> tuple[Tickets, Mapping[str, Any]]:
    """`prepare` in a subprocess; some seconds slower, as it loads first."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(prepare, tickets).result()
