"""Merges two readers' signals: the value to use for each signal, and every signal on which they disagree.

Covers the merge and the conflicts. Does not read text or know the decision table: `verdict_of` tells what a
signal decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rag.signals.schema import SIGNAL_NAMES, Signals

ReaderChoice = Literal["first", "second", "either"]
MAX_RELATIVE_DIFFERENCE = 0.05  # two numbers at most this far apart are the same reading


@dataclass(frozen=True)
class Conflict:
    """A signal on which two readers disagree: the first and the second reader's value (None or (): unknown).

    `decisive`: the two values lead the decision table to different verdicts.
    """

    signal: str
    values: tuple[Any, Any]
    decisive: bool = False


@dataclass(frozen=True)
class Reading:
    """The reading of one message: the merged signals, and the conflicts, decisive ones first.

    `agree` tells whether both readers' signals lead to the same verdict; None where a single reader read. `share` is the
    probability (0-1) of the verdict, where it was computed.
    """

    signals: Signals
    conflicts: tuple[Conflict, ...] = ()
    agree: bool | None = None
    share: float | None = None


@dataclass(frozen=True)
class Trust:
    """Which reader to trust where two disagree, by signal: "first", "second", or "either" (the first with a value).

    `default` holds for signals without an entry; `reads` names the signals that the second reader can read at all:
    its silence on any other signal means nothing, and the first reader's value is used without a conflict.
    """

    by_signal: Mapping[str, ReaderChoice] = field(default_factory=dict)
    default: ReaderChoice = "either"
    reads: frozenset[str] = frozenset(SIGNAL_NAMES)

    def choice_for(self, signal: str) -> ReaderChoice:
        """Whose value of this signal stands."""
        return self.by_signal.get(signal, self.default)


def merge_readings(
    first: Signals,
    second: Signals,
    trust: Trust,
    verdict_of: Callable[[Signals], str],
    choose: Callable[[Signals], tuple[Signals, float | None]] = lambda signals: (signals, None),
) -> Reading:
    """Both readers' signals merged by `trust`; `verdict_of` tells what the decision table says on signals.

    `choose` turns the merged signals into the final ones, with the probability of their verdict.
    """
    values: dict[str, Any] = {}
    quotes: dict[str, str] = {}
    differing: list[tuple[str, tuple[Any, Any]]] = []
    for name in SIGNAL_NAMES:
        pair = getattr(first, name), getattr(second, name)
        place = 0
        if name in trust.reads and not same_value(*pair):
            differing.append((name, pair))
            place = _believed_place(trust.choice_for(name), pair)
        values[name] = pair[place]
        source = (first, second)[place]
        if name in source.quotes and not _unsaid(pair[place]):
            quotes[name] = source.quotes[name]
    signals, share = choose(Signals.model_validate({**values, "quotes": quotes}))
    conflicts = [Conflict(name, pair, _decides(signals, name, pair, verdict_of)) for name, pair in differing]
    conflicts.sort(
        key=lambda conflict: not conflict.decisive
    )  # a stable sort keeps the schema's order within each half
    return Reading(signals, tuple(conflicts), verdict_of(first) == verdict_of(second), share)


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of a signal say the same: numbers within 5%, gaps as sets with "vague" as the unsaid."""
    if _unsaid(one) or _unsaid(other):
        return _unsaid(one) and _unsaid(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return set(one) - {"vague"} == set(other) - {"vague"}
    numbers = [
        value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == 2:
        return bool(abs(one - other) <= MAX_RELATIVE_DIFFERENCE * max(abs(one), abs(other)))
    return bool(one == other)


def _unsaid(value: Any) -> bool:
    return value is None or value in ((), [], ("vague",))


def _believed_place(side: ReaderChoice, pair: tuple[Any, Any]) -> int:
    if side == "either":
        return 1 if _unsaid(pair[0]) and not _unsaid(pair[1]) else 0
    return 0 if side == "first" else 1


def _decides(
    signals: Signals, name: str, pair: tuple[Any, Any], verdict_of: Callable[[Signals], str]
) -> bool:
    """Whether the two values of one signal lead to different verdicts when the rest is merged."""
    one, other = (signals.model_copy(update={name: value}) for value in pair)
    return verdict_of(one) != verdict_of(other)
