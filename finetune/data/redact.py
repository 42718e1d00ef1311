"""Personal data and secrets in tickets replaced by their kind (<EMAIL>), counted by type.

Covers what `personal_numbers`, `secrets`, `people` and, where it is installed, `name_models` cover; benchmarks/redaction.py measures each type. NOT_COVERED says
what stays: this is not anonymisation.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from finetune.data.checkpoints import PART_ROWS, Checkpoints, part_key
from finetune.data.name_models import NameFinder, has_name_models
from finetune.data.people import People
from finetune.data.personal_numbers import personal_spans
from finetune.data.row_file import collect_rows
from finetune.data.secrets import Span, secret_spans
from finetune.data.ticket import Ticket, Tickets
from finetune.progress import Progress

__all__ = [
    "NOT_COVERED",
    "Find",
    "RedactionResult",
    "Span",
    "hide_spans",
    "pseudonym",
    "redact",
    "redact_texts",
]

NOT_COVERED = (
    'Not found: names that stand in no name column and behind no greeting, title or "my name is"; street addresses, birthdays, '
    "passwords that no word announces, phone numbers without country code, usual grouping or a word for calling, ids of other "
    "forms, and what a story tells about a person. Redacted is not anonymous."
)
WITH_NAME_MODELS = (
    'Not found: about one in eight full names that stand in free English and French text alone (the extra "names" looks for them), single '
    'names and names in other languages that stand in no name column and behind no greeting, title or "my name is"; '
) + NOT_COVERED.partition("; ")[2]
Find = Callable[[str], list[Span]]
Names = tuple[People, NameFinder]


@dataclass(frozen=True)
class RedactionResult:
    """The rows with marks in place of what was found; `counts` are replacements by type."""

    tickets: Tickets
    counts: Mapping[str, int]
    not_covered: str


def redact(
    tickets: Tickets,
    find: Find = personal_spans,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
) -> RedactionResult:
    """Redact every text and answer, and turn customers into pseudonyms.

    Of many rows, parts that an earlier try finished are taken from `checkpoints`, and finished ones are kept there.
    """
    people, finder = People(tickets.rows), NameFinder(tickets.rows)
    counts: Counter[str] = Counter()
    many = checkpoints if len(tickets) > PART_ROWS else None

    def rows_in_parts() -> Iterator[Ticket]:
        for at in range(0, len(tickets), PART_ROWS):
            rows, own = _part(tickets.rows[at : at + PART_ROWS], find, (people, finder), many, progress)
            if at == 0 and many is not None and progress is not None:
                _tell_start(many, progress)
            counts.update(own)
            yield from rows
            if progress is not None:
                progress.check()
                progress.step(min(at + PART_ROWS, len(tickets)), len(tickets), None, None)

    rows = collect_rows(rows_in_parts())
    not_covered = WITH_NAME_MODELS if has_name_models() else NOT_COVERED
    return RedactionResult(replace(tickets, rows=rows), dict(counts.most_common()), not_covered)


def _part(
    rows: Sequence[Ticket],
    find: Find,
    names: Names,
    checkpoints: Checkpoints | None,
    progress: Progress | None,
) -> tuple[list[Ticket], Counter[str]]:
    """Some rows redacted, and what was replaced in them; from disk where they were done already."""
    key = part_key(rows, names[0].fingerprint + names[1].fingerprint, rules_digest()) if checkpoints else ""
    if checkpoints and (part := checkpoints.read(key)):
        return part
    counts: Counter[str] = Counter()
    results = []
    for row in rows:
        if progress is not None:
            progress.check()
        results.append(_redact_row(row, find, names, counts))
    if checkpoints:
        checkpoints.write(key, results, counts)
    return results, counts


def _redact_row(row: Ticket, find: Find, names: Names, counts: Counter[str]) -> Ticket:
    people, finder = names

    def hide(text: str) -> str:
        spans = [*secret_spans(text), *find(text), *people.spans(text, row.names), *finder.spans(text)]
        return hide_spans(text, spans, counts)

    customer = pseudonym(row.customer) if row.customer else None
    answer = hide(row.answer) if row.answer else row.answer
    return replace(row, text=hide(row.text), answer=answer, customer=customer)


def _tell_start(checkpoints: Checkpoints, progress: Progress) -> None:
    """Whether this import goes on from an earlier one of the same rows, or starts anew."""
    left = checkpoints.count()
    if checkpoints.hits:
        parts = f"{left} {'part' if left == 1 else 'parts'} of {PART_ROWS:,} rows"
        progress.note(f"Going on: an earlier import had finished {parts}.")
    elif left > 1:
        progress.note("Starting anew: what an earlier import left is of other rows.")


@cache
def rules_digest() -> str:
    """The sha256 of the files that say what is redacted: other rules give other results."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def redact_texts(texts: Sequence[str]) -> list[str]:
    """Texts with what can be found in any of them hidden; names of columns are not known here."""
    counts: Counter[str] = Counter()
    people, finder = People(()), NameFinder(())
    return [
        hide_spans(
            text,
            [*secret_spans(text), *personal_spans(text), *people.spans(text, ()), *finder.spans(text)],
            counts,
        )
        for text in texts
    ]


def pseudonym(customer: str) -> str:
    """A stable pseudonym for a customer's id or address; it groups rows, and `forget` computes it from the original.

    It does not protect against someone with a list of addresses, who can compute the pseudonyms.
    """
    if re.fullmatch(r"c-[0-9a-f]{16}", customer):
        return customer
    return "c-" + hashlib.sha256(customer.strip().casefold().encode()).hexdigest()[:16]


def hide_spans(text: str, spans: Iterable[Span], counts: Counter[str]) -> str:
    """The text with each span as <KIND>, overlapping ones as one."""
    for span in reversed(join_spans(spans)):
        counts[span.kind] += 1
        text = f"{text[: span.start]}<{span.kind}>{text[span.end :]}"
    return text


def join_spans(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, overlapping ones as one: a secret if one of them is, else of the longest one's kind."""
    spans_apart: list[Span] = []
    longest = 0
    for span in sorted(spans):
        size = span.end - span.start
        if spans_apart and span.start < spans_apart[-1].end:
            last = spans_apart[-1]
            kind = span.kind if size > longest else last.kind
            kind = "SECRET" if "SECRET" in (span.kind, last.kind) else kind
            longest = max(longest, size)
            spans_apart[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            spans_apart.append(span)
            longest = size
    return spans_apart
