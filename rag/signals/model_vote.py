"""A language model's reading as one more vote beside the embedded readers: it settles what they conflict, it adds what
decides nothing, and what it alone would decide becomes a conflict for the person.

What the model leaves out takes nothing away. Measured with real models: docs/decisions.d/llm-path.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rag.signals.reading import Conflict, Reading, same_value
from rag.signals.schema import SIGNAL_NAMES, Signals


def with_model_vote(embedded: Reading, model: Signals, verdict_of: Callable[[Signals], str]) -> Reading:
    """The embedded reading after the model's vote; the model alone never changes what the table decides."""
    signals, conflicts = _settle(embedded, model)
    verdict = verdict_of(signals)
    additions: dict[str, Any] = {}
    for name in SIGNAL_NAMES:
        ours, theirs = getattr(signals, name), getattr(model, name)
        if (
            _unsaid(theirs)
            or same_value(ours, theirs)
            or any(conflict.signal == name for conflict in conflicts)
        ):
            continue
        decisive = verdict_of(_with(signals, {name: theirs}, model)) != verdict
        if _unsaid(ours) and not decisive:
            additions[name] = theirs
        else:
            conflicts.append(Conflict(name, (ours, theirs), decisive))
    result = _with(signals, additions, model)
    if verdict_of(result) != verdict:  # none decides alone, together they do
        conflicts += [
            Conflict(name, (getattr(signals, name), value), True) for name, value in additions.items()
        ]
        result = signals
    conflicts.sort(key=lambda conflict: not conflict.decisive)
    agree = not any(conflict.decisive for conflict in conflicts)
    stands = agree and verdict_of(result) == verdict_of(embedded.signals)
    share = embedded.share if stands else None  # it spoke for the verdict before the vote
    return replace(embedded, signals=result, conflicts=tuple(conflicts), agree=agree, share=share)


def _settle(embedded: Reading, model: Signals) -> tuple[Signals, list[Conflict]]:
    """The signals with each conflict decided where the model says what one of the two readers says: two of three."""
    signals, left = embedded.signals, list[Conflict]()
    for conflict in embedded.conflicts:
        vote = getattr(model, conflict.signal)
        if _unsaid(vote) or not any(same_value(vote, value) for value in conflict.values):
            left.append(conflict)
        elif not same_value(vote, getattr(signals, conflict.signal)):
            signals = _with(signals, {conflict.signal: vote}, model)
    return signals, left


def _with(signals: Signals, values: dict[str, Any], source: Signals) -> Signals:
    """The signals with these values, each beside the words that `source` read it from."""
    quotes = {name: source.quotes[name] for name in values if name in source.quotes}
    quotes_before = {name: quote for name, quote in signals.quotes.items() if name not in values}
    return signals.model_copy(update={**values, "quotes": quotes_before | quotes})


def _unsaid(value: Any) -> bool:
    return value is None or value in ((), ("vague",))
