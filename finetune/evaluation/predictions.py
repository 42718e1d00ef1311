"""One system's predictions on held-out rows, and its scores; shared by measurements and fine-tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from finetune.evaluation.risk_coverage import automatic_shares
from finetune.evaluation.statistics import (
    Interval,
    bootstrap,
    calibration_error,
    macro_f1_statistic,
    mean_statistic,
    resample_counts,
)
from finetune.reports.parts import SystemLine

METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Predictions:
    """One system's class number per held-out row (-1: no answer), and probabilities (rows, classes) if it has them.

    `rows` are the row numbers of its predictions, where these are not all held-out ones. `choosing_score` is its score
    on the validation rows, which selects between systems.
    """

    name: str
    role: str  # floor | lookup | trained | prompt | tuned
    labels: np.ndarray
    seconds: float
    probabilities: np.ndarray | None = None
    choosing_score: float | None = None
    rows: np.ndarray | None = None
    calls: int = 0
    usd: float = 0.0

    def at(self, places: np.ndarray) -> Predictions:
        """The same predictions on some of their rows, by index."""
        likely = None if self.probabilities is None else self.probabilities[places]
        return replace(self, labels=self.labels[places], probabilities=likely)


@dataclass(frozen=True)
class SystemScore:
    """One line of a table of alternatives: scores are shares of one with 95% intervals."""

    name: str
    role: str
    accuracy: Interval
    macro_f1: Interval
    seconds: float
    choosing_score: float | None = None
    calibration_error: float | None = None
    rows: int | None = None  # number of rows, where not all
    calls: int = 0
    usd: float = 0.0
    automatic: Mapping[str, Interval] = field(default_factory=dict)  # share answered, by error rate

    def score(self, metric: str) -> Interval:
        """Its accuracy or macro-F1."""
        return self.macro_f1 if metric == "macro_f1" else self.accuracy

    @property
    def line(self) -> SystemLine:
        """The system's line in a report."""
        return SystemLine(
            self.name,
            self.role,
            {"accuracy": self.accuracy.score, "macro_f1": self.macro_f1.score},
            self.seconds,
            self.usd,
            self.rows,
            prompt=self.rows is not None,
            calls=None if self.rows is None else self.calls,
            choosing_score=self.choosing_score,
            ece=self.calibration_error,
            automatic={rate: share.score for rate, share in self.automatic.items()},
        )

    @classmethod
    def of(cls, line: SystemLine) -> SystemScore:
        """The scores in a report's line; ValueError or KeyError where it has no accuracy with its interval."""
        accuracy = line.scores["accuracy"].interval
        f1 = line.scores.get("macro_f1")
        return cls(
            line.name,
            line.role,
            accuracy,
            f1.interval if f1 is not None else accuracy,
            line.seconds,
            line.choosing_score,
            line.ece,
            line.rows,
            line.calls or 0,
            line.usd,
            {rate: share.interval for rate, share in line.automatic.items()},
        )


def score_system(predictions: Predictions, truth: np.ndarray, classes: int) -> SystemScore:
    """The scores against `truth`; a missing answer counts as wrong."""
    counts = resample_counts(len(truth), seed=0)
    right = predictions.labels == truth
    labels = np.where(predictions.labels < 0, (truth + 1) % classes, predictions.labels)
    likely = predictions.probabilities
    sure = None if likely is None else likely.max(axis=1)
    return SystemScore(
        predictions.name,
        predictions.role,
        bootstrap(counts, mean_statistic(right)),
        bootstrap(counts, macro_f1_statistic(truth, labels, classes)),
        predictions.seconds,
        predictions.choosing_score,
        None if sure is None else calibration_error(sure, right),
        None if predictions.rows is None else len(predictions.rows),
        predictions.calls,
        predictions.usd,
        {} if sure is None else automatic_shares(sure, right),
    )


def score(truth: np.ndarray, labels: np.ndarray, metric: str, classes: int) -> float:
    """Accuracy or macro-F1 of class numbers, 0 to 1."""
    if metric == "accuracy":
        return float((truth == labels).mean())
    return float(macro_f1_statistic(truth, labels, classes)(np.ones((1, len(truth)), dtype=np.float32))[0])


def best_on_validation(systems: Sequence[Predictions], default: str) -> Predictions:
    """The system with the highest validation score; the one named `default` without validation rows.

    Held-out rows do not select it, so its held-out score is unbiased.
    """
    candidates = [system for system in systems if system.choosing_score is not None]
    if candidates:
        return max(candidates, key=lambda system: system.choosing_score or 0.0)
    return next(system for system in systems if system.name == default)
