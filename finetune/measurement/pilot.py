"""Trains a small fine-tune and the best cheap method on the same rows, to estimate a fine-tune's gain and cost.

Where the time allows, it is the fine-tune itself: all rows, the job's own recipe, the same score as the job. Else its gain over the cheap method is measured pair by pair on the held-out rows and carried over to more rows, shrunk by
the distance, since such gains shrink as rows are added (BANKING77: +0.6 points at 2,250 rows, +0.2 at 10,003;
training.md). A finished job on the same rows stands in its place: then nothing is trained again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.device import work_seconds
from finetune.evaluation.baselines import CheapMethods
from finetune.evaluation.forecast import Z90, ForecastPoint
from finetune.evaluation.predictions import Predictions, SystemScore, score_system
from finetune.evaluation.sample import Sample
from finetune.evaluation.statistics import (
    bootstrap,
    macro_f1_statistic,
    paired_gap,
    resample_counts,
)
from finetune.measurement.evidence import PILOT_TASK, Evidence
from finetune.methods import METHODS, PILOT
from finetune.progress import Progress
from finetune.reports.measurement import PilotPart
from finetune.reports.parts import Interval
from finetune.spec import Spec, defaults
from finetune.tasks.triage.data import on_holdout
from finetune.training.checks import PROBE_STEPS

RECIPE = defaults({"task": PILOT_TASK, "method": PILOT.name})
PILOT_FOLDER = "pilot"
EPOCHS = 3  # of a pilot that cannot be the whole fine-tune
MIN_ROWS, MAX_ROWS = 24, 4_000
PARTS = (1.0, 0.5, 0.25)  # of the rows it may see: few sizes, so that noise in the clock does not move it
STEP_COST = 4.6  # training a row for one epoch against embedding it once: 3.6 of 26 tokens, 5.3 of 256 (performance.md)
CHECKED_ROWS = 8 * PROBE_STEPS  # one batch is learned before training begins, to see that it can be
SHRINK, UNSURE = 0.4, 0.3  # the exponent by which the gain falls with rows, and its uncertainty
REACH = 4.2  # a gain is extrapolated up to this multiple of the pilot's rows
SAME_ROWS_FACTOR = (
    1.2  # a cross-validated cheap method learns from the validation rows too: still the same tickets
)
SEED_NOISE = 0.005  # seeds of one run differ by tenths of a point
DEV_ROWS = 300


@dataclass(frozen=True)
class Pilot:
    """The result of a pilot; `gain` is its score minus that of the cheap method `against` at `rows`, a share with 95% interval.

    `test` held-out rows; `job` is the earlier job that showed it, "" where the pilot was run now; `whole` says that
    it is the full training on all rows; `kept` that its model is there to use.
    """

    rows: int
    test: int
    epochs: int
    seconds: float
    score: SystemScore
    against: str
    gain: Interval
    job: str = ""
    whole: bool = False
    method: str = PILOT.name
    kept: bool = False

    @property
    def part(self) -> PilotPart:
        """The pilot as the report has it."""
        return PilotPart(
            self.rows,
            self.test,
            round(self.seconds, 1),
            self.score.line,
            self.against,
            self.gain,
            self.epochs,
            self.job,
            self.whole,
            self.method,
        )

    @property
    def name(self) -> str:
        """Its name in the table of alternatives."""
        if self.kept:
            return f"{self.score.name}, model of job {self.job}"
        return f"{METHODS[self.method].short_name} pilot on {self.rows:,} tickets" + (
            f", measurement {self.job}" if self.job else ""
        )


def pilot_of(evidence: Evidence) -> Pilot:
    """Uses an earlier job's model or an earlier measurement's pilot as the pilot."""
    return Pilot(
        evidence.rows,
        evidence.test,
        0,
        evidence.seconds,
        evidence.score,
        evidence.against,
        evidence.gain,
        evidence.job,
        evidence.whole or not evidence.pilot,
        evidence.method,
        not evidence.pilot,
    )


@dataclass(frozen=True)
class PilotPlan:
    """The rows, epochs and seconds of a pilot; `fits`: whether it fits the time that is left."""

    rows: int
    epochs: int
    seconds: float
    fits: bool


def plan_pilot(sample: Sample, allowed_s: float, row_s: float) -> PilotPlan | None:
    """The full fine-tune or the largest pilot that fits the time, else one on all rows that does not; None for too few rows.

    Counts seconds of this process's work, `row_s` for a row's pass through the network that is tuned.
    """
    once = sample.once
    plans = [
        PilotPlan(rows, epochs, seconds, seconds <= allowed_s)
        for rows, epochs in _sizes(len(once.train), sample.train_rows)
        for seconds in (_seconds(rows, epochs, len(once.dev), len(once.test), row_s),)
    ]
    if not plans:
        return None
    return next((plan for plan in plans if plan.fits), min(plans, key=lambda plan: (-plan.rows, plan.epochs)))


def cheapest_pilot_s(train: int, dev: int, test: int, row_s: float) -> float:
    """Seconds of work of the smallest useful pilot for this many rows; 0 where they are too few for one."""
    plans = (_seconds(*size, dev, test, row_s) for size in _sizes(train, train))
    return min(plans, default=0.0)


def _sizes(train: int, fold_rows: int) -> list[tuple[int, int]]:
    """The allowed rows and epochs of a pilot, enough to extrapolate its gain to all of the sample's rows."""
    most = min(MAX_ROWS, train)
    least = max(MIN_ROWS, round(fold_rows / REACH) if fold_rows <= MAX_ROWS * REACH else 0)
    sizes = [(round(most * part), EPOCHS) for part in PARTS]
    sizes = [(train, RECIPE.epochs), *sizes] if most == train else sizes
    return [size for size in sizes if size[0] >= least]


