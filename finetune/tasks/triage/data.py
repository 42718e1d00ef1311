"""The rows of a triage run: numbered, embedded once, and cut into training, choosing and test rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.data.split import split, told
from finetune.data.ticket import Ticket, Tickets
from finetune.errors import TrainingDataError
from finetune.evaluation.baselines import Guesses, ladder
from finetune.evaluation.metrics import score
from finetune.evaluation.statistics import resample_counts
from finetune.methods import METHODS
from finetune.methods.linear import solve
from finetune.progress import Progress
from finetune.training.embedding import FrozenEmbedder

if TYPE_CHECKING:
    from finetune.spec import Spec


@dataclass(frozen=True)
class Side:
    """One side of the split: texts, class numbers and frozen embeddings, row by row."""

    texts: list[str]
    labels: np.ndarray
    embeddings: np.ndarray

    def at(self, rows: np.ndarray) -> Side:
        """So many of its rows."""
        return Side([self.texts[i] for i in rows], self.labels[rows], self.embeddings[rows])


@dataclass(frozen=True)
class Data:
    """The three sides; `classes` are those of training, `names` adds the ones only seen elsewhere.

    `every` holds all `rows`, `places` the row numbers of train, dev and test in it, `folds` the test rows of
    each fold where the rows are too few for a test set of their own.
    """

    train: Side
    dev: Side
    test: Side
    classes: tuple[str, ...]
    names: tuple[str, ...]
    how: str
    embed_seconds: float
    rows: tuple[Ticket, ...]
    every: Side
    places: tuple[np.ndarray, np.ndarray, np.ndarray]
    folds: tuple[np.ndarray, ...] = ()


def prepare(spec: Spec, tickets: Tickets, embedder: FrozenEmbedder, progress: Progress) -> Data:
    """Split, number the classes and embed every row once."""
    rows = tuple(row for row in tickets.rows if row.label is not None)
    _refuse_single_tickets([str(row.label) for row in rows])
    sides = split(Tickets(rows=rows, kind="triage"), spec.seed)
    classes = tuple(sorted({str(rows[i].label) for i in sides.train}))
    if len(classes) < 2:
        raise TrainingDataError(
            "The training rows have one class only: add tickets of at least one other queue."
        )
    unseen = sorted({str(row.label) for row in rows} - set(classes))
    if unseen:
        progress.note(
            f"{len(unseen)} queue(s) occur only in held-out rows and cannot be learned: "
            f"{', '.join(unseen[:5])}. Their tickets count as mistakes."
        )
    _note_thin_classes([str(rows[i].label) for i in sides.train], progress)
    names = (*classes, *unseen)
    number = {name: at for at, name in enumerate(names)}
    began = time.perf_counter()
    texts = [row.text for row in rows]
    labels = np.array([number[str(row.label)] for row in rows], dtype=int)
    every = Side(texts, labels, embedder(texts, progress.check))
    seconds = time.perf_counter() - began
    known = [i for i in sides.dev if rows[i].label not in unseen]
    places = (_numbers(sides.train), _numbers(known), _numbers(sides.test))
    train, dev, test = (every.at(place) for place in places)
    how = told(sides, "cross-validated" if METHODS[spec.method].is_baseline else "one fold")
    folds = tuple(_numbers(fold) for fold in sides.folds)
    return Data(train, dev, test, classes, names, how, seconds, rows, every, places, folds)


def _refuse_single_tickets(labels: Sequence[str]) -> None:
    """A queue with one ticket can be learned or tested, not both: two queues need at least two each."""
    often = sum(count > 1 for count in Counter(labels).values())
    if often < 2:
        raise TrainingDataError(
            f"Of {len(set(labels))} queue(s), {often or 'none'} has more than one ticket, so there is nothing to "
            "learn and test with. Add tickets: 50 or more of a queue make it learnable."
        )


def _numbers(rows: Sequence[int]) -> np.ndarray:
    return np.array(rows, dtype=int)


def _note_thin_classes(labels: Sequence[str], progress: Progress) -> None:
    thin = sorted(name for name in set(labels) if labels.count(name) < 8)
    if thin:
        progress.note(
            f"{len(thin)} queue(s) have fewer than 8 training tickets ({', '.join(thin[:5])}): "
            "expect them to be weak; 50 or more make a queue learnable."
        )


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
    solution = solve(fit, dev, data.names, embedder, progress)
    scores = solution.model.score(solution.model.words(held.texts, held.embeddings))
    return [*found, Guesses(strong, "baseline", scores.argmax(axis=1), solution.seconds, scores)]


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
