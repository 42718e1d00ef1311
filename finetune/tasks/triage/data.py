"""The rows of a triage run: embedded once and split as in a measurement of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finetune.data.split import describe_split
from finetune.data.ticket import Tickets
from finetune.evaluation.predictions import Predictions, score_system
from finetune.evaluation.sample import Sample, cut_rows
from finetune.methods import METHODS
from finetune.progress import Progress
from finetune.reports.parts import CrossValidation
from finetune.tasks.triage.labels import refuse_single_tickets
from finetune.training.embedding import Embedder

if TYPE_CHECKING:
    from finetune.spec import Spec

FEW_ROWS = 8  # training tickets of a queue; with fewer it will be weak


def prepare(spec: Spec, tickets: Tickets, embedder: Embedder, folder: Path, progress: Progress) -> Sample:
    """Number the classes, split the rows and embed each once; notes queues with too few tickets."""
    rows = tuple(row for row in tickets.rows if row.label is not None)
    refuse_single_tickets([str(row.label) for row in rows])
    embed = partial(embedder, check=progress.check)
    sample = cut_rows(rows, spec.seed, embed, progress, folder, encoder=embedder.key)
    unseen = sample.names[len(sample.classes) :]
    if unseen:
        progress.note(
            f"{len(unseen)} queue(s) occur only in held-out rows and cannot be learned: "
            f"{', '.join(unseen[:5])}. Their tickets count as mistakes."
        )
    _note_small_classes([str(rows[i].label) for i in sample.once.train], progress)
    how = describe_split(sample.cut, "cross-validated" if METHODS[spec.method].is_baseline else "one fold")
    return replace(sample, cut=replace(sample.cut, how=how))


def _note_small_classes(labels: Sequence[str], progress: Progress) -> None:
    small = sorted(name for name in set(labels) if labels.count(name) < FEW_ROWS)
    if small:
        progress.note(
            f"{len(small)} queue(s) have fewer than {FEW_ROWS} training tickets ({', '.join(small[:5])}): "
            "expect them to be weak; 50 or more make a queue learnable."
        )


def on_holdout(sample: Sample, system: Predictions) -> Predictions:
    """A cross-validated system's predictions on the holdout test rows."""
    place = {int(row): at for at, row in enumerate(sample.test_rows)}
    return system.at(np.array([place[int(row)] for row in sample.once.test], dtype=int))


def cross_validation(sample: Sample, system: Predictions) -> CrossValidation:
    """The score over all folds, each ticket held out once."""
    scores = score_system(system, sample.truth, len(sample.names)).line.scores
    return CrossValidation(sample.held_out, len(sample.folds), scores)
