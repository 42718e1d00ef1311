"""The rows of a triage run: numbered, embedded once, and cut into training, choosing and test rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.data.split import split
from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation.verdict import told
from finetune.failures import TrainingDataError
from finetune.progress import Progress
from finetune.spec import Spec
from finetune.training.embedding import FrozenEmbedder


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
    how = told(sides, "cross-validated" if spec.method == "linear" else "one fold")
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
