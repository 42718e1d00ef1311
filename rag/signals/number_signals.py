"""Numbers whose kind is known become signals: in the signal's unit, with the user's words.

Covers units of time, percentages that count errors, and documents as tokens. Does not tell what a number counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag.signals.lexicon import words_around
from rag.signals.number_words import KB
from rag.signals.quantities import Quantity
from rag.signals.shares import counts_wrong

CALLS_PER_MONTH = {"hour": 720.0, "day": 30.0, "week": 4.3, "month": 1.0, "year": 1 / 12}
TOKENS_PER_DOCUMENT = 800  # where the words do not say what kind of document: a planning figure
SIGNAL_OF = {
    **{f"volume_{unit}": ("volume_month", factor) for unit, factor in CALLS_PER_MONTH.items()},
    **{f"cost_{unit}": ("monthly_cost", CALLS_PER_MONTH[unit]) for unit in ("month", "day", "year")},
    **{name: (name, 1.0) for name in ("examples", "classes", "per_class", "eval_n", "kb_tokens", "prompt_tokens", "gpus",
                                      "pretrain_tokens")},
    "budget": ("budget_usd", 1.0),
}  # fmt: skip
WHOLE = frozenset({"examples", "classes", "per_class", "eval_n", "kb_tokens", "volume_month", "prompt_tokens",
                   "pretrain_tokens", "gpus", "deadline_days"})  # fmt: skip
_MS = {
    1.0: re.compile(r"\s?-?(?:ms\b|msec|millis|millisek|毫秒|ミリ秒|мс|миллисек)", re.IGNORECASE),
    60_000.0: re.compile(r"\s?-?(?:min|分)", re.IGNORECASE),
    1000.0: re.compile(r"\s?-?(?:s\b|sec|sek|segund|秒|сек|с\b)", re.IGNORECASE),
}
_DAYS = {
    30: re.compile(
        r"\s?-?(?:months?|mo\b|monat|mois|mes(?:es|i)?\b|mês|maand|месяц|个月|か月|ヶ月)", re.IGNORECASE
    ),
    7: re.compile(r"\s?-?(?:weeks?|wks?|woche|semain|seman|settiman|weken|недел|周|週)", re.IGNORECASE),
    1: re.compile(r"\s?-?(?:days?|tage?n?\b|jours?|d[ií]as?|giorni|dagen|дн|天|日)", re.IGNORECASE),
    365: re.compile(r"\s?-?(?:years?|yrs?|jahr|ans?\b|años?|anos?\b|anni|jaar|лет|год|年)", re.IGNORECASE),
}
_FIRST_STANDS = frozenset({"score", "target"})


@dataclass(frozen=True)
class CountedQuantity:
    """A quantity and what it counts: one of the kinds of rag/data/reading, such as "volume_day"."""

    quantity: Quantity
    kind: str


def number_signals(text: str, quantities: Sequence[CountedQuantity]) -> tuple[dict[str, Any], dict[str, str]]:
    """(values, quotes) by signal: of several of a kind the larger stands, for scores the first, for latency the least."""
    values: dict[str, Any] = {}
    quotes: dict[str, str] = {}
    for one in quantities:
        for name, raw in _signals(text, one):
            value: Any = int(raw) if name in WHOLE else round(float(raw), 1 if name in _FIRST_STANDS else 4)
            old = values.get(name)
            stays = old is not None and (
                name in _FIRST_STANDS or (value >= old if name == "latency_ms" else value <= old)
            )
            if not stays:
                values[name] = value
                quotes[name] = words_around(text, one.quantity.start, one.quantity.end)
    if "examples" not in values and {"per_class", "classes"} <= values.keys():
        values["examples"] = values["per_class"] * values["classes"]
    return values, quotes


def _signals(text: str, one: CountedQuantity) -> list[tuple[str, float]]:
    quantity, kind = one.quantity, one.kind
    after = text[quantity.end : quantity.end + 40]
    if kind in ("score", "target"):
        percent = _percent(text, quantity, kind)
        whole = [("eval_n", quantity.whole)] if quantity.whole is not None and kind == "score" else []
        return [(kind, percent), *whole] if percent is not None else []
    if kind == "latency":
        factor = next((ms for ms, unit in _MS.items() if unit.match(after)), None)
        return [("latency_ms", quantity.value * (factor or (1000.0 if quantity.value < 30 else 1.0)))]
    if kind == "deadline":
        days = next((days for days, unit in _DAYS.items() if unit.match(after)), None)
        return [("deadline_days", quantity.value * days)] if days else []
    if kind == "kb_docs":
        tokens = next(
            (
                t
                for words, t in KB.items()
                if re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{words}", after.lower())
            ),
            TOKENS_PER_DOCUMENT,
        )
        return [("kb_tokens", quantity.value * tokens)]
    if kind in SIGNAL_OF:
        name, factor = SIGNAL_OF[kind]
        return [(name, quantity.value * factor)]
    return []


def _percent(text: str, quantity: Quantity, kind: str) -> float | None:
    """The share that is right, 0-100; what is counted as wrong is turned round."""
    value = quantity.value
    if quantity.is_share or (0 < value <= 1 and not quantity.percent):
        value *= 100
    if not 0 <= value <= 100:
        return None
    return 100 - value if kind == "score" and counts_wrong(text, quantity.start, quantity.end) else value
