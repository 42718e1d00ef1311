"""The promised error rate: the confidence threshold that keeps it, and the test whether it was kept.

A promise is the largest share of wrong answers, among those given, that a team accepts (0.05). Source: Clopper and
Pearson, Biometrika 1934. Conformal sets do not serve here: they keep coverage while half of the single answers may be
wrong (docs/decisions.d/live.md). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SURE = 0.95
MISTAKES = 2  # a first test that allows no mistake fails by one unlucky row; a later one needs many sure rows
CHECKS_A_MONTH = 15.0  # divided by the promised rate
FALSE_ALARM_CHANCE = 0.01  # false-alarm probability where the promise is just kept


@dataclass(frozen=True)
class Threshold:
    """The least confidence with which a model answers alone; None: with none, so it abstains on everything.

    Of `rows` calibration rows `answers` are at or above it, `wrong` of them mistaken; `upper` is the 95% upper bound of
    their error rate.
    """

    value: float | None
    rows: int
    answers: int = 0
    wrong: int = 0
    upper: float = 1.0

    def admits(self, confidence: float) -> bool:
        """Whether an answer of this confidence needs no check."""
        return self.value is not None and confidence >= self.value

    def describe(self, promise: float) -> str:
        """The threshold in one sentence."""
        if self.value is None:
            return (
                f"No confidence keeps at most {promise:.0%} wrong on its {self.rows:,} calibration tickets, so it abstains on "
                "everything: label more tickets, or accept a higher error rate."
            )
        return (
            f"It answers from a confidence of {self.value:.2f} on: {self.answers:,} of {self.rows:,} calibration tickets, "
            f"{self.wrong:,} of them wrong, so at most {self.upper:.1%} (95%)."
        )


def upper_bound(wrong: int, answers: int) -> float:
    """The error rate that `wrong` mistakes among `answers` rule out on the high side, one-sided 95%; 1 without rows."""
    if wrong >= answers:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(SURE, wrong + 1, answers - wrong))


def loosest_threshold(confidence: np.ndarray, right: np.ndarray, promise: float) -> Threshold:
    """The last confidence, from the strictest down, whose upper bound of the errors at or above it stays under the promise.

    `confidence` (rows,) floats and `right` (rows,) booleans come from rows that the model did not learn from. Rows of equal
    confidence are answered together. A fixed sequence is tested and ends at the first failure, so that the 95% hold for the
    threshold that comes out, however many are tested. Source: Angelopoulos and others, Learn then Test, 2021.
    """
    rows = len(confidence)
    best = Threshold(None, rows)
    if not rows:
        return best
    order = np.argsort(-np.asarray(confidence), kind="stable")
    values = np.asarray(confidence, dtype=float)[order]
    mistakes = np.cumsum(~np.asarray(right, dtype=bool)[order])
    ends = np.flatnonzero(np.append(np.diff(values) != 0, True)) + 1
    for answers in np.unique(ends[np.searchsorted(ends, sequence(rows, promise))]).tolist():
        wrong = int(mistakes[answers - 1])
        if wrong >= promise * answers or (upper := upper_bound(wrong, answers)) >= promise:
            break
        best = Threshold(float(values[answers - 1]), rows, answers, wrong, upper)
    return best


def threshold_with_reserve(
    confidence: np.ndarray, right: np.ndarray, promise: float, reserve: float
) -> Threshold:
    """The loosest threshold for the promise less the share `reserve`; for the whole promise where no threshold keeps that.

    What is wrong between a change and its alarm has to fit under the promise too. Arguments as in `loosest_threshold`.
    """
    strict = loosest_threshold(confidence, right, promise * (1 - reserve))
    return strict if strict.value is not None else loosest_threshold(confidence, right, promise)


def sequence(rows: int, promise: float) -> np.ndarray:
    """How many of the surest rows each test takes, fewest first: wherever one more mistake can be afforded, at last all.

    It depends on no answer. The first test affords MISTAKES mistakes where half of the rows suffice for that, else none.
    """
    from scipy.stats import binom

    affordable = binom.ppf(1 - SURE, np.arange(1, rows + 1), promise) - 1
    sizes = np.flatnonzero(np.diff(affordable, prepend=-1) > 0) + 1
    if len(sizes) > MISTAKES and sizes[MISTAKES] <= rows / 2:
        sizes = sizes[MISTAKES:]
    return np.append(sizes, rows)


def exceeds_promise(wrong: int, checks: int, promise: float, chance: float = FALSE_ALARM_CHANCE) -> bool:
    """Whether the mistakes among the checked answers exceed the promised rate.

    One-sided exact binomial test with false-alarm probability `chance`.
    """
    if not checks or wrong <= promise * checks:
        return False
    from scipy.stats import binom

    return bool(binom.sf(wrong - 1, checks, promise) < chance)


def audit_share(answers_a_month: float, promise: float, share: float = 0.05) -> float:
    """The share of answered tickets to show to people: 5%, or what gives enough a month for the promise.

    150 a month for a promise of 10%, twice as many for half the promise: a loss of ten points is noticed within some 200 tickets
    of 1,300 a month. With none wrong 75 prove the promise at about a third of it.
    """
    enough = CHECKS_A_MONTH / max(promise, 1e-6)
    return 1.0 if answers_a_month <= enough else max(share, enough / answers_a_month)
