"""How many rows a measurement takes: as many as its time allows, by what smaller samples of the same rows have cost.

A probe of some texts is embedded and trained on, then samples that grow are cut, embedded and scored for real. What a
larger one would cost follows from its rows, classes and trainings; the largest that fits is the measurement's. One that
takes longer than expected is given up for the one before it. Sizes come in few steps, each half of the one before, so
that noise in the clock seldom moves them.
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
from finetune.measurement.costs import Cost, Shape
from finetune.measurement.pilot import RECIPE
from finetune.methods.linear import STRENGTHS
from finetune.progress import Progress
from finetune.training.embedding import open_embedder

MAX_ROWS = 20_000  # of more, a sample is measured and the rest is forecast: no pilot tells of larger ones
MIN_ROWS = 150  # halving ends here
WHOLE_AT_ONCE, FIRST_ROWS = 2_500, 1_250  # up to so many rows all are tried first; of more, so many
LARGEST_PART = 0.75  # of all rows: a sample of nearly all spares nothing
GROWTH = 4  # times the rows of a sample: costs are foreseen no further
PROBE_ROWS, PROBE_PARTS, WARM_UP = (
    768,
    4,
    16,
)  # parts that fill batches: 48 questions took twice as long each as 600
TRIAL_ROWS = 192  # of the probe's rows, those that the cheap methods are tried on
PROBE_SHARE = 0.04  # of the time allowed
SCORES_FIRST = 625  # rows up to which the sample's own size counts for more than a pilot on it
PLANNED = 0.8  # share of the time allowed that is planned; the rest is for what took longer
UNSURE_PACE = 1.3  # how much longer than the one before a training of the curve may take
MIN_CURVE = 0.35  # share of a curve that a sample must leave time for


class OutOfTime(FinetuneError):
    """A sample takes longer than the time that is left."""


@dataclass(frozen=True)
class Trial:
    """A sample that was scored: its cheap methods, their answers, the best of the trained ones, and what it cost.

    `reason` says why these rows and no more, "" where all are measured.
    """

    sample: Sample
    cheap: CheapMethods
    ladder: list[Predictions]
    baseline: Predictions
    cost: Cost
    reason: str = ""

    @property
    def rows(self) -> int:
        return len(self.sample.rows)

    @property
    def fit_s(self) -> float:
        """One training of the best trained method on every fold."""
        return Shape.of(self.rows).folds * self.cost.fits.get(self.baseline.name, 0.0)


@dataclass(frozen=True)
class Lab:
    """What samples are embedded and timed with, and where embeddings are kept."""

    embed: Embed
    progress: Progress
    folder: Path
    budget: Budget
    encoder: str = MINILM


@dataclass
class Sizing:
    """The search for the sample: `numbers` are the places of the labelled rows, `labels` their class numbers."""

    rows: Sequence[Ticket]
    numbers: np.ndarray
    labels: np.ndarray
    seed: int
    metric: str
    lab: Lab
    _cost_so_far: float = field(
        default=0.0, init=False
    )  # as if nothing had been embedded before: another run goes alike
    _embedding: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._order = np.random.default_rng(self.seed).permutation(len(self.numbers))

    def trial(self) -> Trial:
        """The largest sample that can be measured in the time allowed, scored."""
        trial, given_up = self._first_trial(self._probe()), 0
        while size := self._next(trial):
            try:
                trial = self._score(size, trial.cost, trial)
            except OutOfTime:
                given_up = size
                break
        return self._with_reason(trial, given_up)

    def _first_trial(self, cost: Cost) -> Trial:
        """The first sample, or the next larger one where its split has too few classes; TrainingDataError where all rows have."""
        first, sizes = self._first(cost), self._sizes()
        for size in [one for one in sizes if first <= one < sizes[-1]]:
            with suppress(TrainingDataError):
                return self._score(size, cost, None)
        return self._score(sizes[-1], cost, None)

    def _with_reason(self, trial: Trial, given_up: int) -> Trial:
        total = len(self.numbers)
        if trial.rows == total:
            return trial
        time = f"the {self.lab.budget.allowed_s:,.0f} seconds of work allowed"
        why = (
            f"{given_up:,} turned out to take longer than {time}"
            if given_up
            else f"at most {MAX_ROWS:,} are"
            if trial.rows == MAX_ROWS
            else f"more would take longer than {time}"
        )
        reason = f"Measured on a random sample of {trial.rows:,} of the {total:,} tickets ({why}); the rest is forecast."
        self.lab.progress.note(reason)
        return Trial(trial.sample, trial.cheap, trial.ladder, trial.baseline, trial.cost, reason)

    def _sizes(self) -> list[int]:
        """The sizes that a sample may have, smallest first; all rows where they are few enough."""
        total, halves = len(self.numbers), [MAX_ROWS]
        while halves[-1] // 2 >= MIN_ROWS:
            halves.append(halves[-1] // 2)
        smaller = [size for size in halves if size <= LARGEST_PART * total or size == MAX_ROWS < total]
        return sorted(smaller + ([total] if total <= MAX_ROWS else []))

    def _classes(self, rows: int) -> int:
        return len(np.unique(self.labels[self._order[:rows]]))

    def _probe(self) -> Cost:
        """The first costs, from as many texts as a small share of the time allows."""
        budget = self.lab.budget
        places = self._order[: max(TRIAL_ROWS, min(PROBE_ROWS, len(self.numbers) // 2))]
        texts = [self.rows[int(self.numbers[at])].text for at in places]
        per_row, vectors = pace_of(texts, self.lab.embed, budget)
        tuned_per_row = per_row
        if self.lab.encoder != RECIPE.base_model:
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
        return Cost(count, int(labels.max()) + 1, fits, 0.0, per_row, tuned_per_row)

    def _first(self, cost: Cost) -> int:
        """The largest first sample that fits with all that follows, by the probe; else the smallest there is."""
        total = len(self.numbers)
        most = total if total <= WHOLE_AT_ONCE else FIRST_ROWS
        sizes = [size for size in self._sizes() if size <= most]
        return max((size for size in sizes if self._fits(cost, size)), default=sizes[0])

    def _next(self, trial: Trial) -> int:
        """The largest further sample that fits with all that follows on it; 0 where there is none."""
        sizes = [size for size in self._sizes() if trial.rows < size <= GROWTH * trial.rows]
        return max((size for size in sizes if self._fits(trial.cost, size)), default=0)

    def _fits(self, cost: Cost, size: int) -> bool:
        budget, classes = self.lab.budget, self._classes(size)
        seconds = cost.sample_s(size, classes) + cost.curve_s(size, classes)
        seconds += cost.pilot_s(size) if size > SCORES_FIRST else 0.0
        cost_so_far = max(self._cost_so_far, budget.allowed_s - budget.remaining_s(0.0))
        return cost_so_far + seconds <= PLANNED * budget.allowed_s

    def _score(self, size: int, cost: Cost, before: Trial | None) -> Trial:
        """Cut, embed and score so many rows. Raises OutOfTime where there is a trial before and this one takes too long."""
        lab, clock = self.lab, self.lab.budget.clock
        places = self.numbers[np.sort(self._order[:size])]
        rows = [self.rows[int(at)] for at in places]
        began, self._embedding = clock(), 0.0
        sample = cut_rows(
            rows,
            self.seed,
            self._embed,
            lab.progress,
            lab.folder,
            len(self.numbers),
            cost.per_row,
            lab.encoder,
        )
        cut_s = clock() - began - self._embedding
        cheap = CheapMethods(sample)
        watch = LadderWatch(cost, size, len(sample.names), lab.budget, may_stop=before is not None)
        ladder, baseline = baselines.score_baselines(sample, cheap, self.metric, lab.progress, watch)
        watch.end()
        began = clock()
        score_system(ladder[-1], sample.truth, len(sample.names))
        around = cut_s + len(ladder) * (clock() - began)
        fits = {method: watch.seconds[method] / count for method, count in _trainings(cheap).items()}
        self._cost_so_far += size * cost.per_row + around + sum(watch.seconds.values())
        own = Cost(size, len(sample.names), fits, around, cost.per_row, cost.tuned_per_row)
        return Trial(sample, cheap, ladder, baseline, own)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        began = self.lab.budget.clock()
        vectors = self.lab.embed(texts)
        self._embedding += self.lab.budget.clock() - began
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


class LadderWatch:
    """Called before each cheap method is trained: takes the time of each, and stops a sample that takes too long."""

    def __init__(self, cost: Cost, rows: int, classes: int, budget: Budget, may_stop: bool) -> None:
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
        """How many times longer the trained methods took so far than was foreseen; 1 at least."""
        foreseen = sum(self._cost.scores_s(name, self._rows, self._classes) for name in self.seconds)
        seconds = sum(seconds for name, seconds in self.seconds.items() if name in self._cost.fits)
        return max(1.0, seconds / foreseen) if foreseen > 0 else 1.0


def _trainings(cheap: CheapMethods) -> dict[str, int]:
    """How often each trained method was trained for its scores."""
    folds, validation = len(cheap.sample.folds), len(cheap.validation_folds)
    if cheap.sample.one_split and validation == 1:
        return {LOGISTIC: 1, WORDS_SVM: len(STRENGTHS) + 1}
    own = len(STRENGTHS) + 1 if cheap.sample.one_split and len(cheap.sample.once.dev) else folds
    return {LOGISTIC: folds + validation, WORDS_SVM: own + validation}


def find_sample(
    rows: Sequence[Ticket], labels: Sequence[str | None], seed: int, metric: str, lab: Lab
) -> Trial:
    """The sample of the labelled rows that the time allows, scored; `labels` has one entry a row, None without one."""
    numbers = np.array([at for at, label in enumerate(labels) if label is not None], dtype=np.int64)
    index: dict[str, int] = {}
    classes = np.array([index.setdefault(str(labels[at]), len(index)) for at in numbers], dtype=np.int64)
    return Sizing(rows, numbers, classes, seed, metric, lab).trial()


class CurveWatch:
    """Asked before each training of the curve whether it can be afforded; counts those that cannot."""

    def __init__(self, trial: Trial, budget: Budget) -> None:
        self._rows, self._fit_s, self._budget = trial.sample.train_rows, trial.fit_s, budget
        self._pace, self._began, self._under_way = 1.0, 0.0, 0.0
        self.left_out = 0

    def __call__(self, size: int) -> bool:
        """Whether a training on so many rows ends in time, by the pace of the one before."""
        now = self._budget.clock()
        if self._under_way > 0:
            self._pace = (now - self._began) / self._under_way
        foreseen = self._fit_s * size / self._rows
        if UNSURE_PACE * self._pace * foreseen > self._budget.left_for_scores:
            self._under_way, self.left_out = 0.0, self.left_out + 1
            return False
        self._began, self._under_way = now, foreseen
        return True
