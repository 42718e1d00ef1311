"""Personal data and secrets in tickets replaced by their kind (<EMAIL>), counted by type.

Covers what `pii` and `secret_patterns` cover, and people named by the file's own columns: their full names
everywhere, single names in their own tickets. NOT_COVERED says what stays: this is not anonymisation.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from finetune.data.ticket import Ticket, Tickets
from finetune.pii import Find, addresses, installed, presidio
from finetune.secret_patterns import Span, secret_spans

NOT_COVERED = (
    "Not found: names that stand in no name column, street addresses, birthdays, ids of other forms, and what "
    "a story tells about a person. Redacted is not anonymous."
)
WITHOUT_PRESIDIO = (
    "presidio-analyzer is not installed here: phone numbers, cards, IBANs, IP addresses and social security "
    "numbers were NOT looked for. Install it with `pip install 'trainwise[train]'` and add the file again. "
)
RANK = ("SECRET", "EMAIL", "CARD", "IBAN", "WALLET", "ORDER_ID", "SSN", "IP", "PHONE", "NAME")
COMMON_SHARE = 0.005  # a word in this share of the tickets in lower case is no name, whoever is called so
SHORTEST_NAME = 3
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_STATED = re.compile(r"\b(?:[Mm]y name is|[Mm]y name's)\s+([A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2})")


@dataclass(frozen=True)
class Redacted:
    """The rows with marks in place of what was found; `counts` are replacements by type."""

    tickets: Tickets
    counts: Mapping[str, int]
    not_covered: str


def redact(tickets: Tickets, find: Find | None = None) -> Redacted:
    """Redact every text and answer, and turn customers into pseudonyms. `find` replaces Presidio (tests)."""
    missing = "" if find or installed() else WITHOUT_PRESIDIO
    look = find or (addresses if missing else presidio())
    people = _People(tickets.rows)
    counts: Counter[str] = Counter()
    rows = []
    for row in tickets.rows:

        def hide(text: str, row: Ticket = row) -> str:
            spans = [*secret_spans(text), *look(text), *people.spans(text, row.names)]
            return hide_spans(text, spans, counts)

        customer = pseudonym(row.customer) if row.customer else None
        answer = hide(row.answer) if row.answer else row.answer
        rows.append(replace(row, text=hide(row.text), answer=answer, customer=customer))
    return Redacted(replace(tickets, rows=tuple(rows)), dict(counts.most_common()), missing + NOT_COVERED)


def pseudonym(customer: str) -> str:
    """A stable stand-in for a customer's id or address: groups rows, and `forget` finds it by the original.

    Whoever has a list of addresses can compute theirs: it hides from reading, not from checking.
    """
    if re.fullmatch(r"c-[0-9a-f]{16}", customer):
        return customer
    return "c-" + hashlib.sha256(customer.strip().casefold().encode()).hexdigest()[:16]


def hide_spans(text: str, spans: Iterable[Span], counts: Counter[str]) -> str:
    """The text with each span as <KIND>; overlapping spans become one, named by the kind first in RANK."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            kind = min(last.kind, span.kind, key=RANK.index)
            merged[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            merged.append(span)
    for span in reversed(merged):
        counts[span.kind] += 1
        text = f"{text[: span.start]}<{span.kind}>{text[span.end :]}"
    return text


class _People:
    """The names that a file's columns give: full ones count in every row, single words in their own row."""

    def __init__(self, rows: Sequence[Ticket]) -> None:
        lower: Counter[str] = Counter()
        for row in rows:
            lower.update({word for word in _WORD.findall(row.text) if word[0].islower()})
        most = max(2, COMMON_SHARE * len(rows))
        self._common = frozenset(word for word, count in lower.items() if count > most)
        names = {name for row in rows for name in row.names}
        self._full = frozenset(words for name in names if len(words := self._words(name)) in (2, 3))

    def spans(self, text: str, own: Sequence[str]) -> Iterable[Span]:
        """Where people are named: full names of anyone, words of the row's own people, "my name is ..."."""
        for found in _STATED.finditer(text):
            yield Span(*found.span(1), "NAME")
        words = [(found.group().casefold(), *found.span()) for found in _WORD.finditer(text)]
        if self._full:
            for size in (2, 3):
                for at in range(len(words) - size + 1):
                    if tuple(word for word, _, _ in words[at : at + size]) in self._full:
                        yield Span(words[at][1], words[at + size - 1][2], "NAME")
        single = {word for name in own for word in self._words(name)}
        single = {word for word in single if len(word) >= SHORTEST_NAME and word not in self._common}
        for word, start, end in words:
            if word.removesuffix("'s").removesuffix("’s") in single:
                yield Span(start, end, "NAME")

    @staticmethod
    def _words(name: str) -> tuple[str, ...]:
        """The name's words; none for ids and addresses, which others look for."""
        if re.search(r"[\d@/_]", name):
            return ()
        return tuple(word.casefold() for word in _WORD.findall(name))
