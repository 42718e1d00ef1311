"""The baselines on the same rows: majority, nearest neighbour, logistic regression, linear SVM.

One implementation and one set of constants, for measurements and fine-tunes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from finetune.data.duplicates import find_duplicates
from finetune.device import work_seconds
from finetune.evaluation.predictions import Predictions, best_on_validation, score
from finetune.evaluation.sample import Fold, Sample
from finetune.methods import Solution
from finetune.methods.linear import METHOD, train_linear
from finetune.progress import Progress, silent
from finetune.training.linear_model import Words, fit_svm

MAJORITY = "Majority class"
NEAREST = "Nearest neighbour"
COSINE_DECIMALS = 5
LOGISTIC = "Logistic regression on frozen embeddings"
WORDS_SVM = METHOD.title
ROLES = {MAJORITY: "floor", NEAREST: "lookup", LOGISTIC: "trained", WORDS_SVM: "trained"}
REGULARISATION_SVM = 0.5  # C of a training that is only timed
REGULARISATION = 10.0  # best on BANKING77's dev rows; see training.md's table
FEW_VALIDATION_ROWS, VALIDATION_FOLDS = 150, 5  # with fewer validation rows, chance would select the method


@dataclass(frozen=True)
class Logistic:
    """A multinomial logistic regression on unit embeddings: (classes, dim) weights and (classes,) biases."""

    weights: np.ndarray
    bias: np.ndarray
    probabilities: np.ndarray  # of the rows that it was asked about


def majority(labels: np.ndarray, rows: int) -> np.ndarray:
    """The most frequent training class for every row (at a tie the lowest number)."""
    return np.full(rows, int(np.bincount(labels).argmax()))


def nearest(train: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The label of the most similar training row; all rows are unit embeddings."""
    return np.asarray(labels[most_similar(train, rows)])


def most_similar(train: np.ndarray, rows: np.ndarray, block: int = 512) -> np.ndarray:
    """For each row the index of the training row with the highest cosine, the first one at a tie.

    Cosines are rounded to COSINE_DECIMALS: batching changes an embedding by about 1e-7, which would otherwise select
    between duplicates with different labels at random.
    """
    blocks = (rows[at : at + block] @ train.T for at in range(0, len(rows), block))
    parts = [cosines.round(COSINE_DECIMALS).argmax(axis=1) for cosines in blocks]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=int)


