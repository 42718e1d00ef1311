"""Personal data and secrets in tickets replaced by their kind (<EMAIL>), counted by type.

Covers what `personal_numbers`, `secrets` and `people` cover; benchmarks/redaction.py measures each type. NOT_COVERED says
what stays: this is not anonymisation.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune.data.people import People
from finetune.data.personal_numbers import personal_spans
from finetune.data.secrets import Span, secret_spans
from finetune.data.ticket import Tickets

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
Find = Callable[[str], list[Span]]


@dataclass(frozen=True)
class RedactionResult:
    """The rows with marks in place of what was found; `counts` are replacements by type."""

    tickets: Tickets
    counts: Mapping[str, int]
    not_covered: str


def redact(tickets: Tickets, find: Find = personal_spans) -> RedactionResult:
    """Redact every text and answer, and turn customers into pseudonyms."""
    people = People(tickets.rows)
    counts: Counter[str] = Counter()
    rows = []
    for row in tickets.rows:

        def hide(text: str, names: Sequence[str] = row.names) -> str:
            return hide_spans(text, [*secret_spans(text), *find(text), *people.spans(text, names)], counts)

        customer = pseudonym(row.customer) if row.customer else None
        answer = hide(row.answer) if row.answer else row.answer
        rows.append(replace(row, text=hide(row.text), answer=answer, customer=customer))
    return RedactionResult(replace(tickets, rows=tuple(rows)), dict(counts.most_common()), NOT_COVERED)


def redact_texts(texts: Sequence[str]) -> list[str]:
    """Texts with what can be found in any of them hidden; names of columns are not known here."""
    counts: Counter[str] = Counter()
    people = People(())
    return [
        hide_spans(text, [*secret_spans(text), *personal_spans(text), *people.spans(text, ())], counts)
        for text in texts
    ]


def pseudonym(customer: str) -> str:
    """A stable stand-in for a customer's id or address: groups rows, and `forget` finds it by the original.

    Whoever has a list of addresses can compute theirs: it hides from reading, not from checking.
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
