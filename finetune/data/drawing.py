"""Rows drawn at random where a dataset has more than one fine-tune takes: the same ones for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetune.data.ticket import Tickets

MAX_ROWS = 100_000
"""Rows of a fine-tune: each is compared with the others for the split and stands in memory with its embedding."""


def draw_rows(tickets: Tickets, seed: int, most: int = MAX_ROWS) -> Tickets:
    """The tickets as they are, or `most` of their rows in order, in memory; rows on disk are read through once."""
    total = len(tickets)
    if total <= most:
        return tickets
    mask = np.zeros(total, dtype=bool)
    mask[np.random.default_rng(seed).choice(total, most, replace=False)] = True
    rows = tuple(row for row, is_taken in zip(tickets.rows, mask, strict=True) if is_taken)
    return replace(tickets, rows=rows)


def drawing_note(total: int, most: int = MAX_ROWS) -> str:
    """What is said of a dataset of so many rows; "" where all are taken."""
    if total <= most:
        return ""
    return f"Of {total:,} rows {most:,} were drawn at random to train and test on; all of them stay in the dataset."
