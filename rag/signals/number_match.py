"""A number in a text and what a rule makes of it; the rate at which something happens. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.signals.number_words import ADVERBS, PER, TIMES


@dataclass(frozen=True)
class Number:
    """A number without its percent sign: its value, its place, whether it is money, the letter that multiplies it."""

    value: float
    start: int
    end: int
    money: bool
    mult: str


KindMatch = tuple[str | None, float, int]
"""What the number counts ("ignore": nothing of ours), its value in the signal's unit, and characters after it."""
NO_MATCH: KindMatch = (None, 0.0, 0)


def monthly_rate(after: str, span: int) -> tuple[float, int] | None:
    """Calls per month for one per the unit named within `span` characters after the number."""
    for pattern, per_month in TIMES.items():
        match = re.search(rf"{PER}{pattern}", after)
        if match and match.start() <= span and not re.search(r"\d", after[: match.start()]):
            return per_month, match.end()
    for pattern, per_month in ADVERBS.items():
        match = re.search(rf"\b{pattern}", after)
        between = after[: match.start()] if match else ""
        if (
            match
            and match.start() <= span
            and not re.search(r"\d|\b(?:chang|updat|ändern|cambia)\w*", between)
        ):
            return per_month, match.end()
    return None
