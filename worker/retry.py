"""Whether a job that lost its attempt gets another one, as a pure decision."""

from __future__ import annotations

from dataclasses import dataclass

DELAYS_S = (0.0, 30.0, 120.0)
"""Pause before each repeat; after the last one the job is given up."""

UNCOUNTED = frozenset({"drain", "requeue"})
"""Causes that are nobody's failure: the machine was wanted back, or Redis forgot the job."""


@dataclass(frozen=True)
class Again:
    """Run it once more after `delay_s`; `losses` is the new count of failed attempts."""

    delay_s: float
    losses: int


@dataclass(frozen=True)
class GiveUp:
    """No further attempt; `why` is what the person reads."""

    why: str


def after_loss(losses: int, cause: str) -> Again | GiveUp:
    """What follows an attempt that ended for `cause` when `losses` attempts had failed before it."""
    if cause in UNCOUNTED:
        return Again(0.0, losses)
    if losses >= len(DELAYS_S):
        return GiveUp(
            f"It was started {losses + 1} times and never came through ({cause}). Look at the worker's log, "
            "then press Retry: training goes on from the last good checkpoint."
        )
    return Again(DELAYS_S[losses], losses + 1)
