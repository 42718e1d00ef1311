"""A small LoRA run beside the best cheap method on the same rows: what a fine-tune adds, and what it costs.

It runs only where it can matter: where the choosing rows say that the cheap methods miss the target. Its
gain over the cheap method is measured pair by pair on the held-out rows and carried over to more rows,
shrunk by the distance, since such gains shrink as rows are added (BANKING77: +0.6 points at 2,250 rows, +0.2
at 10,003; training.md).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.evaluation import baselines
from finetune.evaluation.sample import Fold, Sample
from finetune.evaluation.statistics import Interval, bootstrap, mean_statistic, resample_counts
from finetune.measurement.forecast import Z90, Ahead, Point
from finetune.progress import Progress
from finetune.spec import Spec, defaults

EPOCHS = 3
LEAST_ROWS, MOST_ROWS = 150, 4_000
STEP_COST = (
    3.2  # training a row for one epoch against embedding it once (training.md: 10.6-16.6 to 4.8 CPU-s)
)
SHRINK, UNSURE = 0.4, 0.3  # the gain falls with this power of the rows, and how unsure that is
REACH = 4.2  # a gain is carried to so many times the pilot's rows, no further
FLOOR_NOISE = 0.005  # seeds of one LoRA run differ by tenths of a point
DEV_ROWS = 300


@dataclass(frozen=True)
class TunedPilot:
    """What the LoRA pilot showed; `gain` is LoRA minus the cheap method at `rows`, a share with 95%
    interval.
    """

    rows: int
    epochs: int
    seconds: float
    score: float
    against: str
    gain: Interval


def rows_for(sample: Sample, allowed_s: float) -> int:
    """Rows that can be trained on in the time allowed; 0 where that is too few to tell anything."""
    per_row = sample.embed_s_per_row * (1 + STEP_COST * EPOCHS)
    evaluation = sample.embed_s_per_row * (sample.held_out + EPOCHS * DEV_ROWS)
    rows = int(min(MOST_ROWS, sample.train_rows, (allowed_s - evaluation) / max(per_row, 1e-6)))
    return rows if rows >= max(LEAST_ROWS, sample.train_rows / REACH) else 0


def run_tuned(
    sample: Sample,
    linear: baselines.Linear,
    method: str,
    rows: int,
    seed: int,
    folder: Path,
    progress: Progress,
) -> TunedPilot:
    """Train LoRA and `method` on the same `rows` rows of the first fold; the model is thrown away."""
    fold = sample.folds[0]
    chosen = np.random.default_rng([seed, 99]).permutation(fold.train)[:rows]
    began = time.perf_counter()
    tuned = _lora(sample, fold, chosen, seed, folder, progress)
    seconds = time.perf_counter() - began
    cheap = linear.predict(method, fold, chosen, fold.test)
    truth = sample.labels[fold.test]
    counts = resample_counts(len(truth), seed=0, resamples=1000)
    gap = (tuned == truth).astype(np.float32) - (cheap == truth)
    gain = bootstrap(counts, mean_statistic(gap))
    return TunedPilot(len(chosen), EPOCHS, seconds, float((tuned == truth).mean()), method, gain)


def _lora(
    sample: Sample, fold: Fold, chosen: np.ndarray, seed: int, folder: Path, progress: Progress
) -> np.ndarray:
    """Held-out labels by a LoRA-tuned MiniLM."""
    from finetune.tasks.triage.model import load_tuned, train_triage

    spec: Spec = replace(
        defaults({"task": "triage", "method": "lora"}), dataset="pilot", epochs=EPOCHS, seed=seed
    )
    known = np.unique(sample.labels[chosen])
    index = {label: at for at, label in enumerate(known)}
    dev = np.array([row for row in fold.dev if sample.labels[row] in index][:DEV_ROWS], dtype=int)
    place = folder / "lora-pilot"
    train_triage(
        spec,
        [sample.rows[i].text for i in chosen],
        np.array([index[label] for label in sample.labels[chosen]]),
        [sample.rows[i].text for i in dev],
        np.array([index[label] for label in sample.labels[dev]], dtype=int),
        tuple(sample.names[label] for label in known),
        place,
        progress,
    )
    scores = load_tuned(place).probabilities([sample.rows[i].text for i in fold.test], progress.check)
    shutil.rmtree(place, ignore_errors=True)
    return np.asarray(known[scores.argmax(axis=1)])


def reached(bases: Sequence[Ahead | None], pilot: TunedPilot) -> tuple[Ahead, ...]:
    """The fine-tune's scores at those `bases` that the pilot's rows allow to tell."""
    return tuple(expected(base, pilot) for base in bases if base and base.rows <= REACH * pilot.rows)


def expected(base: Ahead, pilot: TunedPilot) -> Ahead:
    """The fine-tune's score at the rows of `base`, the cheap method's score there."""
    times = max(1.0, base.rows / pilot.rows)
    kept = times**-SHRINK
    gain = kept * pilot.gain.value
    noise = np.sqrt(
        (kept * pilot.gain.half_width / 1.96) ** 2 + (UNSURE * pilot.gain.value) ** 2 + FLOOR_NOISE**2
    )
    narrow, wide = (
        (high - low) / 2 / Z90 for low, high in ((base.low, base.high), (base.wide_low, base.wide_high))
    )
    value = float(np.clip(base.value + gain, 0, 1))
    reach = [Z90 * float(np.hypot(sigma, noise)) for sigma in (narrow, wide)]
    low, high, wide_low, wide_high = (
        float(np.clip(value + sign * width, 0, 1)) for width in reach for sign in (-1, 1)
    )
    trust = "number" if times <= 2.1 else "band" if times <= REACH else "direction"
    return Ahead(base.rows, float(times), value, low, high, wide_low, wide_high, trust)


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


def slices(sample: Sample, linear: baselines.Linear, method: str, metric: str, seed: int) -> Score:
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
        return baselines.score(sample.truth, np.concatenate(parts), metric, len(sample.names))

    return score
