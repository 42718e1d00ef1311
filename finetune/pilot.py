"""The pilot: the same method trained on nested slices of the training rows, several seeds, embeddings made once.

A slice of a seed is a prefix of one shuffled order, so larger slices contain the smaller ones. Scores are on the
held-out rows; nothing is chosen by them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from finetune.forecast import Point

STEPS = (8.0, 5.657, 4.0, 2.828, 2.0, 1.414, 1.0)  # n / step
SEEDS = 3
SMALLEST = 20

Score = Callable[[np.ndarray], float]
Told = Callable[[int, int, float], None]


def sizes(rows: int) -> list[int]:
    """Five to seven sizes from rows/8 to rows; fewer where slices would be smaller than 20 rows."""
    return sorted({int(round(rows / step)) for step in STEPS if rows / step >= SMALLEST})


def run_pilot(
    rows: Sequence[int], score: Score, told: Told = lambda done, of, eta: None, seeds: int = SEEDS, seed: int = 0
) -> tuple[list[Point], float]:
    """The curve's points and the seconds of the largest slice.

    `score(row_numbers)` trains on these rows and returns the held-out score; `told(done, of, eta_s)` hears progress
    and may raise to stop. The full size is trained once: its rows are the same for every seed.
    """
    every = np.asarray(rows)
    plan = [(size, at) for size in sizes(len(every)) for at in range(1 if size == len(every) else seeds)]
    work, done, began = float(sum(size for size, _ in plan)), 0.0, time.monotonic()
    orders = [np.random.default_rng([seed, at]).permutation(every) for at in range(seeds)]
    points: list[Point] = []
    seconds = 0.0
    for number, (size, at) in enumerate(plan, 1):
        start = time.monotonic()
        points.append(Point(size, at, score(orders[at][:size])))
        seconds = time.monotonic() - start
        done += size
        told(number, len(plan), (time.monotonic() - began) / done * (work - done))
    return points, seconds
