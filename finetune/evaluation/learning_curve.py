"""The learning curve: a baseline's score with an eighth of the tickets up to all, and the forecast for more.

One curve per dataset and method: a measurement and a fine-tune on the same rows get the same one. Each slice is a prefix of
one shuffled order per seed, so larger slices contain the smaller ones. For replies the baseline is the nearest past
answer. The tuned model is one extra point, with all tickets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from finetune.evaluation.baselines import CheapMethods, most_similar
from finetune.evaluation.forecast import Forecast, Point, curve, forecast
from finetune.evaluation.metrics import chrf
from finetune.evaluation.predictions import score
from finetune.evaluation.sample import Sample
from finetune.evaluation.statistics import bootstrap, mean_statistic, resample_counts, wilson
from finetune.progress import Progress
from finetune.reports.parts import LearningPoint, Score

STEPS = (8.0, 5.657, 4.0, 2.828, 2.0, 1.414, 1.0)  # rows / step
SMALLEST = 16
SEEDS, SEEDS_OF_MANY = 5, 3
MANY_ROWS = 3_000  # above this, 3 seeds are enough: fits are slow and vary little
WORTH = 0.01  # gain of a doubling (a share) that makes more tickets worth their labels

MIN_CLASS_ROWS, CHANCE = 10, 0.05  # held-out rows per class; familywise error rate over all classes

SizeScore = Callable[[int, int], float]
Answers = dict[
    int, list[np.ndarray]
]  # by rows trained on: class numbers for the held-out rows, one array a seed


def sizes(rows: int) -> list[int]:
    """Up to seven sizes from rows/8 to rows; fewer where slices would be smaller than 16 rows."""
    return sorted({round(rows / step) for step in STEPS if rows / step >= SMALLEST})


def seeds_for(rows: int) -> int:
    """Repeats of each size; they depend on the row count alone, so the same rows give the same curve."""
    return SEEDS if rows <= MANY_ROWS else SEEDS_OF_MANY


def curve_plan(rows: int) -> list[tuple[int, int]]:
    """The sizes and seeds of the curve's points: every size with each seed, the full size once, as it is the same for all."""
    steps = sizes(rows)
    return [(rows, 0)] + [(size, seed) for seed in range(seeds_for(rows)) for size in steps if size < rows]


def curve_work(rows: int) -> float:
    """The cost of a curve in trainings on all rows; the full size is trained already."""
    return sum(size for size, _ in curve_plan(rows) if size < rows) / max(1, rows)


def curve_points(
    rows: int, score_of: SizeScore, progress: Progress, affordable: Callable[[int], bool] = lambda size: True
) -> list[Point]:
    """The curve's points by `curve_plan`, without those of sizes that are not `affordable` when their turn comes.

    `score_of(size, seed)` trains and returns the held-out score.
    """
    plan = curve_plan(rows)
    began, work, total = time.perf_counter(), 0, sum(size for size, _ in plan)
    points: list[Point] = []
    for size, seed in plan:
        progress.check()
        work += size
        if size < rows and not affordable(size):
            continue
        points.append(Point(size, seed, score_of(size, seed)))
        left = (time.perf_counter() - began) / work * (total - work)
        progress.step(len(points), len(plan), None, round(left, 1))
    return points


def slice_score(
    sample: Sample,
    cheap: CheapMethods,
    method: str,
    metric: str,
    seed: int,
    answers: Answers | None = None,
) -> SizeScore:
    """Scores of slices: the same share of every fold's training rows, all held-out rows at once; keeps the `answers`."""
    full = sample.train_rows

    def score_of(size: int, at: int) -> float:
        parts = [
            cheap.predict(method, fold, fold.test, size / full, (seed, at, number))
            for number, fold in enumerate(sample.folds)
        ]
        labels = np.concatenate(parts)
        if answers is not None:
            answers.setdefault(size, []).append(labels)
        return score(sample.truth, labels, metric, len(sample.names))

    return score_of


