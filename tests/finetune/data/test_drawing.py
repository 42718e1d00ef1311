"""A fine-tune on more rows than it takes: some are drawn, the same for the same seed, and it is said."""

from __future__ import annotations

import numpy as np
import pytest

from finetune import pipeline
from finetune.data import row_file
from finetune.data.drawing import draw_rows, drawing_note
from finetune.data.ticket import Ticket, Tickets
from finetune.progress import Progress
from finetune.spec import Spec


def tickets_of(count: int) -> Tickets:
    rows = tuple(Ticket(f"t{at}", f"text {at}", f"q{at % 4}") for at in range(count))
    return Tickets(rows, "triage")


def test_rows_are_drawn_in_order_and_alike_for_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory and from disk the same; few enough stay as they are; each queue keeps its share."""
    tickets = tickets_of(4_000)
    sample = draw_rows(tickets, 3, most=800)
    assert sample.rows == draw_rows(tickets, 3, most=800).rows != draw_rows(tickets, 4, most=800).rows
    places = [int(row.id[1:]) for row in sample.rows]
    assert places == sorted(set(places))
    assert len(places) == 800
    shares = np.bincount([place % 4 for place in places]) / 800
    assert abs(shares - 0.25).max() < 0.05
    assert draw_rows(sample, 3, most=800) is sample
    monkeypatch.setattr(row_file, "IN_MEMORY", 1_000)
    on_disk = Tickets(row_file.collect_rows(iter(tickets.rows)), "triage")
    assert not isinstance(on_disk.rows, tuple)
    assert draw_rows(on_disk, 3, most=800).rows == sample.rows


def test_a_run_says_how_many_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note stands in its report; nothing is said where all are taken."""
    assert drawing_note(100_000) == ""
    progress = Progress(lambda event: None, lambda: None)
    monkeypatch.setattr(pipeline, "draw_rows", lambda tickets, seed: draw_rows(tickets, seed, most=100))
    monkeypatch.setattr(pipeline, "drawing_note", lambda total: drawing_note(total, most=100))
    assert len(pipeline._draw(tickets_of(1_000), Spec(task="triage", dataset="d"), progress)) == 100
    assert progress.notes == [
        "Of 1,000 rows 100 were drawn at random to train and test on; all of them stay in the dataset."
    ]
