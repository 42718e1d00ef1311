"""How sure a figure is: bootstrap and Wilson intervals, McNemar's test, and how many rows would settle it.

All percentages here are fractions of one; rows are the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided 95% interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Paired:
    """The tuned system minus the baseline on the same rows; `p` is McNemar's exact two-sided one."""

    difference: Interval
    p: float
    only_tuned: int
    only_baseline: int


def resample_counts(rows: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each row is drawn in each resample: (resamples, rows) float32, every line sums to rows."""
    if rows < 1:
        raise ValueError("There is nothing to resample.")
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float32)


def bootstrap(counts: np.ndarray, statistic: Statistic) -> Interval:
    """Percentile bootstrap of `statistic`, which maps (resamples, rows) counts to (resamples,) values."""
    value = float(statistic(np.ones((1, counts.shape[1]), dtype=np.float32))[0])
    drawn = statistic(counts)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def mean_statistic(values: np.ndarray) -> Statistic:
    """The weighted mean of one value per row."""
    column = np.asarray(values, dtype=np.float32)
    return lambda counts: (counts @ column) / counts.sum(axis=1)


def macro_f1_statistic(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Statistic:
    """Macro-F1 over the classes that occur in truth or prediction, as scikit-learn defines it."""
    eye = np.eye(classes, dtype=np.float32)
    true, guessed = eye[truth], eye[predicted]
    hit = true * guessed
    seen = (true.sum(axis=0) + guessed.sum(axis=0)) > 0

    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ (true + guessed)[:, seen]
        right = 2 * (counts @ hit[:, seen])
        drawn = total > 0
        f1 = np.divide(right, total, out=np.zeros_like(right), where=drawn)
        return f1.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)

    return statistic


def wilson(successes: int, trials: int) -> Interval:
    """The share of successes with Wilson's 95% interval; (0, 0, 1) without trials."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    z = 1.959964
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return Interval(share, float(max(0, centre - spread)), float(min(1, centre + spread)))


def paired(tuned: np.ndarray, baseline: np.ndarray, counts: np.ndarray) -> Paired:
    """Compare two systems on the same rows: bootstrap of the difference and McNemar's exact test.

    `tuned` and `baseline` are one 0/1 per row.
    """
    from scipy.stats import binomtest

    tuned, baseline = np.asarray(tuned, dtype=bool), np.asarray(baseline, dtype=bool)
    only_tuned, only_baseline = int((tuned & ~baseline).sum()), int((~tuned & baseline).sum())
    split = only_tuned + only_baseline
    p = float(binomtest(only_tuned, split).pvalue) if split else 1.0
    difference = bootstrap(counts, mean_statistic(tuned.astype(np.float32) - baseline))
    return Paired(difference, p, only_tuned, only_baseline)


def paired_means(tuned: np.ndarray, baseline: np.ndarray, counts: np.ndarray) -> Paired:
    """`paired` for scores that are not 0/1: the p-value is the bootstrap's own (two-sided)."""
    gap = np.asarray(tuned, dtype=np.float32) - np.asarray(baseline, dtype=np.float32)
    drawn = mean_statistic(gap)(counts)
    tail = min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    p = min(1.0, 2 * max(tail, 1 / len(drawn)))
    return Paired(bootstrap(counts, mean_statistic(gap)), p, int((gap > 0).sum()), int((gap < 0).sum()))


def rows_to_settle(difference: float, disagreement: float) -> int | None:
    """Test rows for McNemar's test to see `difference` with 80% power at 5%; None when there is none.

    `disagreement` is the share of rows on which exactly one system is right (Connor 1987).
    """
    if abs(difference) < 1e-9 or disagreement <= 0:
        return None
    spread = max(disagreement - difference**2, 0.0)
    root = 1.959964 * np.sqrt(disagreement) + 0.841621 * np.sqrt(spread)
    return int(np.ceil((root / difference) ** 2))


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (ECE): mean gap of confidence and accuracy over equal-width bins."""
    edges = np.clip((np.asarray(confidence) * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(confidence[edges == b].mean() - right[edges == b].mean()) * (edges == b).mean()
        for b in np.unique(edges)
    ]
    return float(sum(gaps))


def json_difference(against: str, result: Paired) -> dict[str, Any]:
    """The report's `difference`: in percentage points."""
    gap = result.difference
    return {
        "against": against,
        "points": 100 * gap.value,
        "low": 100 * gap.low,
        "high": 100 * gap.high,
        "p": result.p,
    }
