"""Two models that err differently, averaged: the tuned network and the linear model trained on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PLACE = "linear"  # the linear half's folder beside the network's files


@dataclass(frozen=True)
class Blended:
    """Sorts tickets by the mean of two models' probabilities; both know the same classes in the same order."""

    network: Any
    linear: Any

    @property
    def classes(self) -> tuple[str, ...]:
        return self.network.classes

    def probabilities(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(texts, classes) float32, each row sums to one."""
        return (self.network.probabilities(texts, check) + self.linear.probabilities(texts, check)) / 2


def helps(network: np.ndarray, linear: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the mean makes the dev rows' labels likelier than the network alone does.

    Likelihood, not accuracy: on 100 dev rows one lucky row would decide.
    """
    return surprise((network + linear) / 2, labels) < surprise(network, labels)


def surprise(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of `labels`."""
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-9).mean())
