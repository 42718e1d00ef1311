"""Uncertainty of scores: bootstrap, Wilson and Tango intervals, McNemar's test, and required sample sizes.

All shares are fractions of one; rows are the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from finetune.reports.parts import Difference, Interval

RESAMPLES = 2000
Z95 = 1.959964
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PairedGap:
    """The tuned system minus the baseline on the same rows.

    `difference` and `p` (two-sided) come from one method: the interval leaves out 0 exactly when p < .05.
    """

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
    """Percentile bootstrap of `statistic`, which maps (resamples, rows) counts to (resamples,) values.

    Where all rows are right, or none is, every resample is the same and would claim certainty: Wilson's interval then.
    """
    rows = counts.shape[1]
    value = float(statistic(np.ones((1, rows), dtype=np.float32))[0])
    values = statistic(counts)
    if value in (0.0, 1.0) and float(np.ptp(values)) == 0.0:
        return wilson(round(value * rows), rows)
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def mean_statistic(values: np.ndarray) -> Statistic:
    """The weighted mean of one value per row."""
    column = np.asarray(values, dtype=np.float32)
    return lambda counts: (counts @ column) / counts.sum(axis=1)


def macro_f1_statistic(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Statistic:
    """Macro-F1 over the classes that occur in truth or prediction, as scikit-learn defines it."""
    eye = np.eye(classes, dtype=np.float32)
    true, guess = eye[truth], eye[predicted]
    hit = true * guess
    occurs = (true.sum(axis=0) + guess.sum(axis=0)) > 0

    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ (true + guess)[:, occurs]
        right = 2 * (counts @ hit[:, occurs])
        occurrence = total > 0
        f1 = np.divide(right, total, out=np.zeros_like(right), where=occurrence)
        return f1.sum(axis=1) / np.maximum(occurrence.sum(axis=1), 1)

    return statistic


def wilson(successes: int, trials: int) -> Interval:
    """The share of successes with Wilson's 95% interval; (0, 0, 1) without trials."""
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    z = Z95
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    # with no error, or no success, the bound is the share itself: rounding must not put it on the wrong side
    low, high = max(0.0, centre - spread), min(1.0, centre + spread)
    return Interval(share, float(min(share, low)), float(max(share, high)))


def paired_gap(finetune: np.ndarray, baseline: np.ndarray) -> PairedGap:
    """Compare two systems on the same rows by the score test: McNemar's, and Tango's interval around it.

    `finetune` and `baseline` are one 0/1 per row.
    """
    from scipy.stats import norm

    finetune, baseline = np.asarray(finetune, dtype=bool), np.asarray(baseline, dtype=bool)
    only_tuned, only_baseline = int((finetune & ~baseline).sum()), int((~finetune & baseline).sum())
    score = score_statistic(only_tuned, only_baseline, len(finetune), 0.0)
    return PairedGap(
        tango(only_tuned, only_baseline, len(finetune)),
        float(2 * norm.sf(abs(score))),
        only_tuned,
        only_baseline,
    )


def carried(level: Interval, gain: Interval) -> Interval:
    """The share expected on all rows of what was tested on some of them: a rival's on all plus the gain over it there."""
    value = float(np.clip(level.value + gain.value, 0.0, 1.0))
    half = float(np.hypot(level.half_width, gain.half_width))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def score_statistic(only_first: int, only_second: int, rows: int, difference: float) -> float:
    """How many standard errors the observed difference lies from `difference`, given that as the truth.

    At 0 it is McNemar's statistic without continuity correction. Source: Tango, Statistics in Medicine 1998.
    """
    linear = -only_first - only_second + (2 * rows - only_first + only_second) * difference
    constant = -only_second * difference * (1 - difference)
    rare = (np.sqrt(max(linear**2 - 8 * rows * constant, 0.0)) - linear) / (4 * rows)
    spread = rows * (2 * rare + difference * (1 - difference))
    gap = only_first - only_second - rows * difference
    return float(gap / np.sqrt(spread)) if spread > 1e-12 else float(np.sign(gap) * (abs(gap) > 1e-9) * 1e9)


def tango(only_first: int, only_second: int, rows: int) -> Interval:
    """The difference of two systems' shares of right rows with its 95% score interval.

    The counts are the rows that only one of the two gets right; it stays within -1 to 1 however few there are.
    """
    from scipy.optimize import brentq

    value = (only_first - only_second) / rows

    def edge(sign: int) -> float:
        def beyond(difference: float) -> float:
            return score_statistic(only_first, only_second, rows, difference) - sign * Z95

        end = -sign * (1 - 1e-9)
        return float(-sign if beyond(end) * beyond(value) > 0 else brentq(beyond, end, value))

    return Interval(value, edge(1), edge(-1))


def paired_means(finetune: np.ndarray, baseline: np.ndarray, counts: np.ndarray) -> PairedGap:
    """`paired_gap` for scores that are not 0/1: interval and p-value are both the bootstrap's (two-sided)."""
    gap = np.asarray(finetune, dtype=np.float32) - np.asarray(baseline, dtype=np.float32)
    means = mean_statistic(gap)(counts)
    tail = min(float((means <= 0).mean()), float((means >= 0).mean()))
    p = min(1.0, 2 * max(tail, 1 / len(means)))
    return PairedGap(bootstrap(counts, mean_statistic(gap)), p, int((gap > 0).sum()), int((gap < 0).sum()))


def rows_to_settle(difference: float, disagreement: float) -> int | None:
    """Test rows that McNemar's test needs to detect `difference` with 80% power at 5%; None without a difference.

    `disagreement` is the share of rows on which exactly one system is right (Connor 1987).
    """
    if abs(difference) < 1e-9 or disagreement <= 0:
        return None
    spread = max(disagreement - difference**2, 0.0)
    root = Z95 * np.sqrt(disagreement) + 0.841621 * np.sqrt(spread)
    return int(np.ceil((root / difference) ** 2))


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (ECE): mean gap of confidence and accuracy over equal-width bins."""
    edges = np.clip((np.asarray(confidence) * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(confidence[edges == b].mean() - right[edges == b].mean()) * (edges == b).mean()
        for b in np.unique(edges)
    ]
    return float(sum(gaps))


def difference_in_points(against: str, gap: PairedGap, rows: int) -> Difference:
    """The report's difference, in percentage points, on so many rows."""
    points, low, high = (
        100 * value for value in (gap.difference.value, gap.difference.low, gap.difference.high)
    )
    disagree = (gap.only_tuned + gap.only_baseline) / max(rows, 1)
    return Difference(against, points, low, high, gap.p, rows, gap.only_tuned, gap.only_baseline, disagree)
