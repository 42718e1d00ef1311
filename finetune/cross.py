"""Few tickets: every cheap system is trained once per fold, so that each ticket is held out exactly once."""

from __future__ import annotations

from typing import Any

import numpy as np

from finetune.evaluation.baselines import Guesses, ladder
from finetune.evaluation.metrics import score
from finetune.evaluation.statistics import resample_counts
from finetune.methods.linear import train_linear
from finetune.progress import Progress
from finetune.tasks.triage.data import Data
from finetune.training.embedding import FrozenEmbedder


def held_out_rows(data: Data) -> np.ndarray:
    """The rows that some fold tests, in the order in which `cross_validated` answers them."""
    return np.concatenate(data.folds)


def cross_validated(data: Data, strong: str, embedder: FrozenEmbedder, progress: Progress) -> list[Guesses]:
    """The ladder and the linear SVM (named `strong`), each row answered by the training that did not see it.

    The SVM's strength is chosen on the next fold, which it then learns from too; seconds are the folds' sum.
    """
    made = []
    for at, test in enumerate(data.folds):
        progress.check()
        others = [fold for number, fold in enumerate(data.folds) if number != at]
        made.append(_one_fold(data, others, test, strong, embedder, progress))
    return [_joined(parts) for parts in zip(*made, strict=True)]


def _one_fold(
    data: Data,
    others: list[np.ndarray],
    test: np.ndarray,
    strong: str,
    embedder: FrozenEmbedder,
    progress: Progress,
) -> list[Guesses]:
    every, classes = data.every, len(data.names)
    held, train = every.at(test), every.at(np.concatenate(others))
    found = ladder(train.embeddings, train.labels, held.embeddings, classes, 0.0)
    dev = every.at(others[0]) if len(others) > 1 else every.at(test[:0])
    fit = every.at(np.concatenate(others[1:])) if len(others) > 1 else train
    if len(np.unique(fit.labels)) < 2:
        fit, dev = train, every.at(test[:0])
    model, chosen = train_linear(
        fit.texts,
        fit.labels,
        fit.embeddings,
        dev.texts,
        dev.labels,
        dev.embeddings,
        data.names,
        embedder,
        progress,
    )
    scores = model.score(model.words(held.texts, held.embeddings))
    return [*found, Guesses(strong, "baseline", scores.argmax(axis=1), chosen.seconds, scores)]


def _joined(parts: tuple[Guesses, ...]) -> Guesses:
    known = [part.probabilities for part in parts if part.probabilities is not None]
    return Guesses(
        parts[0].name,
        parts[0].role,
        np.concatenate([part.predicted for part in parts]),
        sum(part.seconds for part in parts),
        np.concatenate(known) if len(known) == len(parts) else None,
    )


def beside(systems: list[dict[str, Any]], crossed: list[Guesses], data: Data, seed: int) -> None:
    """Puts each cross-validated score, over all rows, beside the system's score on the one test fold."""
    truth = data.every.labels[held_out_rows(data)]
    counts = resample_counts(len(truth), seed)
    by_name = {guess.name: guess for guess in crossed}
    for system in systems:
        if guess := by_name.get(system["name"]):
            scored = score(guess, truth, len(data.names), counts)
            system["cross_validated"] = {
                "accuracy": scored["accuracy"],
                "macro_f1": scored["macro_f1"],
                "rows": len(truth),
                "folds": len(data.folds),
            }
