"""The learning curve of a triage run: what the cheap classifier scores with an eighth of the tickets up to all.

Every slice is a prefix of one shuffled order, so larger slices hold the smaller ones; embeddings are those that
the run has made already, so the curve costs less than one more fit of that classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.baselines import logistic
from finetune.evaluate import score
from finetune.intervals import resample_counts
from finetune.triage_data import Side

PARTS = (8, 4, 2, 1)
LEAST_ROWS = 16
WORTH = 0.01  # points (as a share) of the last doubling from which on more tickets may help


def learning_curve(
    train: Side, test: Side, classes: int, seed: int, known: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """[{"rows", "accuracy": {value, low, high}}] by growing rows; scores are shares with 95% intervals.

    `known` is that classifier's accuracy with all rows, where the run has measured it. Slices under LEAST_ROWS or of one class are left out.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(train.labels))
    counts = resample_counts(len(test.labels), seed)
    curve = []
    for part in PARTS:
        chosen = order[: len(order) // part]
        if len(chosen) < LEAST_ROWS or len(np.unique(train.labels[chosen])) < 2:
            continue
        if part == 1 and known is not None:
            curve.append({"rows": len(chosen), "accuracy": known})
            continue
        guess = logistic(train.embeddings[chosen], train.labels[chosen], test.embeddings, classes)
        told = score(guess, test.labels, classes, counts)
        curve.append({"rows": len(chosen), "accuracy": told["accuracy"]})
    return curve


def last_doubling(curve: Sequence[dict[str, Any]]) -> str:
    """What twice the tickets brought last, one draw on these held-out rows; "" without two points."""
    if len(curve) < 2:
        return ""
    half, full = curve[-2:]
    gain = full["accuracy"]["value"] - half["accuracy"]["value"]
    ahead = "More tickets may help" if gain >= WORTH else "That doubling shows no gain"
    return (
        f"Learning curve: {half['rows']:,} to {full['rows']:,} tickets brought the cheap classifier {100 * gain:+.1f} "
        f"points. {ahead}; a measurement forecasts what more would bring."
    )