def _seconds(rows: int, epochs: int, dev: int, test: int, row_s: float) -> float:
    return training_s(rows, epochs, min(DEV_ROWS, dev), row_s) + row_s * test


def training_s(rows: int, epochs: int, dev: int, row_s: float) -> float:
    """Seconds of work of one training, by what one pass of a row takes: the check before it, its steps, the validation rows."""
    steps = STEP_COST * (rows * epochs + CHECKED_ROWS)
    return row_s * (rows + steps + epochs * dev)


@dataclass(frozen=True)
class PilotRun:
    """The inputs of a pilot: rows, epochs, the cheap method's predictions to compare with, metric, seed, folder."""

    rows: int
    epochs: int
    baseline: Predictions
    metric: str
    seed: int
    folder: Path


def run_pilot(sample: Sample, cheap: CheapMethods, run: PilotRun, progress: Progress) -> Pilot:
    """Train the pilot's method and the cheap one on the same rows of the same split; the model is discarded."""
    fold, began = sample.once, work_seconds()
    share = min(1.0, run.rows / len(fold.train))
    order = np.random.default_rng([run.seed, 99]).permutation(fold.train)
    train, dev = (fold.train, fold.dev) if share >= 1 else (order[: run.rows], _part(fold.dev, share))
    whole = share >= 1 and run.epochs >= RECIPE.epochs
    likely = _tuned_shares(sample, cheap, train, run, progress, whole)
    labels = np.asarray(likely.argmax(axis=1))
    seconds = work_seconds() - began
    truth, classes = sample.labels[fold.test], len(sample.names)
    against = run.baseline.name
    theirs = (
        on_holdout(sample, run.baseline).labels  # as the job's report compares, cross-validated or not
        if whole
        else cheap.predict_after(against, fold, train, dev, fold.test)
    )
    line = score_system(Predictions(PILOT.title, "tuned", labels, seconds, likely), truth, classes)
    gain = _gain(labels, theirs, truth, classes, run.metric)
    return Pilot(len(train), len(fold.test), run.epochs, seconds, line, against, gain, whole=whole)


