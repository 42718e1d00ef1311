"""Pictures of a report: opaque for dark mode, wide enough for a phone, told in words for those who cannot see."""

import numpy as np
import pytest

from finetune.evaluation.plots import _most_confused, _smooth, _wrap, confusion_plot, loss_plot, scores_plot
from finetune.reports.parts import LossPoint, Score, SystemLine


def score(name: str, role: str, value: float) -> SystemLine:
    """One system of a report."""
    return SystemLine(name, role, {"accuracy": Score(value, value - 0.05, value + 0.04)})


SYSTEMS = [score("Majority class", "baseline", 0.12), score("Tuned with LoRA", "tuned", 0.96)]
CURVE = [LossPoint(step, 2 / step, 1.0 if step % 10 == 0 else None) for step in range(1, 31)]


def draw(kind: str, folder):
    """One picture: its entry in the report, and its pixels."""
    file = folder / f"{kind}.png"
    if kind == "loss":
        plot = loss_plot(CURVE, file)
    elif kind == "scores":
        plot = scores_plot(SYSTEMS, "accuracy", file)
    else:
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 30, 400)
        prediction = np.where(rng.random(400) < 0.8, truth, rng.integers(0, 30, 400))
        plot = confusion_plot(truth, prediction, [f"a_rather_long_queue_name_{n}" for n in range(30)], file)
    from matplotlib.image import imread

    return plot, imread(file)


@pytest.mark.parametrize("kind", ["loss", "scores", "confusion"])
def test_a_picture_has_its_own_white_ground_and_nothing_touches_its_edge(tmp_path, kind):
    """On a dark client a transparent ground hides dark ink; ink at the very edge is cut."""
    _, pixels = draw(kind, tmp_path)
    assert pixels.shape[1] >= 900
    assert pixels.shape[2] == 3 or float(pixels[..., 3].min()) == 1.0
    for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
        assert float(edge[..., :3].min()) > 0.99
    assert (tmp_path / f"{kind}.png").stat().st_size < 150_000


def test_the_alternative_text_carries_the_figures(tmp_path):
    """Read aloud, each picture says what it shows."""
    assert draw("scores", tmp_path)[0].alt == "Bar chart: Majority class 12.0%, Tuned with LoRA 96.0%"
    assert draw("loss", tmp_path)[0].alt.endswith("from 2.00 to 0.07, last validation loss 1.00")
    assert "on the diagonal" in draw("confusion", tmp_path)[0].alt


def test_many_queues_show_the_most_confused_twelve(tmp_path):
    """77 rows of a table cannot be read on a phone; the title says how many there are."""
    assert draw("confusion", tmp_path)[0].title == "The 12 most confused of 30"


def test_one_noisy_last_step_does_not_bend_the_smoothed_curve():
    """Near the ends the average is over fewer steps, never over copies of the last one."""
    losses = np.array([0.1] * 199 + [0.4])
    assert _smooth(losses)[-1] < 0.14
    assert _smooth(np.array([2.0, 1.0])).tolist() == [2.0, 1.0]


def test_a_mistake_has_another_colour_than_a_right_answer(tmp_path):
    """Equal counts on and off the diagonal: green and orange, so the eye need not follow the numbers."""
    truth = np.array([0] * 6 + [1] * 6)
    prediction = np.array([0] * 3 + [1] * 3 + [1] * 6)
    plot = confusion_plot(truth, prediction, ["costs $5", "or $10_each"], tmp_path / "two.png")
    from matplotlib.image import imread

    pixels = imread(tmp_path / "two.png")[..., :3]
    red_over_green = pixels[..., 0] - pixels[..., 1]
    assert (red_over_green > 0.2).sum() > 2000
    assert (red_over_green < -0.2).sum() > 2000
    assert "most often costs $5 taken for or $10_each 3 times" in plot.alt


def test_a_name_longer_than_two_lines_says_that_it_is_cut():
    """A cut name is not another queue's, and dollar signs are no formula."""
    assert _wrap("one two three", 5) == "one\ntwo …"
    assert _wrap("one two", 5) == "one\ntwo"
    assert _wrap("a_b", 5) == "a b"
    assert _wrap("$5 or $6", 20) == r"\$5 or \$6"


def test_both_queues_of_a_frequent_mistake_are_shown():
    """The most frequent pairs come first, each with the queue it was taken for."""
    truth = np.concatenate([np.full(9, 3), np.full(5, 20), np.arange(30)])
    prediction = np.concatenate([np.full(9, 28), np.full(5, 7), np.arange(30)])
    pairs = _most_confused(truth, prediction, range(30))
    assert {3, 28, 20, 7} <= set(pairs)
    assert len(pairs) == 12
