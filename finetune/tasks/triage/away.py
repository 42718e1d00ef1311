"""Triage trained on someone else's machine: the rows that go there, and a training that has seen no held-out one."""

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
    """The rows to train on and to choose on, by the cut of the evaluation, with nothing but text and label.

    Raises what the evaluation would raise of these rows: better before a training than after it.
    """
    rows = tuple(row for row in draw_rows(tickets, spec.seed).rows if row.label is not None)
    refuse_single_tickets([str(row.label) for row in rows])
    cut = split(Tickets(rows, "triage"), spec.seed)
    check_classes(rows, cut)
    queues = {rows[at].label for at in cut.train}
    return _bare(rows, cut.train), _bare(rows, [at for at in cut.dev if rows[at].label in queues])


def _bare(rows: Sequence[Ticket], numbers: Sequence[int]) -> Tickets:
    """Texts and labels under numbers of their own: ids, customers and dates serve the cut alone."""
    return Tickets(
        tuple(Ticket(str(at), rows[number].text, rows[number].label) for at, number in enumerate(numbers)),
        "triage",
    )


def train(spec: Spec, learning: Tickets, choosing: Tickets, folder: Path, progress: Progress) -> None:
    """Train as `run_triage` does on the same two sides; the model and what training came to lie in `folder`."""
    from finetune.evaluation.baselines import CheapMethods
    from finetune.evaluation.sample import drop_embeddings
    from finetune.tasks.triage.run import train as train_model
    from finetune.training.embedding import embedder_for

    rows = (*learning.rows, *choosing.rows)
    embedder = embedder_for([row.text for row in rows])
    first = len(learning.rows)
    cut = Split(tuple(range(first)), tuple(range(first, len(rows))), (), "as they were sent")
    sample = number_rows(rows, cut, embedder, progress, folder, encoder=embedder.key)
    progress.phase("training")
    train_model(spec, sample, CheapMethods(sample), folder, embedder, progress)
    drop_embeddings(folder)
