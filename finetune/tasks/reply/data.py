"""The rows of a reply run: tickets with their real answers, cut into training, validation and test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finetune.data.split import describe_split, split
from finetune.data.ticket import Tickets
from finetune.errors import TrainingDataError

if TYPE_CHECKING:
    from finetune.spec import Spec

MAX_TEST_ROWS = 200  # generation is slow; 200 answers give chrF to about 3 points
MAX_DEV_ROWS = 300


@dataclass(frozen=True)
class Pairs:
    """Tickets with their real answers."""

    tickets: list[str]
    answers: list[str]

    def __len__(self) -> int:
        return len(self.tickets)

    def at(self, rows: Sequence[int]) -> Pairs:
        """So many of its rows."""
        return Pairs([self.tickets[i] for i in rows], [self.answers[i] for i in rows])


@dataclass(frozen=True)
class WrittenAnswers:
    """One system's replies to the test tickets `rows_asked` (None: all of them)."""

    name: str
    role: str
    answers: list[str]
    seconds: float
    rows_asked: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Rows:
    """The three sides of the split, its description, and the folds where rows are few."""

    train: Pairs
    dev: Pairs
    test: Pairs
    how: str
    folds: tuple[Pairs, ...]


def prepare(spec: Spec, tickets: Tickets) -> Rows:
    """Split the rows that have an answer; test and dev are samples where they are large."""
    rows = [row for row in tickets.rows if row.answer]
    every = Pairs([row.text for row in rows], [str(row.answer) for row in rows])
    sides = split(Tickets(rows=tuple(rows), kind="reply"), spec.seed)
    rng = np.random.default_rng(spec.seed)

    def side(numbers: Sequence[int], most: int | None = None) -> Pairs:
        if most is not None and len(numbers) > most:
            numbers = sorted(rng.permutation(numbers)[:most].tolist())
        return every.at(numbers)

    train, dev, test = side(sides.train), side(sides.dev, MAX_DEV_ROWS), side(sides.test, MAX_TEST_ROWS)
    if not len(train) or not len(test):
        raise TrainingDataError(
            "Too few rows have an answer: at least one to train on and one to test are needed."
        )
    how = (
        describe_split(sides, "one fold")
        + _sample_note(len(dev), len(sides.dev), "choose")
        + _sample_note(len(test), len(sides.test), "test")
    )
    return Rows(train, dev, test, how, tuple(side(fold) for fold in sides.folds))


def _sample_note(count: int, total: int, purpose: str) -> str:
    """A note on the rows left out of one side, as generating answers is slow."""
    return f"; {count} of the {total:,} to {purpose} were drawn" if count < total else ""
