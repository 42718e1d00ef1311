"""Trains triage on a remote machine without the held-out rows: selects the rows to upload, and trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.data.drawing import draw_rows
from finetune.data.split import Split, split
from finetune.data.ticket import Ticket, Tickets
from finetune.evaluation.sample import check_classes, number_rows
from finetune.tasks.triage.labels import refuse_single_tickets

if TYPE_CHECKING:
    from finetune.progress import Progress
    from finetune.spec import Spec


def sides(spec: Spec, tickets: Tickets) -> tuple[Tickets, Tickets]:
    """The training and validation rows of the evaluation's split, with text and label only.

    Raises what the evaluation would raise of these rows: better before a training than after it.
    """
    rows = tuple(row for row in draw_rows(tickets, spec.seed).rows if row.label is not None)
    refuse_single_tickets([str(row.label) for row in rows])
    cut = split(Tickets(rows, "triage"), spec.seed)
    check_classes(rows, cut)
    queues = {rows[at].label for at in cut.train}
    return _bare(rows, cut.train), _bare(rows, [at for at in cut.dev if rows[at].label in queues])


def _bare(rows: Sequence[Ticket], numbers: Sequence[int]) -> Tickets:
    """Rows with text, label and a running number; ids, customers and dates are needed for the split only."""
    return Tickets(
        tuple(Ticket(str(at), rows[number].text, rows[number].label) for at, number in enumerate(numbers)),
        "triage",
    )


def train(spec: Spec, learning: Tickets, validation: Tickets, folder: Path, progress: Progress) -> None:
    """Trains like `run_triage` on the same two parts; writes the model and the training report into `folder`."""
    from finetune.evaluation.baselines import CheapMethods
    from finetune.evaluation.sample import drop_embeddings
    from finetune.tasks.triage.run import train as train_model
    from finetune.training.embedding import embedder_for

    rows = (*learning.rows, *validation.rows)
    embedder = embedder_for([row.text for row in rows])
    first = len(learning.rows)
    cut = Split(tuple(range(first)), tuple(range(first, len(rows))), (), "as they were sent")
    sample = number_rows(rows, cut, embedder, progress, folder, encoder=embedder.key)
    progress.phase("training")
    train_model(spec, sample, CheapMethods(sample), folder, embedder, progress)
    drop_embeddings(folder)
