"""What training has to beat on the same rows: majority, nearest neighbour, linear on embeddings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from finetune.evaluation.sample import Fold, Sample
from finetune.evaluation.statistics import (
    Interval,
    bootstrap,
    macro_f1_statistic,
    mean_statistic,
    resample_counts,
)
from finetune.methods.linear import Words, fit_svm
from finetune.progress import Progress

MAJORITY = "Majority class"
NEAREST = "Nearest neighbour"
LOGISTIC = "Logistic regression on frozen embeddings"
REGULARISATION = 10.0  # best on BANKING77's dev rows; see training.md's table


@dataclass(frozen=True)
class Guesses:
    """One system's class number per row, and probabilities (rows, classes) where it has them."""

    name: str
    role: str
    predicted: np.ndarray
    seconds: float
    probabilities: np.ndarray | None = None
    weights: tuple[np.ndarray, np.ndarray] | None = None  # of a linear one: (classes, dim) and (classes,)


def majority(labels: np.ndarray, rows: int) -> Guesses:
    """Always the most frequent training class (the lowest number among equals)."""
    began = time.perf_counter()
    predicted = np.full(rows, int(np.bincount(labels).argmax()))
    return Guesses(MAJORITY, "baseline", predicted, time.perf_counter() - began)


def nearest(train: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Guesses:
    """The label of the most similar training row; all rows are unit embeddings."""
    began = time.perf_counter()
    predicted = labels[most_similar(train, rows)]
    return Guesses(NEAREST, "baseline", predicted, time.perf_counter() - began)


def most_similar(train: np.ndarray, rows: np.ndarray, block: int = 512) -> np.ndarray:
    """For each row the number of the training row with the highest cosine."""
    parts = [(rows[at : at + block] @ train.T).argmax(axis=1) for at in range(0, len(rows), block)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=int)


def logistic(train: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int) -> Guesses:
    """Multinomial logistic regression on frozen embeddings."""
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    model = LogisticRegression(C=REGULARISATION, max_iter=300).fit(train, labels)
    probabilities = np.zeros((len(rows), classes), dtype=np.float32)
    probabilities[:, model.classes_] = model.predict_proba(rows)
    weights = np.zeros((classes, train.shape[1])), np.full(classes, -1e4)
    two = len(model.classes_) == 2  # scikit-learn then keeps one row, the second class against the first
    weights[0][model.classes_] = np.vstack([0 * model.coef_, model.coef_]) if two else model.coef_
    weights[1][model.classes_] = np.append([0.0], model.intercept_) if two else model.intercept_
    seconds = time.perf_counter() - began
    return Guesses(LOGISTIC, "baseline", probabilities.argmax(axis=1), seconds, probabilities, weights)


def ladder(
    train: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int, embedding_seconds: float
) -> list[Guesses]:
    """The three baselines, each with the embedding time that it needs."""
    found: Sequence[Guesses] = (
        majority(labels, len(rows)),
        nearest(train, labels, rows),
        logistic(train, labels, rows, classes),
    )
    return [
        guess if guess.name == MAJORITY else replace(guess, seconds=guess.seconds + embedding_seconds)
        for guess in found
    ]


WORDS_SVM = "Linear SVM on words and embeddings"
STRENGTH = 0.5  # docs/performance: best on BANKING77's dev rows
METRICS = ("accuracy", "macro_f1")
ROLES = {MAJORITY: "floor", NEAREST: "lookup", LOGISTIC: "trained", WORDS_SVM: "trained"}


@dataclass(frozen=True)
class Rung:
    """One system: its answers for the held-out rows (-1: none), its scores and what it took."""

    name: str
    role: str  # floor | lookup | trained | prompt
    predicted: np.ndarray
    accuracy: Interval
    macro_f1: Interval
    seconds: float
    dev: float | None = None
    usd: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)
    asked: np.ndarray | None = None  # the held-out rows it answered, where it did not answer all

    def score(self, metric: str) -> Interval:
        return self.macro_f1 if metric == "macro_f1" else self.accuracy

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "role": self.role,
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "seconds": round(self.seconds, 3),
            "usd": round(self.usd, 4),
            **self.extra,
        }


