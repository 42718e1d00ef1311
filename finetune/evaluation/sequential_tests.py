"""Sequential tests that may be checked after every ticket: the false-alarm probability holds over all looks together. Pure.

Each is a test martingale (a "wealth"). While nothing changes, it reaches 1 / chance with probability `chance` at most (Ville's
inequality), however often it is checked. A test takes one event at a time and is stored as JSON in between.
Sources: betting on a mean, Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
2024; starts at every row, Shin, Ramdas and Rinaldo, "E-detectors", 2023; conformal test martingale (Simple Jumper), Vovk and
others, "Retrain or not retrain", COPA 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

START_INTERVAL = 5  # events: the start of a change is unknown, so a new bet starts this often
RATE_FACTORS = (1.5, 2.5, 4.0)  # alternative rates, as multiples of the promised one
JUMPS = 0.01  # share of the wealth that changes sides at each ticket
SIDES = (-1.0, 0.0, 1.0)
MAX_WEALTH = 1e12  # a wealth that is significant at any chance; more could reach infinity, which JSON lacks
KEPT_EVENTS = 30  # events that are stored one by one
MIN_ODDS, BINS_PER_E = (
    1e-6,
    20,
)  # confidences are binned by their log-odds, with so many bins per factor of e
MAX_BIN = round(-math.log(MIN_ODDS) * BINS_PER_E)


@dataclass
class RateTest:
    """Tests whether events happen more often than `rate` from some event on; `update` it oldest first.

    It bets on higher rates from every START_INTERVAL-th event on; the weights of the starts sum to at most one. Valid where each
    event, given the earlier ones, has at most the probability `rate`. `largest` is the largest wealth so far, `since` the
    events since the most likely start, `happened` those of them that happened, `last` the KEPT_EVENTS last events as digits.
    """

    rate: float
    count: int = 0
    bets: list[float] = field(default_factory=lambda: [0.0] * len(RATE_FACTORS))
    waiting: float = 1.0
    largest: float = 1.0
    sum: float = 0.0  # the sum of the middle rate's log-likelihood steps, and its minimum
    lowest: float = 0.0
    since: int = 0
    happened: int = 0
    last: str = ""

    def update(self, event: bool) -> None:
        """Adds the next event."""
        rates = [min(ratio * self.rate, (1 + self.rate) / 2) for ratio in RATE_FACTORS]
        steps = [one / self.rate if event else (1 - one) / (1 - self.rate) for one in rates]
        if self.largest < MAX_WEALTH:
            self._bet(steps)
        self.count, self.since, self.happened = self.count + 1, self.since + 1, self.happened + event
        self.sum += math.log(steps[1])
        if self.sum < self.lowest:
            self.lowest, self.since, self.happened = self.sum, 0, 0
        self.last = f"{self.last}{event:d}"[-KEPT_EVENTS:]

    def _bet(self, steps: Sequence[float]) -> None:
        if self.count % START_INTERVAL == 0:
            order = self.count // START_INTERVAL + 1
            share = 1 / (order * (order + 1))
            self.waiting -= share
            self.bets = [bet + share for bet in self.bets]
        self.bets = [bet * step for bet, step in zip(self.bets, steps, strict=True)]
        self.largest = max(self.largest, self.wealth)

    def is_significant(self, chance: float) -> bool:
        """Whether the evidence is significant at `chance`, over all looks."""
        return self.largest >= 1 / chance

    @property
    def wealth(self) -> float:
        """The current wealth."""
        return sum(self.bets) / len(self.bets) + self.waiting

    @property
    def log_likelihood_ratio(self) -> float:
        """The log-likelihood ratio of the middle rate to `rate` since the most likely start; 0 without such a start."""
        return self.sum - self.lowest

    def part(self, least: int) -> tuple[int, int]:
        """How many events since the most likely start happened, of how many; at least the `least` last ones (at most KEPT_EVENTS)."""
        if self.since >= least:
            return self.happened, self.since
        last = self.last[-least:]
        return last.count("1"), len(last)


@dataclass
class ChangeTest:
    """Tests whether values from 0 to 1 keep their distribution (a conformal test martingale); `update` it oldest first.

    While nothing changes, each value's rank among all earlier ones is uniform (ties are broken at random). The test bets on mostly
    low or mostly high ranks and switches sides at times (Simple Jumper). `earlier` counts the values by binned log-odds, so
    its size is bounded; the n-th value uses the n-th draw of `seed`.
    """

    earlier: list[int]
    seed: int = 0
    count: int = 0
    bets: list[float] = field(default_factory=lambda: [1 / len(SIDES)] * len(SIDES))
    largest: float = 1.0
    _draws: np.random.Generator | None = field(default=None, repr=False, compare=False)

    @classmethod
    def after(cls, before: Sequence[float], seed: int = 0) -> ChangeTest:
        """A test that starts after the values `before`; with fewer than two it is never significant."""
        earlier = [0] * (2 * MAX_BIN + 1)
        for value in before:
            earlier[_bin_of(value)] += 1
        return cls(earlier, seed)

    def update(self, value: float) -> None:
        """Adds the next value."""
        if self._draws is None:
            self._draws = np.random.Generator(np.random.PCG64(self.seed).advance(self.count))
        draw, total = float(self._draws.random()), sum(self.earlier)
        self.count += 1
        if total < 2:  # no earlier values
            return
        step = _bin_of(value)
        rank = (sum(self.earlier[:step]) + draw * (self.earlier[step] + 1)) / (total + 1)
        self.earlier[step] += 1
        if self.largest >= MAX_WEALTH:
            return
        even = self.wealth * JUMPS / len(SIDES)
        self.bets = [
            (part * (1 - JUMPS) + even) * (1 + side * (rank - 0.5))
            for part, side in zip(self.bets, SIDES, strict=True)
        ]
        self.largest = max(self.largest, self.wealth)

    @property
    def wealth(self) -> float:
        """The current wealth."""
        return sum(self.bets)

    def is_significant(self, chance: float) -> bool:
        """Whether the evidence is significant at `chance`, over all looks."""
        return self.largest >= 1 / chance


def state_to_json(test: RateTest | ChangeTest) -> dict[str, Any]:
    """The test as JSON; numbers round-trip exactly."""
    return {name: value for name, value in vars(test).items() if not name.startswith("_")}


def rate_test_from_json(values: Mapping[str, Any]) -> RateTest:
    """The test from its JSON; TypeError or KeyError on other fields."""
    return RateTest(**{**values, "bets": list(values["bets"])})


def change_test_from_json(values: Mapping[str, Any]) -> ChangeTest:
    """The test from its JSON; TypeError or KeyError on other fields."""
    return ChangeTest(**{**values, "earlier": list(values["earlier"]), "bets": list(values["bets"])})


def run_rate_test(events: Sequence[bool], rate: float) -> RateTest:
    """The test after these events."""
    test = RateTest(rate)
    for event in events:
        test.update(event)
    return test


def run_change_test(before: Sequence[float], values: Sequence[float], seed: int = 0) -> ChangeTest:
    """The test after these values."""
    test = ChangeTest.after(before, seed)
    for value in values:
        test.update(value)
    return test


def _bin_of(value: float) -> int:
    odds = min(max(float(value), MIN_ODDS), 1 - MIN_ODDS)
    return min(max(round(math.log(odds / (1 - odds)) * BINS_PER_E), -MAX_BIN), MAX_BIN) + MAX_BIN
