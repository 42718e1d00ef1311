"""Predicts the cost of measuring a sample, in seconds of work, from a smaller sample's cost. Pure."""

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
class SampleShape:
    """The numbers of training, validation and test rows of a sample, of folds, and of trainings per method."""

    train: int
    dev: int
    test: int
    folds: int
    trainings: Mapping[str, int]

    @classmethod
    def of(cls, rows: int) -> SampleShape:
        """The shape of a sample of `rows` rows, as finetune/data/split.py splits it."""
        if rows < SMALL * MIN_TEST_ROWS:
            test = rows // SPLIT_FOLDS
            return cls(rows - test, 0, test, SPLIT_FOLDS, {LOGISTIC: SPLIT_FOLDS, WORDS_SVM: SPLIT_FOLDS})
        test = min(max(MIN_TEST_ROWS, round(TEST_SHARE * rows)), MAX_TEST_ROWS)
        dev = min(round(DEV_SHARE * (rows - test)), MAX_DEV_ROWS)
        validation = VALIDATION_FOLDS if dev < FEW_VALIDATION_ROWS else 0
        trainings = {LOGISTIC: 1 + validation, WORDS_SVM: len(STRENGTHS) + 1 + validation}
        return cls(rows - test - dev, dev, test, 1, trainings)


@dataclass(frozen=True)
class SampleCost:
    """The measured cost of `rows` rows and their classes: `fits` is one training of each method.

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
        """Seconds of one training of a method on a sample of this size."""
        times = rows / self.rows
        return self.fits.get(method, 0.0) * min(times, times**STEEPNESS) * max(1.0, classes / self.classes)

    def scores_s(self, method: str, rows: int, classes: int) -> float:
        """Seconds of all trainings that a method's scores need."""
        return SampleShape.of(rows).trainings.get(method, 0) * self.fit_s(method, rows, classes)

    def sample_s(self, rows: int, classes: int) -> float:
        """Seconds to split, embed and score a sample."""
        scores = sum(self.scores_s(method, rows, classes) for method in self.fits)
        return rows * self.per_row + self.around * rows / self.rows + scores

    def curve_s(self, rows: int, classes: int) -> float:
        """The learning curve of the dearest method."""
        shape = SampleShape.of(rows)
        dearest = max(self.fit_s(method, rows, classes) for method in self.fits)
        return shape.folds * dearest * curve_work(shape.train)

    def pilot_s(self, rows: int) -> float:
        """Seconds of the smallest useful pilot."""
        shape = SampleShape.of(rows)
        return cheapest_pilot_s(shape.train, shape.dev, shape.test, self.tuned_per_row)