def _part(rows: np.ndarray, share: float) -> np.ndarray:
    return rows[: round(share * len(rows))]


def _gain(ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, classes: int, metric: str) -> Interval:
    """The difference on the same rows with its 95% interval: Tango's for shares, the bootstrap's for macro-F1."""
    if metric == "accuracy":
        return paired_gap(ours == truth, theirs == truth).difference
    counts = resample_counts(len(truth), seed=0)
    first, second = (macro_f1_statistic(truth, labels, classes) for labels in (ours, theirs))
    return bootstrap(counts, lambda draws: first(draws) - second(draws))


def _tuned_shares(
    sample: Sample, cheap: CheapMethods, train: np.ndarray, run: PilotRun, progress: Progress, whole: bool
) -> np.ndarray:
    """Held-out probabilities (rows, all classes) by the pilot's method; the `whole` one is trained as a job trains it."""
    from finetune.tasks.triage.model import load_tuned, train_triage
    from finetune.tasks.triage.run import add_linear_half

    spec: Spec = replace(RECIPE, dataset="pilot", epochs=run.epochs, seed=run.seed)
    classes = np.unique(sample.labels[train])
    index = {label: at for at, label in enumerate(classes)}
    validation = [row for row in sample.once.dev if sample.labels[row] in index]
    validation = validation if whole else validation[:DEV_ROWS]
    place = run.folder / PILOT_FOLDER
    learning, dev = sample.part(train), sample.part(np.array(validation, dtype=int))
    train_side, dev_side = (
        replace(side, labels=np.array([index[label] for label in side.labels], dtype=int))
        for side in (learning, dev)
    )
    names = tuple(sample.names[label] for label in classes)
    train_triage(spec, train_side, dev_side, names, place, progress)
    if whole and spec.blend:
        add_linear_half(sample, cheap, place, progress)
    test = sample.part(sample.once.test)
    scores = load_tuned(place).probabilities(test.texts, progress.check)
    shutil.rmtree(place, ignore_errors=True)
    likely = np.zeros((len(test.texts), len(sample.names)), dtype=np.float32)
    likely[:, classes] = scores
    return likely


def within_reach(bases: Sequence[ForecastPoint | None], pilot: Pilot) -> tuple[ForecastPoint, ...]:
    """The fine-tune's scores at those `bases` that are within the pilot's reach."""
    return tuple(expected(base, pilot) for base in bases if base and base.rows <= REACH * pilot.rows)


def expected(base: ForecastPoint, pilot: Pilot) -> ForecastPoint:
    """The fine-tune's score at the rows of `base`, the cheap method's score there.

    A full training on just these rows was measured: its gain has no noise but the seed's on the same held-out rows,
    and on other tickets that of so many held-out rows.
    """
    times = max(1.0, base.rows / pilot.rows)
    exact = pilot.whole and times < SAME_ROWS_FACTOR
    share = 1.0 if exact else times**-SHRINK
    gain = share * pilot.gain.value
    paired_noise = 0.0 if exact else share * pilot.gain.half_width / 1.96
    noise = np.sqrt(paired_noise**2 + (0.0 if exact else UNSURE * pilot.gain.value) ** 2 + SEED_NOISE**2)
    narrow, wide = (
        (high - low) / 2 / Z90 for low, high in ((base.low, base.high), (base.wide_low, base.wide_high))
    )
    value = float(np.clip(base.value + gain, 0, 1))
    reach = [Z90 * float(np.hypot(sigma, noise)) for sigma in (narrow, wide)]
    low, high, wide_low, wide_high = (
        float(np.clip(value + sign * width, 0, 1)) for width in reach for sign in (-1, 1)
    )
    trust = "number" if times <= 2.1 else "band" if times <= REACH else "direction"
    return ForecastPoint(base.rows, float(times), value, low, high, wide_low, wide_high, trust)
