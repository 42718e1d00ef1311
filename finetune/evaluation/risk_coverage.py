"""The share of tickets that a system can answer alone at an error rate: the most confident ones.

Source: El-Yaniv and Wiener, Journal of Machine Learning Research 2010 (risk-coverage). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.evaluation.statistics import Interval, resample_counts

RESAMPLES = 500
ERROR_RATES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2)
"""The error rates that a report evaluates."""


def automatic_share(confidence: np.ndarray, right: np.ndarray, error_rate: float) -> Interval:
    """The largest share of held-out rows, most confident first, of which at most `error_rate` are wrong.

    The 95% interval resamples the rows and looks for the share anew in each resample. Rows of equal confidence are
    answered together or not at all.
    """
    return _shares(confidence, right, (error_rate,))[0]


def automatic_shares(confidence: np.ndarray, right: np.ndarray) -> dict[str, Interval]:
    """`automatic_share` by error rate ("0.05"), for every one of ERROR_RATES."""
    shares = _shares(confidence, right, ERROR_RATES)
    return {f"{rate:g}": share for rate, share in zip(ERROR_RATES, shares, strict=True)}


def _shares(confidence: np.ndarray, right: np.ndarray, rates: Sequence[float]) -> list[Interval]:
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.diff(confidence[order]) != 0, True)  # a threshold cannot part equal confidences
    wrong = ~np.asarray(right, dtype=bool)[order]
    draws = resample_counts(len(order), seed=0, resamples=RESAMPLES)[:, order]
    counts = np.vstack([np.ones((1, len(order)), np.float32), draws])
    sizes, mistakes = np.cumsum(counts, axis=1), np.cumsum(counts * wrong, axis=1)
    intervals = []
    for rate in rates:
        within = (mistakes <= rate * sizes + 1e-6) & ends
        shares = np.where(within, sizes, 0.0).max(axis=1) / len(order)
        low, high = np.percentile(shares[1:], [2.5, 97.5])
        intervals.append(Interval(float(shares[0]), float(min(low, shares[0])), float(max(high, shares[0]))))
    return intervals


def rate_at_most(error_rate: float) -> str:
    """The largest of ERROR_RATES that is not above the one named; the smallest where all are."""
    return f"{max((rate for rate in ERROR_RATES if rate <= error_rate + 1e-9), default=ERROR_RATES[0]):g}"
