"""What training has to beat on the same rows: majority, nearest neighbour, linear on embeddings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

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
