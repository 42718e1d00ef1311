"""Triage in seconds: TF-IDF beside frozen embeddings under a linear SVM, its C chosen on dev."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.methods import Classifier, LabelledRows, Method, Solution, Solver
from finetune.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from finetune.spec import Spec

STRENGTHS = (0.25, 0.5, 1.0)


def train_linear(
    train: LabelledRows,
    dev: LabelledRows,
    classes: tuple[str, ...],
    embedder: Callable[..., np.ndarray],
    progress: Progress,
) -> Solution:
    """Fit one linear SVM per strength, keep the best on dev, fit its temperature there, refit on both.

    A network uses dev to stop early; this one, once its strength is chosen, learns from dev's rows as well. Its settings
    are the strength `C` and every candidate's accuracy on dev; `dev` may be empty.
    """
    import numpy as np

    from finetune.training.linear_model import TunedLinear, Words, fit_svm, fit_temperature

    began = time.perf_counter()
    words, count = Words.learn(train.texts), len(classes)
    features = words(train.texts, train.embeddings)
    if not dev.texts:
        model = TunedLinear(classes, words, *fit_svm(features, train.labels, count, 0.5), 1.0, embedder)
        return Solution(model, time.perf_counter() - began, {"C": 0.5, "dev_accuracy": {}})
    dev_features = words(dev.texts, dev.embeddings)
    candidates: dict[float, TunedLinear] = {}
    for strength in STRENGTHS:
        progress.check()
        weights, bias = fit_svm(features, train.labels, count, strength)
        candidates[strength] = TunedLinear(classes, words, weights, bias, 1.0, embedder)
    right = {c: float((m.score(dev_features).argmax(1) == dev.labels).mean()) for c, m in candidates.items()}
    strength = max(right, key=lambda c: right[c])
    best = candidates[strength]
    best.temperature = fit_temperature(best, dev_features, dev.labels)
    dev_probabilities = best.score(dev_features)
    words = Words.learn([*train.texts, *dev.texts])
    rows = words([*train.texts, *dev.texts], np.concatenate([train.embeddings, dev.embeddings]))
    weights, bias = fit_svm(rows, np.concatenate([train.labels, dev.labels]), count, strength)
    model = TunedLinear(classes, words, weights, bias, best.temperature, embedder)
    settings = {"C": strength, "dev_accuracy": right}
    return Solution(model, time.perf_counter() - began, settings, dev_probabilities)


def _load(folder: Path, card: dict[str, Any]) -> Classifier:
    from finetune.training.linear_model import load_linear

    return load_linear(folder, card)


def _conflicts(spec: Spec) -> dict[str, str]:
    if spec.base_model != "minilm":
        return {"base_model": "`linear` works on the packaged embeddings: leave the base model at minilm."}
    return {}


def _rate(architecture: Architecture, base_model: str) -> float:
    """It takes no steps; the number only fills the recipe's field."""
    return 1e-4


METHOD = Method(
    name="linear",
    label="Linear on frozen embeddings (seconds)",
    title="Linear SVM on words and embeddings",
    library="scikit-learn",
    flops_per_token=2.0,  # each row is embedded once, forward only; the SVM itself is nothing beside that
    bytes_per_parameter=4.0,
    learning_rate=_rate,
    solver=Solver(train_linear, _load),
    distributed=False,
    is_baseline=True,
    position=20,
    conflicts=_conflicts,
)