def logistic(train: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int) -> Logistic:
    """Multinomial logistic regression on frozen embeddings."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=REGULARISATION, max_iter=300).fit(train, labels)
    probabilities = np.zeros((len(rows), classes), dtype=np.float32)
    if len(rows):
        probabilities[:, model.classes_] = model.predict_proba(rows)
    weights, bias = np.zeros((classes, train.shape[1])), np.full(classes, -1e4)
    two = len(model.classes_) == 2  # scikit-learn then stores one row: the second class against the first
    weights[model.classes_] = np.vstack([0 * model.coef_, model.coef_]) if two else model.coef_
    bias[model.classes_] = np.append([0.0], model.intercept_) if two else model.intercept_
    return Logistic(weights, bias, probabilities)


@dataclass
class CheapMethods:
    """Trains the cheap methods on a fold or on a slice of it.

    The SVM selects C on the fold's validation rows and is then trained on these too; a slice takes the same share of
    both, so that a curve's last point is the method's score. Word statistics are fitted once per fold.
    """

    sample: Sample
    _svms: dict[bytes, Solution] = field(default_factory=dict, init=False)
    _logistics: dict[bytes, Logistic] = field(default_factory=dict, init=False)
    _words: dict[bytes, Any] = field(default_factory=dict, init=False)

    def predict(
        self, method: str, fold: Fold, test: np.ndarray, share: float = 1.0, seed: Sequence[int] = (0,)
    ) -> np.ndarray:
        """Labels for the rows `test` after training `method` on this share of the fold, drawn with `seed`.

        A model that was trained on the whole fold is cached.
        """
        if share >= 1 and test is fold.test and ROLES[method] == "trained" and self._learns(fold):
            return _predict_fold(self.sample, self, method, fold)[0]
        train = _slice(fold.train, share, seed)
        return self.predict_after(method, fold, train, _slice(fold.dev, share, seed), test)

    def predict_after(
        self, method: str, fold: Fold, train: np.ndarray, dev: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        """Labels for the rows `test` after training `method` on `train`; the SVM on `dev` as well."""
        sample, labels = self.sample, self.sample.labels[train]
        if method == MAJORITY or len(np.unique(labels)) < 2:
            return majority(labels, len(test))
        if method == NEAREST:
            return nearest(sample.features[train], labels, sample.features[test])
        if method == LOGISTIC:
            solution = logistic(sample.features[train], labels, sample.features[test], len(sample.names))
            return np.asarray(solution.probabilities.argmax(axis=1))
        rows, matrix = np.concatenate([train, dev]), self._matrix(fold)
        strength = float(self.svm(fold).settings["C"])
        weights, bias = fit_svm(matrix[rows], sample.labels[rows], len(sample.names), strength)
        return np.asarray((matrix[test] @ weights.T + bias).argmax(axis=1))

    def svm(self, fold: Fold, progress: Progress | None = None) -> Solution:
        """The linear SVM of the whole fold, the same as a fine-tune with the method `linear`."""
        key = fold.train.tobytes()
        if key not in self._svms:
            train, dev = self.sample.part(fold.train), self.sample.part(fold.dev)
            once = fold is self.sample.once
            names = self.sample.classes if once else self.sample.names
            embedder = NoEmbedder(self.sample.encoder)
            self._svms[key] = train_linear(train, dev, names, embedder, progress or silent())
        return self._svms[key]

    def logistic(self, fold: Fold) -> Logistic:
        """The logistic regression of the whole fold, with predictions for its held-out, then its validation rows."""
        key, sample = fold.train.tobytes() + fold.test.tobytes(), self.sample
        if key not in self._logistics:
            rows = sample.features[np.concatenate([fold.test, fold.dev])]
            self._logistics[key] = logistic(
                sample.features[fold.train], sample.labels[fold.train], rows, len(sample.names)
            )
        return self._logistics[key]

    def _learns(self, fold: Fold) -> bool:
        return len(np.unique(self.sample.labels[fold.train])) > 1

    @cached_property
    def validation_folds(self) -> list[Fold]:
        """The folds that select a method; none where nothing is selected.

        The validation rows; where they are few, cross-validation over all rows that are not held out, with near-copies in
        one fold.
        """
        once = self.sample.once
        if not self.sample.one_split or not len(once.dev):
            return []
        none, rows = once.dev[:0], np.concatenate([once.train, once.dev])
        alone = [Fold(once.train, none, once.dev)]
        if len(once.dev) >= FEW_VALIDATION_ROWS:
            return alone
        clusters = find_duplicates([self.sample.rows[i].text for i in rows]).of
        numbers = np.unique(clusters, return_inverse=True)[1]
        place = np.random.default_rng(0).permutation(numbers.max() + 1)[numbers] % VALIDATION_FOLDS
        folds = [Fold(rows[place != at], none, rows[place == at]) for at in range(VALIDATION_FOLDS)]
        return folds if all(len(fold.test) and len(fold.train) for fold in folds) else alone

    @property
    def validation_rows(self) -> int:
        """The number of rows behind a validation score."""
        return sum(len(fold.test) for fold in self.validation_folds)

    def _matrix(self, fold: Fold) -> Any:
        key = fold.train.tobytes()
        if key not in self._words:
            texts = self.sample.texts
            words = Words.learn([texts[i] for i in np.concatenate([fold.train, fold.dev])])
            self._words[key] = words(texts, self.sample.features)
        return self._words[key]


@dataclass(frozen=True)
class NoEmbedder:
    """A placeholder for the encoder `key`, for a model that is scored on embedded rows."""

    key: str

    def __call__(self, *_: object) -> np.ndarray:
        raise RuntimeError("This model was trained to be scored on rows that are embedded already.")


def _slice(rows: np.ndarray, share: float, seed: Sequence[int]) -> np.ndarray:
    """A prefix of a shuffled order, so that larger slices of a seed hold the smaller ones; all rows in their order."""
    if share >= 1:
        return rows
    order = np.random.default_rng(list(seed)).permutation(rows)
    return np.asarray(order[: round(share * len(rows))])


def trials(texts: Sequence[str], vectors: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], object]]:
    """Yields one training of each method on these rows, for timing; nothing with one class only."""
    classes = int(labels.max()) + 1
    if classes < 2:
        return {}
    return {
        LOGISTIC: lambda: logistic(vectors, labels, vectors[:0], classes),
        WORDS_SVM: lambda: fit_svm(Words.learn(texts)(texts, vectors), labels, classes, REGULARISATION_SVM),
    }


def score_baselines(
    sample: Sample,
    cheap: CheapMethods,
    metric: str,
    progress: Progress,
    before: Callable[[str], None] = lambda method: None,
) -> tuple[list[Predictions], Predictions]:
    """The baselines on every held-out row, and the trained one with the best validation score.

    Without validation rows that is logistic regression, the better of the two on few rows (training.md). `before` is
    called with each method's name before its training.
    """
    systems = []
    for number, method in enumerate(ROLES, 1):
        progress.check()
        before(method)
        systems.append(_predict_folds(sample, cheap, method, metric))
        progress.step(number, len(ROLES), None, None)
    return systems, best_trained(systems)


def best_trained(systems: Sequence[Predictions]) -> Predictions:
    """The trained baseline with the best validation score."""
    return best_on_validation([system for system in systems if system.role == "trained"], LOGISTIC)


def _predict_folds(sample: Sample, cheap: CheapMethods, method: str, metric: str) -> Predictions:
    began = work_seconds()
    parts = [_predict_fold(sample, cheap, method, fold) for fold in sample.folds]
    seconds = (work_seconds() - began) / len(sample.folds)
    if method != MAJORITY:
        seconds += sample.embed_s_per_row * len(sample.rows)
    labels = np.concatenate([part for part, _ in parts])
    probabilities = [part for _, part in parts if part is not None]
    likely = np.concatenate(probabilities) if len(probabilities) == len(parts) else None
    choosing_score = _validation_score(sample, cheap, method, metric)
    return Predictions(method, ROLES[method], labels, seconds, likely, choosing_score)


def _predict_fold(
    sample: Sample, cheap: CheapMethods, method: str, fold: Fold
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels and probabilities of the fold's held-out rows."""
    test, labels = sample.part(fold.test), sample.labels[fold.train]
    if method == WORDS_SVM and len(np.unique(labels)) > 1:
        model = cheap.svm(fold).model
        scores = model.score(model.words(test.texts, test.embeddings))
    elif method == LOGISTIC and len(np.unique(labels)) > 1:
        scores = cheap.logistic(fold).probabilities[: len(fold.test)]
    else:
        return cheap.predict(method, fold, fold.test), None
    return scores.argmax(axis=1), scores


