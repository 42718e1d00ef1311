"""Chooses the sample size of a measurement: the largest that its time allows, by the measured cost of smaller samples.

A probe of some texts is embedded and trained on first, then samples of growing size are cut, embedded and scored. The
cost of a larger one is predicted from its rows, classes and trainings; the largest that fits is used. One that takes
longer than predicted is dropped for the one before it. Sizes differ by factors of two, so that clock noise seldom
changes them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from finetune.catalog import MINILM
from finetune.data.ticket import Ticket
from finetune.errors import FinetuneError, TrainingDataError
from finetune.evaluation import baselines
from finetune.evaluation.baselines import LOGISTIC, ROLES, WORDS_SVM, CheapMethods
from finetune.evaluation.predictions import Predictions, score_system
from finetune.evaluation.sample import Embed, Sample, cut_rows
from finetune.measurement.budget import Budget
from finetune.measurement.costs import SampleCost, SampleShape
from finetune.measurement.pilot import RECIPE
from finetune.methods.linear import STRENGTHS
from finetune.progress import Progress
from finetune.training.embedding import open_embedder

MAX_ROWS = (
    20_000  # of more rows a sample is measured and the rest is forecast, as no pilot covers larger ones
)
MIN_ROWS = 150  # the smallest sample
WHOLE_AT_ONCE, FIRST_ROWS = (
    2_500,
    1_250,
)  # up to the first number all rows are tried first; above it, the second number of rows
LARGEST_PART = 0.75  # of all rows: a larger sample saves too little
GROWTH = 4  # the largest growth factor for which a cost is predicted
PROBE_ROWS, PROBE_PARTS, WARM_UP = (
    768,
    4,
    16,
)  # parts that fill batches: 48 questions took twice as long each as 600
TRIAL_ROWS = 192  # of the probe's rows, for timing the cheap methods
PROBE_SHARE = 0.04  # of the time allowed
SCORES_FIRST = 625  # up to this size a larger sample matters more than a pilot
PLANNED = 0.8  # share of the time that is planned; the rest is a reserve for overruns
UNSURE_PACE = 1.3  # factor by which a training of the curve may exceed the one before
MIN_CURVE = 0.35  # least share of a curve that the sample's time plan must include


class OutOfTime(FinetuneError):
    """A sample needs more time than is left."""


@dataclass(frozen=True)
class ScoredSample:
    """A scored sample: its cheap methods, their predictions, the best trained one, and its cost.

    `reason` says why no more rows are measured, "" where all are.
    """

    sample: Sample
    cheap: CheapMethods
    ladder: list[Predictions]
    baseline: Predictions
    cost: SampleCost
    reason: str = ""

    @property
    def rows(self) -> int:
        return len(self.sample.rows)

    @property
    def fit_s(self) -> float:
        """One training of the best trained method on every fold."""
        return SampleShape.of(self.rows).folds * self.cost.fits.get(self.baseline.name, 0.0)


@dataclass(frozen=True)
class Resources:
    """The embedder, progress, folder of cached embeddings and time budget for the samples."""

    embed: Embed
    progress: Progress
    folder: Path
    budget: Budget
    encoder: str = MINILM


@dataclass
class SampleSearch:
    """Searches the largest affordable sample: `numbers` are the indices of the labelled rows, `labels` their classes."""

    rows: Sequence[Ticket]
    numbers: np.ndarray
    labels: np.ndarray
    seed: int
    metric: str
    resources: Resources
    _cost_so_far: float = field(
        default=0.0, init=False
    )  # as if no embedding were cached, so that a second run chooses alike
    _embedding: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._order = np.random.default_rng(self.seed).permutation(len(self.numbers))

    def trial(self) -> ScoredSample:
        """The largest sample that can be measured in the time, with its scores."""
        trial, given_up = self._first_trial(self._probe()), 0
        while size := self._next(trial):
            try:
                trial = self._score(size, trial.cost, trial)
            except OutOfTime:
                given_up = size
                break
        return self._with_reason(trial, given_up)

    def _first_trial(self, cost: SampleCost) -> ScoredSample:
        """The first sample, or the next larger one where its split has too few classes; TrainingDataError where all rows have."""
        first, sizes = self._first(cost), self._sizes()
        for size in [one for one in sizes if first <= one < sizes[-1]]:
            with suppress(TrainingDataError):
                return self._score(size, cost, None)
        return self._score(sizes[-1], cost, None)

    def _with_reason(self, trial: ScoredSample, given_up: int) -> ScoredSample:
        total = len(self.numbers)
        if trial.rows == total:
            return trial
        time = f"the {self.resources.budget.allowed_s:,.0f} seconds of work allowed"
        why = (
            f"{given_up:,} turned out to take longer than {time}"
            if given_up
            else f"at most {MAX_ROWS:,} are"
            if trial.rows == MAX_ROWS
            else f"more would take longer than {time}"
        )
        reason = f"Measured on a random sample of {trial.rows:,} of the {total:,} tickets ({why}); the rest is forecast."
        self.resources.progress.note(reason)
        return ScoredSample(trial.sample, trial.cheap, trial.ladder, trial.baseline, trial.cost, reason)

    def _sizes(self) -> list[int]:
        """The sizes that a sample may have, smallest first; all rows where they are few enough."""
        total, halves = len(self.numbers), [MAX_ROWS]
        while halves[-1] // 2 >= MIN_ROWS:
            halves.append(halves[-1] // 2)
        smaller = [size for size in halves if size <= LARGEST_PART * total or size == MAX_ROWS < total]
        return sorted(smaller + ([total] if total <= MAX_ROWS else []))

    def _classes(self, rows: int) -> int:
        return len(np.unique(self.labels[self._order[:rows]]))

    def _probe(self) -> SampleCost:
        """The first costs, from as many texts as a small share of the time allows."""
        budget = self.resources.budget
        places = self._order[: max(TRIAL_ROWS, min(PROBE_ROWS, len(self.numbers) // 2))]
        texts = [self.rows[int(self.numbers[at])].text for at in places]
        per_row, vectors = pace_of(texts, self.resources.embed, budget)
        tuned_per_row = per_row
        if self.resources.encoder != RECIPE.base_model:
            tuned_per_row = pace_of(texts, open_embedder(RECIPE.base_model), budget)[0]
        count = min(TRIAL_ROWS, len(vectors))
        texts, vectors = texts[:count], vectors[:count]
        labels = np.unique(self.labels[places[:count]], return_inverse=True)[1]
        if not labels.any():  # one class so far, which nothing is trained on: any two tell the time
            labels = np.arange(len(labels)) % 2
        fits = {}
        for method, fit in baselines.trials(texts, vectors, labels).items():
            began = budget.clock()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # few rows of many classes: only timed
                fit()
            fits[method] = budget.clock() - began
        return SampleCost(count, int(labels.max()) + 1, fits, 0.0, per_row, tuned_per_row)

    def _first(self, cost: SampleCost) -> int:
        """The largest first sample that fits with all that follows, by the probe; else the smallest there is."""
        total = len(self.numbers)
        most = total if total <= WHOLE_AT_ONCE else FIRST_ROWS
        sizes = [size for size in self._sizes() if size <= most]
        return max((size for size in sizes if self._fits(cost, size)), default=sizes[0])

    def _next(self, trial: ScoredSample) -> int:
        """The largest further sample that fits with all that follows on it; 0 where there is none."""
        sizes = [size for size in self._sizes() if trial.rows < size <= GROWTH * trial.rows]
        return max((size for size in sizes if self._fits(trial.cost, size)), default=0)

    def _fits(self, cost: SampleCost, size: int) -> bool:
        budget, classes = self.resources.budget, self._classes(size)
        seconds = cost.sample_s(size, classes) + cost.curve_s(size, classes)
        seconds += cost.pilot_s(size) if size > SCORES_FIRST else 0.0
        cost_so_far = max(self._cost_so_far, budget.allowed_s - budget.remaining_s(0.0))
        return cost_so_far + seconds <= PLANNED * budget.allowed_s

    def _score(self, size: int, cost: SampleCost, before: ScoredSample | None) -> ScoredSample:
        """Cut, embed and score so many rows. Raises OutOfTime where there is a trial before and this one takes too long."""
        resources, clock = self.resources, self.resources.budget.clock
        places = self.numbers[np.sort(self._order[:size])]
        rows = [self.rows[int(at)] for at in places]
        began, self._embedding = clock(), 0.0
        sample = cut_rows(
            rows,
            self.seed,
            self._embed,
            resources.progress,
            resources.folder,
            len(self.numbers),
            cost.per_row,
            resources.encoder,
        )
        cut_s = clock() - began - self._embedding
        cheap = CheapMethods(sample)
        watch = BaselineProgress(cost, size, len(sample.names), resources.budget, may_stop=before is not None)
        ladder, baseline = baselines.score_baselines(sample, cheap, self.metric, resources.progress, watch)
        watch.end()
        began = clock()
        score_system(ladder[-1], sample.truth, len(sample.names))
        around = cut_s + len(ladder) * (clock() - began)
        fits = {method: watch.seconds[method] / count for method, count in _trainings(cheap).items()}
        self._cost_so_far += size * cost.per_row + around + sum(watch.seconds.values())
        own = SampleCost(size, len(sample.names), fits, around, cost.per_row, cost.tuned_per_row)
        return ScoredSample(sample, cheap, ladder, baseline, own)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        began = self.resources.budget.clock()
        vectors = self.resources.embed(texts)
        self._embedding += self.resources.budget.clock() - began
        return vectors


def pace_of(texts: Sequence[str], embed: Embed, budget: Budget) -> tuple[float, np.ndarray]:
    """Seconds of work for embedding a text, by as many of them as a small share of the time allows; their vectors."""
    embed(texts[:WARM_UP])  # the first call loads and warms up
    began = budget.clock()
    embed(texts[:WARM_UP])
    pace = (budget.clock() - began) / len(texts[:WARM_UP])
    most = max(WARM_UP, int(PROBE_SHARE * budget.allowed_s / max(pace, 1e-9)))
    return embedding_pace(texts[:most], embed, budget.clock)


def embedding_pace(
    texts: Sequence[str], embed: Embed, clock: Callable[[], float]
) -> tuple[float, np.ndarray]:
    """Seconds of work for embedding a text, of the fastest of a few parts with texts of like lengths; all vectors."""
    order = np.array(sorted(range(len(texts)), key=lambda at: len(texts[at])))
    count = PROBE_PARTS if len(texts) >= 8 * PROBE_PARTS else 1
    parts, paces, vectors = [order[at::count] for at in range(count)], [], []
    for part in parts:
        began = clock()
        vectors.append(embed([texts[at] for at in part]))
        paces.append((clock() - began) / len(part))
    place = np.argsort(np.concatenate(parts))
    return min(paces), np.concatenate(vectors)[place]


class BaselineProgress:
    """Called before each cheap method is trained: takes the time of each, and stops a sample that takes too long."""

    def __init__(self, cost: SampleCost, rows: int, classes: int, budget: Budget, may_stop: bool) -> None:
        self._cost, self._rows, self._classes = cost, rows, classes
        self._budget, self._may_stop = budget, may_stop
        self._method, self._began = "", budget.clock()
        self.seconds: dict[str, float] = {}

    def __call__(self, method: str) -> None:
        """The next method begins. Raises OutOfTime where the methods to come and a short curve would take too long."""
        self.end()
        self._method = method
        to_come = list(ROLES)[list(ROLES).index(method) :]
        scores = sum(self._cost.scores_s(name, self._rows, self._classes) for name in to_come)
        curve = MIN_CURVE * self._cost.curve_s(self._rows, self._classes)
        if self._may_stop and self._late() * (scores + curve) > self._budget.left_for_scores:
            raise OutOfTime(f"{self._rows:,} rows take too long.")

    def end(self) -> None:
        """The method that ran has ended."""
        now = self._budget.clock()
        if self._method:
            self.seconds[self._method] = now - self._began
        self._began = now

    def _late(self) -> float:
        """How many times longer the trained methods took so far than was predicted; 1 at least."""
        predicted = sum(self._cost.scores_s(name, self._rows, self._classes) for name in self.seconds)
        seconds = sum(seconds for name, seconds in self.seconds.items() if name in self._cost.fits)
        return max(1.0, seconds / predicted) if predicted > 0 else 1.0


def _trainings(cheap: CheapMethods) -> dict[str, int]:
    """How often each trained method was trained for its scores."""
    folds, validation = len(cheap.sample.folds), len(cheap.validation_folds)
    if cheap.sample.one_split and validation == 1:
        return {LOGISTIC: 1, WORDS_SVM: len(STRENGTHS) + 1}
    own = len(STRENGTHS) + 1 if cheap.sample.one_split and len(cheap.sample.once.dev) else folds
    return {LOGISTIC: folds + validation, WORDS_SVM: own + validation}


def find_sample(
    rows: Sequence[Ticket], labels: Sequence[str | None], seed: int, metric: str, resources: Resources
) -> ScoredSample:
    """The sample of the labelled rows that the time allows, scored; `labels` has one entry a row, None without one."""
    numbers = np.array([at for at, label in enumerate(labels) if label is not None], dtype=np.int64)
    index: dict[str, int] = {}
    classes = np.array([index.setdefault(str(labels[at]), len(index)) for at in numbers], dtype=np.int64)
    return SampleSearch(rows, numbers, classes, seed, metric, resources).trial()


class CurveProgress:
    """Asked before each training of the curve whether it can be afforded; counts those that cannot."""

    def __init__(self, trial: ScoredSample, budget: Budget) -> None:
        self._rows, self._fit_s, self._budget = trial.sample.train_rows, trial.fit_s, budget
        self._pace, self._began, self._under_way = 1.0, 0.0, 0.0
        self.left_out = 0

    def __call__(self, size: int) -> bool:
        """Whether a training on so many rows ends in time, by the pace of the one before."""
        now = self._budget.clock()
        if self._under_way > 0:
            self._pace = (now - self._began) / self._under_way
        predicted = self._fit_s * size / self._rows
        if UNSURE_PACE * self._pace * predicted > self._budget.left_for_scores:
            self._under_way, self.left_out = 0.0, self.left_out + 1
            return False
        self._began, self._under_way = now, predicted
        return True
