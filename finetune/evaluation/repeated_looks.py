"""Tests that may be looked at after every ticket: the chance of a false alarm holds over all looks together, not at each. Pure.

Each is a wealth that grows only by luck while nothing is wrong, so it ever reaches 1 / chance with at most `chance` (Ville's
inequality), however often it is looked at and whenever one stops. Sources: betting on a mean, Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 2024; starts at every row, Shin, Ramdas and Rinaldo,
"E-detectors", 2023; conformal test martingale (Simple Jumper), Vovk and others, "Retrain or not retrain", COPA 2021.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STARTS_EVERY = 5  # rows: a change begins at nobody knows which
RATIOS = (1.5, 2.5, 4.0)  # rates that are bet on, as multiples of the one that was promised
JUMPS = 0.01  # of the wealth that changes sides at each ticket
SIDES = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Evidence:
    """The largest wealth that was reached (1 at the start), and the rows since the start that speaks the loudest."""

    wealth: float
    since: int

    def rings(self, chance: float) -> bool:
        """Whether that much evidence comes by luck with at most `chance`, over all looks."""
        return self.wealth >= 1 / chance


def bet_on_rate(events: Sequence[bool], rate: float) -> Evidence:
    """Whether events happen more often than `rate`, the oldest first, from some row on.

    Wealth is bet on higher rates from every STARTS_EVERY-th row on, the shares of the starts sum to at most one. Holds where each
    event, given those before, has at most the chance `rate`.
    """
    if not events:
        return Evidence(1.0, 0)
    rates = [min(ratio * rate, (1 + rate) / 2) for ratio in RATIOS]
    up, down = [one / rate for one in rates], [(1 - one) / (1 - rate) for one in rates]
    bets, waiting, largest = [0.0] * len(rates), 1.0, 1.0
    best, start, mark = (
        0.0,
        0,
        0.0,
    )  # of the middle rate: the sum of its steps since the row where that sum was lowest
    for at, event in enumerate(events):
        if at % STARTS_EVERY == 0:
            order = at // STARTS_EVERY + 1
            share = 1 / (order * (order + 1))
            waiting -= share
            bets = [bet + share for bet in bets]
        steps = up if event else down
        bets = [bet * step for bet, step in zip(bets, steps, strict=True)]
        largest = max(largest, sum(bets) / len(bets) + waiting)
        mark = mark + math.log(steps[1])
        if mark < best:
            best, start = mark, at + 1
    return Evidence(largest, len(events) - start)


def bet_on_change(before: Sequence[float], values: Sequence[float], seed: int = 0) -> Evidence:
    """Whether `values`, the oldest first, come from where those of `before` came: a conformal test martingale.

    Each value's rank among all that came before it is even from 0 to 1 while nothing changes (ties are drawn). Wealth is bet on
    ranks that are mostly low, or mostly high, and changes sides at times (Simple Jumper).
    """
    earlier = sorted(float(value) for value in before)
    if len(earlier) < 2:
        return Evidence(1.0, 0)
    draws = np.random.default_rng(seed).random(len(values))
    wealth = [1 / len(SIDES)] * len(SIDES)
    largest = 1.0
    for value, draw in zip(values, draws.tolist(), strict=True):
        low, high = bisect_left(earlier, value), bisect_right(earlier, value)
        rank = (low + draw * (high - low + 1)) / (len(earlier) + 1)
        insort(earlier, float(value))
        even = sum(wealth) * JUMPS / len(SIDES)
        wealth = [
            (part * (1 - JUMPS) + even) * (1 + side * (rank - 0.5))
            for part, side in zip(wealth, SIDES, strict=True)
        ]
        largest = max(largest, sum(wealth))
    return Evidence(largest, len(values))