def _validation_score(sample: Sample, cheap: CheapMethods, method: str, metric: str) -> float | None:
    """The score on the validation folds, by models that were not trained on them; None without any."""
    folds, once = cheap.validation_folds, sample.once
    if not folds:
        return None
    truth = sample.labels[np.concatenate([fold.test for fold in folds])]
    if len(folds) == 1 and method == WORDS_SVM and (likely := cheap.svm(once).dev_probabilities) is not None:
        labels = likely.argmax(axis=1)
    elif len(folds) == 1 and method == LOGISTIC and len(np.unique(sample.labels[once.train])) > 1:
        labels = cheap.logistic(once).probabilities[len(once.test) :].argmax(axis=1)
    elif len(folds) == 1:
        labels = cheap.predict_after(method, once, once.train, once.dev[:0], once.dev)
    else:
        labels = np.concatenate([_predict_fold(sample, cheap, method, fold)[0] for fold in folds])
    return score(truth, labels, metric, len(sample.names))


def permutation_p_value(labels: np.ndarray, truth: np.ndarray, seed: int = 0, draws: int = 999) -> float:
    """The p-value of a permutation test: the answers are independent of the labels."""
    rng = np.random.default_rng(seed)
    hits = int((labels == truth).sum())
    as_good = sum(int((rng.permutation(labels) == truth).sum()) >= hits for _ in range(draws))
    return (1 + as_good) / (1 + draws)


def weak_classes(sample: Sample, systems: Sequence[Predictions], count: int = 5) -> tuple[str, ...]:
    """The classes that more tickets would help most: frequent and often missed, worst first.

    Sums each class's mistakes over all systems, so that no single method decides.
    """
    truth = sample.truth
    mistakes = sum((system.labels != truth).astype(float) for system in systems) / max(1, len(systems))
    losses = np.bincount(truth, weights=np.asarray(mistakes), minlength=len(sample.names))
    order = [at for at in np.argsort(-losses) if losses[at] >= 1]
    return tuple(sample.names[at] for at in order[:count])
