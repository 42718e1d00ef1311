"""The learning curve of a run: nested slices on the run's own held-out rows, and what it says of more tickets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.evaluation.learning_curve import answer_curve, last_answers, last_doubling, learning_curve
from finetune.evaluation.plots import learning_plot


def side(rows: int, seed: int, spread: float, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Points around one direction per class, as unit vectors."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, rows)
    vectors = np.eye(24)[labels] + spread * draw.normal(size=(rows, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def test_more_rows_score_higher_where_there_is_something_to_learn() -> None:
    """An eighth, a quarter, half and all rows; the same seed gives the same curve; the sentence follows it."""
    train, test = side(640, 1, 0.45), side(400, 2, 0.45)
    curve = learning_curve(train, test, 4, seed=7)
    assert [point["rows"] for point in curve] == [80, 160, 320, 640]
    assert curve[-1]["accuracy"]["value"] > curve[0]["accuracy"]["value"] + 0.03
    assert all(p["accuracy"]["low"] <= p["accuracy"]["value"] <= p["accuracy"]["high"] for p in curve)
    assert curve == learning_curve(train, test, 4, seed=7)
    assert curve == learning_curve(train, test, 4, seed=7, known=curve[-1]["accuracy"])
    assert last_doubling(curve).startswith("Learning curve: 320 to 640 tickets brought")


@pytest.mark.parametrize(
    ("gain", "said"),
    [(0.03, "+3.0 points. More tickets may help"), (0.0, "+0.0 points. That doubling shows no gain")],
)
def test_the_last_doubling_says_whether_more_tickets_help(gain: float, said: str) -> None:
    """A rise of a point or more speaks for tickets, a flat end does not; one point of a curve says nothing."""
    points = [{"rows": 50, "accuracy": {"value": 0.7}}, {"rows": 100, "accuracy": {"value": 0.7 + gain}}]
    assert said in last_doubling(points)
    assert last_doubling(points[:1]) == ""


def test_few_rows_leave_out_the_slices_that_cannot_be_trained() -> None:
    """Forty rows: no slice of five."""
    assert [p["rows"] for p in learning_curve(side(40, 1, 0.3), side(60, 2, 0.3), 4, 7)] == [20, 40]


def test_more_past_answers_come_closer_where_answers_follow_the_tickets() -> None:
    """Replies: the nearest of few past answers fits worse than that of many; the last point is the ladder's own."""
    past, now = side(320, 1, 0.3, classes=24), side(120, 2, 0.3, classes=24)
    answers = [f"We have looked into matter {'abcdefghijklmnopqrstuvwx'[label] * 9}." for label in past[1]]
    real = [f"We have looked into matter {'abcdefghijklmnopqrstuvwx'[label] * 9}." for label in now[1]]
    known = {"value": 0.98, "low": 0.97, "high": 0.99}
    curve = answer_curve((past[0], now[0]), answers, real, 7, known)
    assert [point["rows"] for point in curve] == [40, 80, 160, 320]
    assert curve[0]["chrf"]["value"] + 0.02 < curve[2]["chrf"]["value"]
    assert curve[-1]["chrf"] == known
    assert last_answers(curve).startswith(
        "Learning curve: 160 to 320 tickets brought the nearest past answer"
    )
    assert last_answers(curve[:1]) == ""
    few = answer_curve((past[0][:20], now[0]), answers[:20], real, 7, known)
    assert [point["rows"] for point in few] == [20]


def test_the_picture_tells_its_figures_in_words(tmp_path: Path) -> None:
    """The alternative text has every point and the tuned score; the file is small enough for a phone."""
    curve = learning_curve(side(320, 1, 0.4), side(200, 2, 0.4), 4, seed=7)
    plot = learning_plot(curve, {"value": 0.93, "low": 0.9, "high": 0.96}, tmp_path / "learning.png")
    assert "tuned 93.0%" in plot["alt"]
    assert "at 320" in plot["alt"]
    assert "of frozen embeddings, accuracy" in plot["alt"]
    assert 5_000 < (tmp_path / "learning.png").stat().st_size < 150_000
