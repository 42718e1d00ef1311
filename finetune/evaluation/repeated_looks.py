"""Tests that may be looked at after every ticket: the chance of a false alarm holds over all looks together, not at each. Pure.

Each is a wealth that grows only by luck while nothing is wrong, so it ever reaches 1 / chance with at most `chance` (Ville's
inequality), however often it is looked at and whenever one stops. A bet takes one event at a time and is kept as JSON between two
looks. Sources: betting on a mean, Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
2024; starts at every row, Shin, Ramdas and Rinaldo, "E-detectors", 2023; conformal test martingale (Simple Jumper), Vovk and
others, "Retrain or not retrain", COPA 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STARTS_EVERY = 5  # rows: a change begins at nobody knows which
RATIOS = (1.5, 2.5, 4.0)  # rates that are bet on, as multiples of the one that was promised
JUMPS = 0.01  # of the wealth that changes sides at each ticket
SIDES = (-1.0, 0.0, 1.0)
ENOUGH = 1e12  # wealth that rings at any chance; betting on would end at infinity, which JSON does not know
LAST = 30  # events that are remembered one by one
MIN_ODDS, STEPS = (
    1e-6,
    20,
)  # confidences are told apart by their log-odds, in so many steps for each factor of e
EDGE = round(-math.log(MIN_ODDS) * STEPS)


@dataclass
class RateBet:
    """Whether events happen more often than `rate` from some event on; `take` them the oldest first.

    Wealth is bet on higher rates from every STARTS_EVERY-th event on, the shares of the starts sum to at most one. Holds where
    each event, given those before, has at most the chance `rate`. `largest` is the most wealth that was reached, `since` the
    events since the start that speaks the loudest, `happened` those of them that happened, `last` the LAST events as digits.
    """

    rate: float
    count: int = 0
    bets: list[float] = field(default_factory=lambda: [0.0] * len(RATIOS))
    waiting: float = 1.0
    largest: float = 1.0
    sum: float = 0.0  # of the middle rate's steps, and the lowest that this sum has been
    lowest: float = 0.0
    since: int = 0
    happened: int = 0
    last: str = ""

    def take(self, event: bool) -> None:
        """Bets on the next event."""
        rates = [min(ratio * self.rate, (1 + self.rate) / 2) for ratio in RATIOS]
        steps = [one / self.rate if event else (1 - one) / (1 - self.rate) for one in rates]
        if self.largest < ENOUGH:
            self._bet(steps)
        self.count, self.since, self.happened = self.count + 1, self.since + 1, self.happened + event
        self.sum += math.log(steps[1])
        if self.sum < self.lowest:
            self.lowest, self.since, self.happened = self.sum, 0, 0
        self.last = f"{self.last}{event:d}"[-LAST:]

    def _bet(self, steps: Sequence[float]) -> None:
        if self.count % STARTS_EVERY == 0:
            order = self.count // STARTS_EVERY + 1
            share = 1 / (order * (order + 1))
            self.waiting -= share
            self.bets = [bet + share for bet in self.bets]
        self.bets = [bet * step for bet, step in zip(self.bets, steps, strict=True)]
        self.largest = max(self.largest, self.wealth)

    def rings(self, chance: float) -> bool:
        """Whether that much evidence comes by luck with at most `chance`, over all looks."""
        return self.largest >= 1 / chance

    @property
    def wealth(self) -> float:
        """What the bets are worth by now."""
        return sum(self.bets) / len(self.bets) + self.waiting

    @property
    def loudness(self) -> float:
        """How much likelier the events since the loudest start are at the middle rate, as a logarithm; 0 while there is no such start."""
        return self.sum - self.lowest

    def part(self, least: int) -> tuple[int, int]:
        """How many of the events since the loudest start happened, and how many they are, `least` (at most LAST) or more."""
        if self.since >= least:
            return self.happened, self.since
        last = self.last[-least:]
        return last.count("1"), len(last)


@dataclass
class ChangeBet:
    """Whether values from 0 to 1 come from where those before came, a conformal test martingale; `take` them the oldest first.

    Each value's rank among all that came before it is even from 0 to 1 while nothing changes (ties are drawn). Wealth is bet on
    ranks that are mostly low, or mostly high, and changes sides at times (Simple Jumper). `earlier` counts the values by their
    log-odds, so that what is kept does not grow with them; the n-th value gets the n-th draw of `seed`, whoever draws it.
    """

    earlier: list[int]
    seed: int = 0
    count: int = 0
    bets: list[float] = field(default_factory=lambda: [1 / len(SIDES)] * len(SIDES))
    largest: float = 1.0
    _draws: np.random.Generator | None = field(default=None, repr=False, compare=False)

    @classmethod
    def after(cls, before: Sequence[float], seed: int = 0) -> ChangeBet:
        """A bet that begins after the values `before`; fewer than two tell nothing, and it never rings."""
        earlier = [0] * (2 * EDGE + 1)
        for value in before:
            earlier[_step_of(value)] += 1
        return cls(earlier, seed)

    def take(self, value: float) -> None:
        """Bets on the next value."""
        if self._draws is None:
            self._draws = np.random.Generator(np.random.PCG64(self.seed).advance(self.count))
        draw, total = float(self._draws.random()), sum(self.earlier)
        self.count += 1
        if total < 2:  # nothing was there before these values
            return
        step = _step_of(value)
        rank = (sum(self.earlier[:step]) + draw * (self.earlier[step] + 1)) / (total + 1)
        self.earlier[step] += 1
        if self.largest >= ENOUGH:
            return
        even = self.wealth * JUMPS / len(SIDES)
        self.bets = [
            (part * (1 - JUMPS) + even) * (1 + side * (rank - 0.5))
            for part, side in zip(self.bets, SIDES, strict=True)
        ]
        self.largest = max(self.largest, self.wealth)

    @property
    def wealth(self) -> float:
        """What the bets are worth by now."""
        return sum(self.bets)

    def rings(self, chance: float) -> bool:
        """Whether that much evidence comes by luck with at most `chance`, over all looks."""
        return self.largest >= 1 / chance


def json_of(bet: RateBet | ChangeBet) -> dict[str, Any]:
    """A bet as JSON; every number comes back as it was."""
    return {name: value for name, value in vars(bet).items() if not name.startswith("_")}


def rate_bet_from(values: Mapping[str, Any]) -> RateBet:
    """The bet that was kept as JSON; TypeError or KeyError where the fields are others."""
    return RateBet(**{**values, "bets": list(values["bets"])})


def change_bet_from(values: Mapping[str, Any]) -> ChangeBet:
    """The bet that was kept as JSON; TypeError or KeyError where the fields are others."""
    return ChangeBet(**{**values, "earlier": list(values["earlier"]), "bets": list(values["bets"])})


def bet_on_rate(events: Sequence[bool], rate: float) -> RateBet:
    """The bet after all these events."""
    bet = RateBet(rate)
    for event in events:
        bet.take(event)
    return bet


def bet_on_change(before: Sequence[float], values: Sequence[float], seed: int = 0) -> ChangeBet:
    """The bet after all these values."""
    bet = ChangeBet.after(before, seed)
    for value in values:
        bet.take(value)
    return bet


def _step_of(value: float) -> int:
    odds = min(max(float(value), MIN_ODDS), 1 - MIN_ODDS)
    return min(max(round(math.log(odds / (1 - odds)) * STEPS), -EDGE), EDGE) + EDGE
