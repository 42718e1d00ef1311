"""The ladder of what is cheaper than a fine-tune, scored on the same held-out rows with 95% intervals."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from finetune.intervals import Interval, wilson

MAJORITY = "always the largest class"
NEAREST = "nearest past ticket"
LINEAR = "linear classifier on embeddings"


@dataclass(frozen=True)
class Rung:
    """One system: its answer for each held-out row, and what it took."""

    name: str
    role: str  # floor | lookup | trained | prompt
    predicted: np.ndarray
    accuracy: Interval
    seconds: float
    usd: float = 0.0
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        shown = {"name": self.name, "role": self.role, "accuracy": self.accuracy.to_json(), "seconds": self.seconds}
        return shown | {"usd": self.usd, "note": self.note} | self.extra


def rung(name: str, role: str, predicted: np.ndarray, truth: np.ndarray, began: float, usd: float = 0.0) -> Rung:
    """A Rung with Wilson's interval on its accuracy."""
    right = int((predicted == truth).sum())
    return Rung(name, role, predicted, wilson(right, len(truth)), time.monotonic() - began, usd)


def cheap_rungs(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> list[Rung]:
    """Majority and nearest neighbour: what needs no training at all."""
    began, truth = time.monotonic(), labels[test]
    largest = np.bincount(labels[train]).argmax()
    rungs = [rung(MAJORITY, "floor", np.full(len(test), largest), truth, began)]
    began = time.monotonic()
    nearest = np.concatenate([(features[part] @ features[train].T).argmax(1) for part in np.array_split(test, 1 + len(test) // 500)])
    return [*rungs, rung(NEAREST, "lookup", labels[train][nearest], truth, began)]


def predict_linear(features: np.ndarray, labels: np.ndarray, train: np.ndarray, ask: np.ndarray) -> np.ndarray:
    """Labels of the rows `ask` by logistic regression (C=10) on the embeddings of the rows `train`."""
    from sklearn.linear_model import LogisticRegression

    known = labels[train]
    if len(np.unique(known)) < 2:
        return np.full(len(ask), known[0])
    model = LogisticRegression(C=10, max_iter=150, tol=1e-3).fit(features[train], known)
    return np.asarray(model.predict(features[ask]))
