"""The learning curve of a run: what the cheap system scores with an eighth of the tickets up to all.

Of triage that is the classifier on frozen embeddings, of reply the nearest past answer. Every slice is a prefix of
one shuffled order, so larger slices hold the smaller ones; embeddings are those that the run has made already, so the
curve costs less than one more fit of that system. The tuned model is one point beside it, with all tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.evaluation.baselines import logistic, most_similar
from finetune.evaluation.metrics import chrf, score
from finetune.evaluation.statistics import bootstrap, mean_statistic, resample_counts

PARTS = (8, 4, 2, 1)
LEAST_ROWS = 16
WORTH = 0.01  # points (as a share) of the last doubling from which on more tickets may help


def learning_curve(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: int,
    seed: int,
    known: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """[{"rows", "accuracy": {value, low, high}}] by growing rows; scores are shares with 95% intervals.

    `train` and `test` are unit embeddings (rows, dim) with their class numbers (rows,).
    `known` is that classifier's accuracy with all rows, where the run has measured it. Slices under LEAST_ROWS or of one class are left out.
    """
    (vectors, labels), (asked, truth) = train, test
    order = np.random.default_rng([seed, 5]).permutation(len(labels))
    counts = resample_counts(len(truth), seed)
    curve = []
    for part in PARTS:
        chosen = order[: len(order) // part]
        if len(chosen) < LEAST_ROWS or len(np.unique(labels[chosen])) < 2:
            continue
        if part == 1 and known is not None:
            curve.append({"rows": len(chosen), "accuracy": known})
            continue
        guess = logistic(vectors[chosen], labels[chosen], asked, classes)
        told = score(guess, truth, classes, counts)
        curve.append({"rows": len(chosen), "accuracy": told["accuracy"]})
    return curve


def answer_curve(
    vectors: tuple[np.ndarray, np.ndarray],
    past: Sequence[str],
    real: Sequence[str],
    seed: int,
    known: dict[str, Any],
) -> list[dict[str, Any]]:
    """[{"rows", "chrf": {value, low, high}}]: how like the real answers the nearest past one is, by growing rows.

    `vectors` are unit embeddings of the past and of the test tickets, `past` and `real` their answers; `known` is the
    score with all rows.
    """
    before, now = vectors
    order = np.random.default_rng([seed, 5]).permutation(len(past))
    counts = resample_counts(len(real), seed)
    curve = []
    for part in PARTS[:-1]:
        chosen = order[: len(order) // part]
        if len(chosen) < LEAST_ROWS:
            continue
        written = [past[chosen[near]] for near in most_similar(before[chosen], now)]
        likeness = bootstrap(counts, mean_statistic(chrf(written, real)))
        curve.append({"rows": len(chosen), "chrf": likeness.to_json()})
    return [*curve, {"rows": len(past), "chrf": known}]


def last_doubling(curve: Sequence[dict[str, Any]]) -> str:
    """What twice the tickets brought last, one draw on these held-out rows; "" without two points."""
    return _doubled(
        *(curve, "accuracy", "the cheap classifier {} points", "More tickets may help"),
        "a measurement forecasts what more would bring",
    )


def last_answers(curve: Sequence[dict[str, Any]]) -> str:
    """The same of replies: what twice the past answers to copy from brought; "" without two points."""
    return _doubled(
        *(curve, "chrf", "the nearest past answer {} points of likeness (chrF)"),
        *("More past answers may help it", "the trained model is measured with all tickets only"),
    )


def _doubled(curve: Sequence[dict[str, Any]], measure: str, brought: str, hope: str, beyond: str) -> str:
    """The curve's last two points in words; `brought` has a place for the points."""
    if len(curve) < 2:
        return ""
    half, full = curve[-2:]
    gain = full[measure]["value"] - half[measure]["value"]
    ahead = hope if gain >= WORTH else "That doubling shows no gain"
    points = brought.format(f"{100 * gain:+.1f}")
    return (
        f"Learning curve: {half['rows']:,} to {full['rows']:,} tickets brought {points}. {ahead}; {beyond}."
    )
