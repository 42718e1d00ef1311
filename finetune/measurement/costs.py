"""What a sample costs to measure, in seconds of work: from what a smaller one has cost, its rows, classes and trainings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.data.split import DEV_SHARE, MAX_DEV_ROWS, MAX_TEST_ROWS, SMALL, TEST_SHARE
from finetune.data.split import FOLDS as SPLIT_FOLDS
from finetune.evaluation.baselines import FEW_VALIDATION_ROWS, LOGISTIC, VALIDATION_FOLDS, WORDS_SVM
from finetune.evaluation.learning_curve import curve_work
from finetune.measurement.pilot import cheapest_pilot_s
from finetune.methods.linear import STRENGTHS

MIN_TEST_ROWS = 200  # held-out rows (finetune/data/split.py: split)
STEEPNESS = 1.2  # a training's cost grows with this power of its rows


@dataclass(frozen=True)
class Shape:
    """How many rows of a sample train, choose and test, in how many folds, and how often each method is trained."""

    train: int
    dev: int
    test: int
    folds: int
    trainings: Mapping[str, int]

    @classmethod
    def of(cls, rows: int) -> Shape:
        """The shape of a sample of so many rows, as finetune/data/split.py cuts it."""
        if rows < SMALL * MIN_TEST_ROWS:
            test = rows // SPLIT_FOLDS
            return cls(rows - test, 0, test, SPLIT_FOLDS, {LOGISTIC: SPLIT_FOLDS, WORDS_SVM: SPLIT_FOLDS})
        test = min(max(MIN_TEST_ROWS, round(TEST_SHARE * rows)), MAX_TEST_ROWS)
        dev = min(round(DEV_SHARE * (rows - test)), MAX_DEV_ROWS)
        validation = VALIDATION_FOLDS if dev < FEW_VALIDATION_ROWS else 0
        trainings = {LOGISTIC: 1 + validation, WORDS_SVM: len(STRENGTHS) + 1 + validation}
        return cls(rows - test - dev, dev, test, 1, trainings)


@dataclass(frozen=True)
class Cost:
    """What was paid for `rows` of so many classes: `fits` is one training of each method.

    `around` is for cutting the rows and scoring the answers, `per_row` for embedding a row, `tuned_per_row` for passing one
    through the network that a pilot tunes, which is another one where the rows are not English.
    """

    rows: int
    classes: int
    fits: Mapping[str, float]
    around: float
    per_row: float
    tuned_per_row: float

    def fit_s(self, method: str, rows: int, classes: int) -> float:
        """One training of a method on a sample of so many rows and classes."""
        times = rows / self.rows
        return self.fits.get(method, 0.0) * min(times, times**STEEPNESS) * max(1.0, classes / self.classes)

    def scores_s(self, method: str, rows: int, classes: int) -> float:
        """All trainings of a method that its scores take."""
        return Shape.of(rows).trainings.get(method, 0) * self.fit_s(method, rows, classes)

    def sample_s(self, rows: int, classes: int) -> float:
        """Cutting, embedding and scoring a sample."""
        scores = sum(self.scores_s(method, rows, classes) for method in self.fits)
        return rows * self.per_row + self.around * rows / self.rows + scores

    def curve_s(self, rows: int, classes: int) -> float:
        """The learning curve of the dearest method."""
        shape = Shape.of(rows)
        dearest = max(self.fit_s(method, rows, classes) for method in self.fits)
        return shape.folds * dearest * curve_work(shape.train)

    def pilot_s(self, rows: int) -> float:
        """The least pilot that tells something."""
        shape = Shape.of(rows)
        return cheapest_pilot_s(shape.train, shape.dev, shape.test, self.tuned_per_row)