def rising_classes(sample: Sample, answers: Answers) -> str:
    """A sentence on the classes that improved significantly from half of the tickets to all; "" without a curve.

    Compares the right answers per class row by row, over the seeds; the significance level is corrected for the number
    of classes.
    """
    from scipy.stats import norm

    if len(answers) < 2:
        return ""
    full = max(answers)
    half = min(answers, key=lambda size: abs(size - full / 2))
    share = {
        size: np.mean([labels == sample.truth for labels in answers[size]], axis=0) for size in (half, full)
    }
    gains, counts = share[full] - share[half], np.bincount(sample.truth, minlength=len(sample.names))
    classes = [at for at in range(len(sample.names)) if counts[at] >= MIN_CLASS_ROWS]
    z = float(norm.ppf(1 - CHANCE / (2 * max(1, len(classes)))))
    rises = []
    for at in classes:
        rows = gains[sample.truth == at]
        reach = z * float(rows.std(ddof=1)) / np.sqrt(len(rows))
        if rows.mean() - reach > 0:
            rises.append((float(rows.mean()), reach, sample.names[at]))
    if not classes:
        return ""
    head = f"By class, from {half:,} tickets to {full:,}"
    if not rises:
        return f"{head}: none of the {len(classes)} that can be judged rose for certain."
    best = sorted(rises, reverse=True)[:3]
    lines = [f"{name} {100 * gain:+.0f} points (±{100 * reach:.0f})" for gain, reach, name in best]
    return f"{head}: {', '.join(lines)}; {len(classes) - len(rises)} others did not for certain."


def learning_points(
    points: Sequence[Point], held_out: int, metric: str = "accuracy"
) -> tuple[LearningPoint, ...]:
    """By growing rows: the seeds' mean with the held-out rows' 95% interval."""
    sizes_, means, _ = curve(points)
    return tuple(
        LearningPoint(
            int(rows),
            metric,
            wilson_score(float(mean), held_out),
            sum(point.rows == int(rows) for point in points),
        )
        for rows, mean in zip(sizes_, means, strict=True)
    )


def wilson_score(share: float, rows: int) -> Score:
    """A share of `rows` with its 95% interval; the share itself is not rounded."""
    return replace(wilson(round(share * rows), rows).score, value=share)


def answer_curve(
    vectors: tuple[np.ndarray, np.ndarray],
    past: Sequence[str],
    real: Sequence[str],
    seed: int,
    score: Score,
) -> tuple[LearningPoint, ...]:
    """The chrF of the nearest past answer against the real one, by growing rows.

    `vectors` are unit embeddings of the past and of the test tickets, `past` and `real` their answers; `score` is the
    score with all rows.
    """
    before, now = vectors
    order = np.random.default_rng([seed, 5]).permutation(len(past))
    counts = resample_counts(len(real), seed)
    lines: list[LearningPoint] = []
    for part in (8, 4, 2):
        rows = order[: len(order) // part]
        if len(rows) < SMALLEST:
            continue
        answers = [past[rows[near]] for near in most_similar(before[rows], now)]
        likeness = bootstrap(counts, mean_statistic(chrf(answers, real)))
        lines.append(LearningPoint(len(rows), "chrf", likeness.score))
    return (*lines, LearningPoint(len(past), "chrf", score))


def judge_doubling(points: Sequence[Point], held_out: int, floor: float) -> str:
    """A sentence on the baseline's expected score with twice the tickets, with its 90% band; "" without a curve.

    `floor` is the score of always guessing the largest class.
    """
    if len({point.rows for point in points}) < 2:
        return ""
    rows = max(point.rows for point in points)
    return doubling_sentence(forecast(points, [2 * rows], held_out, floor), points)


def doubling_sentence(ahead: Forecast, points: Sequence[Point]) -> str:
    """One sentence on twice the rows from a forecast that holds that size, or its reason why there is none."""
    sizes_, means, _ = curve(points)
    rows, today = int(sizes_[-1]), float(means[-1])
    if ahead.refused or (twice := ahead.at(2 * rows)) is None:
        return f"More tickets: no forecast. {ahead.refused}" if ahead.refused else ""
    gain, low, high = (100 * (value - today) for value in (twice.value, twice.low, twice.high))
    band = f"{gain:+.1f} points ({low:+.1f} to {high:+.1f})"
    if low > 0 and gain >= 100 * WORTH:
        words = "More tickets help"
    elif gain >= 100 * WORTH:
        words = "More tickets may help"
    else:
        words = "More tickets would hardly help"
    return (
        f"{words}: twice the {rows:,} are expected to bring the cheap method {band}, by its learning curve."
    )


def last_answers(curve_: Sequence[LearningPoint]) -> str:
    """A sentence on the gain of the last doubling of past answers; "" without two points."""
    if len(curve_) < 2:
        return ""
    half, full = curve_[-2:]
    gain = full.score.value - half.score.value
    ahead = "More past answers may help it" if gain >= WORTH else "That doubling shows no gain"
    return (
        f"Learning curve: {half.rows:,} to {full.rows:,} tickets brought the nearest past answer "
        f"{100 * gain:+.1f} points of likeness (chrF). {ahead}; the trained model is measured with all tickets only."
    )
