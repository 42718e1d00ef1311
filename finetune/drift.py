"""Whether the held-out tickets, where they are newer, differ from those that were trained on; pure."""

from __future__ import annotations

import numpy as np

from finetune.evaluation.sample import Sample

CERTAIN = 2.58  # standard errors (99%)
LEAST_DROP = 0.03
LEAST_SHIFT = 0.10
DRIFT = "The tickets drift"  # how the warning begins that the headline repeats


def newer_test(sample: Sample) -> bool:
    """Whether every dated held-out ticket is at least as new as every dated training ticket."""
    fold = sample.folds[0]
    dates = [[when for i in side if (when := sample.rows[i].created_at)] for side in (fold.train, fold.test)]
    return sample.one_split and all(dates) and max(dates[0]) <= min(dates[1])


def drift_warnings(sample: Sample, dev: float | None, test: float) -> list[str]:
    """Warnings from a lower score on newer tickets, and from classes that changed their share."""
    if not newer_test(sample):
        return []
    found, fold = [], sample.folds[0]
    if dev is not None and len(fold.dev) >= 30:
        middle = (dev * len(fold.dev) + test * len(fold.test)) / (len(fold.dev) + len(fold.test))
        error = np.sqrt(middle * (1 - middle) * (1 / len(fold.dev) + 1 / len(fold.test)))
        if dev - test > max(LEAST_DROP, CERTAIN * error):
            found.append(
                f"{DRIFT}: on the latest ones the score is {100 * test:.1f}%, on older ones "
                f"{100 * dev:.1f}%. Expect it to fall further with time: retrain often, or train on "
                "recent tickets."
            )
    shift, usual = mix_shift(sample.labels[fold.train], sample.labels[fold.test], len(sample.names))
    if shift > max(LEAST_SHIFT, usual):
        found.append(
            f"The mix of classes changed: {100 * shift:.0f}% of the latest tickets would have to move to "
            "another "
            "class to look like the training tickets."
        )
    return found


def mix_shift(train: np.ndarray, test: np.ndarray, classes: int, seed: int = 0) -> tuple[float, float]:
    """Total variation between the class shares of two sides, and the 99th percentile that chance gives."""
    rng = np.random.default_rng(seed)
    both = np.concatenate([train, test])

    def distance(order: np.ndarray) -> float:
        first, second = (np.bincount(part, minlength=classes) for part in np.split(order, [len(train)]))
        return 0.5 * float(np.abs(first / len(train) - second / len(test)).sum())

    chance = [distance(rng.permutation(both)) for _ in range(200)]
    return distance(both), float(np.quantile(chance, 0.99))
