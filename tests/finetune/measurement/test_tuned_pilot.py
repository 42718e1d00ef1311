"""What a LoRA pilot says about more rows: its gain shrinks with the distance and is not carried too far."""

from __future__ import annotations

import pytest

from finetune.evaluation.forecast import ForecastPoint
from finetune.evaluation.predictions import SystemScore
from finetune.measurement.pilot import RECIPE, Pilot, expected, plan_pilot, training_s, within_reach
from finetune.reports.parts import Interval
from tests.finetune.measurement.measuring import cut_sample


def base(rows: int, value: float = 0.9) -> ForecastPoint:
    return ForecastPoint(rows, 1.0, value, value - 0.01, value + 0.01, value - 0.02, value + 0.02, "number")


def pilot(rows: int, gain: float = 0.04, whole: bool = False) -> Pilot:
    value = Interval(0.9, 0.87, 0.93)
    line = SystemScore("Tuned with LoRA", "tuned", value, value, 60.0)
    return Pilot(rows, 300, 3, 60.0, line, "SVM", Interval(gain, gain - 0.02, gain + 0.02), "ab12", whole)


def test_a_pilot_on_all_rows_is_the_full_run() -> None:
    """Nothing is taken off where the pilot saw every row."""
    assert expected(base(1_000), pilot(1_000)).value == pytest.approx(0.94)


def test_a_gain_shrinks_as_rows_are_added() -> None:
    """As on BANKING77, where +0.6 points at a quarter of the rows became +0.2 on all."""
    values = [expected(base(rows), pilot(1_000)).value - 0.9 for rows in (1_000, 2_000, 4_000)]
    assert values == sorted(values, reverse=True)
    assert 0.01 < values[-1] < 0.03


def test_an_unsure_gain_widens_the_band() -> None:
    """The fine-tune's band is wider than that of the cheap method it is added to."""
    estimate = expected(base(1_000), pilot(1_000))
    assert estimate.high - estimate.low > 0.02
    assert estimate.wide_high - estimate.wide_low > 0.04


def test_a_small_pilot_says_nothing_about_far_more_rows() -> None:
    """272 rows tell nothing about 73,789; what is near enough is told."""
    assert within_reach([base(73_789)], pilot(272)) == ()
    assert [item.rows for item in within_reach([base(73_789), None, base(1_000)], pilot(272))] == [1_000]


def test_a_full_training_is_more_certain_than_a_pilot_of_the_same_rows() -> None:
    """What a job measured on the same held-out rows keeps only the noise of the seed."""
    full, small = (expected(base(1_000), pilot(1_000, whole=whole)) for whole in (True, False))
    assert full.value == small.value
    assert full.wide_high - full.wide_low < small.wide_high - small.wide_low


def test_the_pilot_is_the_fine_tune_where_the_time_allows() -> None:
    """All rows and the job's epochs first, then fewer epochs, then fewer rows; none is told as one that does not fit."""
    sample = cut_sample(100, 20, 40)
    plans = [plan_pilot(sample, seconds, 0.01) for seconds in (1_000.0, 22.0, 14.0, 0.0)]
    shapes = [(plan.rows, plan.epochs, plan.fits) for plan in plans if plan]
    assert shapes == [(100, RECIPE.epochs, True), (100, 3, True), (50, 3, True), (100, 3, False)]


@pytest.mark.parametrize(
    ("rows", "epochs", "dev", "embedding_s", "cpu_s"),
    [
        (396, 5, 59, 0.0038, 33.0),
        (1_080, 3, 169, 0.0027, 38.6),
        (271, 3, 44, 0.0289, 162.4),
        (196, 2, 42, 0.0032, 9.6),
        (162, 2, 28, 0.0208, 50.4),
        (108, 2, 18, 0.0250, 41.1),
    ],
)
def test_measured_trainings_lie_within_a_factor_of_what_is_planned(
    rows: int, epochs: int, dev: int, embedding_s: float, cpu_s: float
) -> None:
    """Bundled tickets, banking77, e-mails of 300 words, Italian, German and Spanish by benchmarks/estimates.py (docs/performance.md)."""
    assert 1 / 1.5 < cpu_s / training_s(rows, epochs, dev, embedding_s) < 1.5
