"""The learning curve of a run: nested slices on the run's own held-out rows, and what it says of more tickets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.evaluation.forecast import Point
from finetune.evaluation.learning_curve import (
    answer_curve,
    judge_doubling,
    last_answers,
    learning_points,
    seeds_for,
    sizes,
)
from finetune.evaluation.plots import learning_plot
from finetune.reports.parts import Score


def side(rows: int, seed: int, spread: float, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Points around one direction per class, as unit vectors."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, rows)
    vectors = np.eye(24)[labels] + spread * draw.normal(size=(rows, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def points(scores: list[float], rows: int = 800, seeds: int = 3) -> list[Point]:
    """A curve of seven sizes that ends at `rows`, its seeds a little apart."""
    steps = sizes(rows)
    return [
        Point(size, seed, value + 0.004 * (seed - 1))
        for size, value in zip(steps, scores, strict=True)
        for seed in range(1 if size == rows else seeds)
    ]


RISING = [0.5, 0.56, 0.62, 0.67, 0.72, 0.76, 0.79]
FLAT = [0.79, 0.792, 0.788, 0.79, 0.791, 0.79, 0.79]


def test_a_doubling_is_judged_by_the_curve_and_its_band() -> None:
    """A rising curve speaks for tickets, with the points expected; a flat one does not; no curve says nothing."""
    assert judge_doubling(points(RISING), 400, 0.1).startswith(
        "More tickets help: twice the 800 are expected to bring the cheap method +"
    )
    assert judge_doubling(points(FLAT), 400, 0.1).startswith("More tickets would hardly help")
    assert judge_doubling([], 400, 0.1) == ""
    assert "no forecast" in judge_doubling(points([0.11] * 7), 400, 0.1)


def test_the_lines_of_a_curve_are_the_means_of_its_seeds() -> None:
    """One line per size: the mean score with the held-out rows' interval, and how many seeds it has."""
    lines = learning_points(points(RISING), 400)
    assert [line.rows for line in lines] == sizes(800)
    assert [line.seeds for line in lines] == [3] * 6 + [1]
    assert lines[0].score.value == pytest.approx(0.5)
    bands = [line.score.interval for line in lines]
    assert all(band.low <= band.value <= band.high for band in bands)


def test_few_rows_leave_out_the_slices_that_cannot_be_trained() -> None:
    """Forty rows: no slice under sixteen; the number of seeds follows from the rows alone."""
    assert sizes(40) == [20, 28, 40]
    assert (seeds_for(3_000), seeds_for(3_001)) == (5, 3)


def test_more_past_answers_come_closer_where_answers_follow_the_tickets() -> None:
    """Replies: the nearest of few past answers fits worse than that of many; the last point is the ladder's own."""
    past, now = side(320, 1, 0.3, classes=24), side(120, 2, 0.3, classes=24)
    answers = [f"We have looked into matter {'abcdefghijklmnopqrstuvwx'[label] * 9}." for label in past[1]]
    real = [f"We have looked into matter {'abcdefghijklmnopqrstuvwx'[label] * 9}." for label in now[1]]
    band = Score(0.98, 0.97, 0.99)
    curve = answer_curve((past[0], now[0]), answers, real, 7, band)
    assert [point.rows for point in curve] == [40, 80, 160, 320]
    assert curve[0].score.value + 0.02 < curve[2].score.value
    assert curve[-1].score == band
    assert last_answers(curve).startswith(
        "Learning curve: 160 to 320 tickets brought the nearest past answer"
    )
    assert last_answers(curve[:1]) == ""
    few = answer_curve((past[0][:20], now[0]), answers[:20], real, 7, band)
    assert [point.rows for point in few] == [20]


def test_the_picture_tells_its_figures_in_words(tmp_path: Path) -> None:
    """The alternative text has every point and the tuned score; the file is small enough for a phone."""
    curve = learning_points(points(RISING, 320), 200)
    plot = learning_plot(curve, Score(0.93, 0.9, 0.96), tmp_path / "learning.png")
    assert "tuned 93.0%" in plot.alt
    assert "at 320" in plot.alt
    assert "of frozen embeddings, accuracy" in plot.alt
    assert 5_000 < (tmp_path / "learning.png").stat().st_size < 150_000
