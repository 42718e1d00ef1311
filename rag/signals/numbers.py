"""Numbers in messy text, each with what it counts: the order of the fourteen rules is the design.

Covers the quantities of rag/signals/quantities.py. What rag/signals/number_roles.py tells plainly stands; else the noun or
unit beside the number decides its kind; what fits nothing is left out. Pure, about 1 ms a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rag.signals.data_numbers import (
    bare_score,
    classes,
    documents,
    evaluation,
    examples,
    people,
    per_class,
    tokens,
)
from rag.signals.lexicon import words_around
from rag.signals.number_match import Number
from rag.signals.number_roles import plain_kinds
from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.operating_numbers import hardware, latency, money, percent, training, volume
from rag.signals.quantities import Quantity, find_quantities

RULES = (percent, money, latency, hardware, training, volume, per_class, tokens, evaluation, people, classes, examples,
         documents, bare_score)  # fmt: skip
"""In the order in which they are asked; the first that knows the number decides."""


@dataclass(frozen=True)
class Count:
    """A number with its kind, its value in the signal's unit, and the words it stands in."""

    kind: str
    value: float
    quote: str
    start: int
    end: int


def read_counts(text: str) -> list[Count]:
    """All numbers of the text whose kind can be told, in order."""
    return list(_read_counts(text))


@lru_cache(maxsize=16)  # both readers' features and the rules ask for the same message
def _read_counts(text: str) -> tuple[Count, ...]:
    quantities = find_quantities(text)
    plain = list(zip(quantities, plain_kinds(text, quantities), strict=True))
    counts = [count for quantity, kind in plain if kind for count in _plain_counts(text, quantity, kind)]
    spans = [range(quantity.start, quantity.end) for quantity, kind in plain if kind]
    numbers = [_number(text, quantity) for quantity in quantities if not quantity.is_share]
    for number in numbers:
        kind, value, tail = _kind(text, number, numbers)
        if kind and not any(number.start in span for span in spans):
            quote = words_around(text, number.start, number.end + tail)
            counts.append(Count(kind, value, quote, number.start, number.end))
    return tuple(sorted(counts, key=lambda count: count.start))


def _plain_counts(text: str, quantity: Quantity, kind: str) -> Iterator[Count]:
    """What a number of a plain kind says, by signal."""
    values, quotes = number_signals(text, [CountedQuantity(quantity, kind)])
    for name, value in values.items():
        yield Count(name, value, quotes[name], quantity.start, quantity.end)


def values_in(text: str) -> list[float]:
    """The value of every number of the text, whatever it counts, in order."""
    return [quantity.value for quantity in find_quantities(text) if not quantity.is_share]


def _number(text: str, quantity: Quantity) -> Number:
    """The quantity as the rules below read it: without its percent sign, with the letter that multiplies it."""
    words = text[quantity.start : quantity.end]
    start = quantity.start + len(words) - len(words.lstrip("$€£¥RUSAC "))
    end = quantity.start + len(words.rstrip("%％ "))
    digits = text[start:end].lower()
    suffix = re.search(r"(?<=\d)\s?(k|mm?|bn?|t|grand)$", digits)
    mult = suffix[1] if suffix else "word" if digits[:1].isalpha() else ""
    after = re.match(r"\s?(?:[$€£¥]|(?:usd|eur|euros?|dollars?|bucks|chf)\b)", text[end:], re.IGNORECASE)
    money = bool(after or re.match(r"(?:R|US|A|C)?[$€£¥]", words))
    return Number(quantity.value, quantity.start, end, money, mult)


def _around(text: str, number: Number) -> tuple[str, str]:
    """The words before and after the number, within its clause, lower case."""
    before = re.split(r"[;.!?\n(](?:\s|$)|,\s", text[max(0, number.start - 60) : number.start])[-1].lower()
    after = re.split(r"[;!?\n)]|[.,](?:\s|$)", text[number.end : number.end + 70])[0].lower()
    return before, after


def _kind(text: str, number: Number, numbers: list[Number]) -> tuple[str | None, float, int]:
    """What this number counts, its value in the signal's unit, and how many characters after it belong to it."""
    before, after = _around(text, number)
    for rule in RULES:
        kind, value, tail = rule(number, before, after, text)
        if kind:
            return (None if kind == "ignore" else kind), value, tail
    return None, number.value, 0