class Linear:
    """Trains the cheap methods on any slice of a fold; word statistics are learned once per fold.

    They come from the fold's training texts alone, without labels.
    """

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.words: dict[int, Any] = {}

    def predict(self, method: str, fold: Fold, train: np.ndarray, ask: np.ndarray) -> np.ndarray:
        """Labels for the rows `ask` after training `method` on the rows `train`."""
        sample, labels = self.sample, self.sample.labels[train]
        if method == MAJORITY or len(np.unique(labels)) < 2:
            return majority(labels, len(ask)).predicted
        if method == NEAREST:
            return nearest(sample.features[train], labels, sample.features[ask]).predicted
        if method == LOGISTIC:
            rows = sample.features[ask]
            return logistic(sample.features[train], labels, rows, len(sample.names)).predicted
        matrix = self._matrix(fold)
        weights, bias = fit_svm(matrix[train], labels, len(sample.names), STRENGTH)
        return np.asarray((matrix[ask] @ weights.T + bias).argmax(axis=1))

    def _matrix(self, fold: Fold) -> Any:
        if id(fold) not in self.words:
            texts = self.sample.texts
            words = Words.learn([texts[i] for i in fold.train])
            self.words[id(fold)] = words(texts, self.sample.features)
        return self.words[id(fold)]


def score(truth: np.ndarray, predicted: np.ndarray, metric: str, classes: int) -> float:
    """Accuracy or macro-F1, 0..1."""
    if metric == "accuracy":
        return float((truth == predicted).mean())
    return float(macro_f1_statistic(truth, predicted, classes)(np.ones((1, len(truth)), dtype=np.float32))[0])


def rung(
    name: str, role: str, predicted: np.ndarray, truth: np.ndarray, classes: int, seconds: float
) -> Rung:
    """A Rung with bootstrap intervals; an answer of -1 (none) counts as wrong."""
    counts = resample_counts(len(truth), seed=0, resamples=1000)
    right = mean_statistic((predicted == truth).astype(np.float32))
    guessed = np.where(predicted < 0, (truth + 1) % classes, predicted)
    f1 = bootstrap(counts, macro_f1_statistic(truth, guessed, classes))
    return Rung(name, role, predicted, bootstrap(counts, right), f1, seconds)


def climb(sample: Sample, linear: Linear, metric: str, progress: Progress) -> tuple[list[Rung], str]:
    """The cheap rungs, and the name of the trained one that does best on the choosing rows.

    Without choosing rows it is logistic regression, the better of the two on few rows (training.md).
    """
    methods = [MAJORITY, NEAREST, LOGISTIC] + ([WORDS_SVM] if sample.one_split else [])
    rungs = []
    for number, method in enumerate(methods, 1):
        progress.check()
        rungs.append(_climb_one(sample, linear, method, metric))
        progress.step(number, len(methods), None, None)
    if not sample.one_split:
        return rungs, LOGISTIC
    trained = [made for made in rungs if made.role == "trained"]
    return rungs, max(trained, key=lambda made: made.dev or 0.0).name


def _climb_one(sample: Sample, linear: Linear, method: str, metric: str) -> Rung:
    began = time.perf_counter()
    parts, dev = [], None
    for fold in sample.folds:
        ask = np.concatenate([fold.dev, fold.test])
        predicted = linear.predict(method, fold, fold.train, ask)
        parts.append(predicted[len(fold.dev) :])
        if len(fold.dev):
            known = sample.labels[fold.dev]
            dev = score(known, predicted[: len(fold.dev)], metric, len(sample.names))
    seconds = (time.perf_counter() - began) / len(sample.folds)
    if method != MAJORITY:
        seconds += sample.embed_s_per_row * len(sample.rows)
    made = rung(method, ROLES[method], np.concatenate(parts), sample.truth, len(sample.names), seconds)
    return Rung(**{**vars(made), "dev": dev})


def learnable(predicted: np.ndarray, truth: np.ndarray, seed: int = 0, draws: int = 999) -> float:
    """The p-value of "these answers have nothing to do with the labels", by shuffling the answers."""
    rng = np.random.default_rng(seed)
    seen = int((predicted == truth).sum())
    as_good = sum(int((rng.permutation(predicted) == truth).sum()) >= seen for _ in range(draws))
    return (1 + as_good) / (1 + draws)


def weak_classes(sample: Sample, rungs: list[Rung], count: int = 5) -> tuple[str, ...]:
    """The classes that more tickets would help most: often asked for and often missed, worst first.

    Weighs each class's mistakes by all rungs together, so that no single method's weakness decides.
    """
    truth = sample.truth
    missed = sum((rung.predicted != truth).astype(float) for rung in rungs) / max(1, len(rungs))
    lost = np.bincount(truth, weights=np.asarray(missed), minlength=len(sample.names))
    order = [at for at in np.argsort(-lost) if lost[at] >= 1]
    return tuple(sample.names[at] for at in order[:count])
