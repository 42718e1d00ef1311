"""The pilot: one method trained on nested slices of the training rows, several seeds, embeddings made once.

A slice of a seed is a prefix of one shuffled order, so larger slices contain the smaller ones. Scores are on
the held-out rows; nothing is chosen by them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from finetune import ladder
from finetune.evaluation.sample import Sample
from finetune.measurement.forecast import Point
from finetune.progress import Progress

STEPS = (8.0, 5.657, 4.0, 2.828, 2.0, 1.414, 1.0)  # rows / step
MOST_SEEDS, LEAST_SEEDS = 5, 3
SMALLEST = 16

Score = Callable[[int, int], float]


def sizes(rows: int) -> list[int]:
    """Up to seven sizes from rows/8 to rows; fewer where slices would be smaller than 16 rows."""
    return sorted({round(rows / step) for step in STEPS if rows / step >= SMALLEST})


def run_pilot(rows: int, score: Score, progress: Progress, allowed_s: float) -> list[Point]:
    """The curve's points: every size with 3 seeds, then up to 5 while the time allowed lasts.

    `score(size, seed)` trains and returns the held-out score. The full size is the same for every seed, so
    it is trained once.
    """
    steps = sizes(rows)
    plan = [(rows, 0)] + [(size, seed) for seed in range(MOST_SEEDS) for size in steps if size < rows]
    needed = 1 + LEAST_SEEDS * (len(steps) - 1)
    began, work = time.perf_counter(), 0
    total = sum(size for size, _ in plan)
    points: list[Point] = []
    for size, seed in plan:
        spent = time.perf_counter() - began
        if len(points) >= needed and spent + spent * size / work > allowed_s:
            break
        progress.check()
        points.append(Point(size, seed, score(size, seed)))
        work += size
        left = (time.perf_counter() - began) / work * (total - work)
        progress.step(len(points), len(plan), None, round(min(left, max(0.0, allowed_s - spent)), 1))
    return points


def slices(sample: Sample, linear: ladder.Linear, method: str, metric: str, seed: int) -> Score:
    """How `run_pilot` scores a slice: the same share of every fold's training rows, all held-out rows at
    once.
    """
    smallest = sample.train_rows

    def score(size: int, at: int) -> float:
        parts = []
        for number, fold in enumerate(sample.folds):
            order = np.random.default_rng([seed, at, number]).permutation(fold.train)
            take = len(order) if size == smallest else round(size / smallest * len(order))
            parts.append(linear.predict(method, fold, order[:take], fold.test))
        return ladder.score(sample.truth, np.concatenate(parts), metric, len(sample.names))

    return score
