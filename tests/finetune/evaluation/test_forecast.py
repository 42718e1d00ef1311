"""The forecast: right on curves that are known, honest in its band, and silent where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.forecast import Forecast, Point, forecast
from finetune.evaluation.learning_curve import sizes

FULL = 2_000


def curve_points(
    error: object, seed: int = 0, noise: float = 0.0, seeds: int = 3, full: int = FULL
) -> list[Point]:
    """Points of a curve whose error is `error(n)`, with noise that shrinks like 1/sqrt(n)."""
    rng = np.random.default_rng(seed)
    return [
        Point(size, at, float(np.clip(1 - error(size) + noise * rng.normal() * np.sqrt(full / size), 0, 1)))  # type: ignore[operator]
        for size in sizes(full)
        for at in range(1 if size == full else seeds)
    ]


def ahead(points: list[Point], floor: float = 0.05, held_out: int = 2_000) -> Forecast:
    return forecast(points, [2 * FULL, 4 * FULL], held_out, floor)


@pytest.mark.parametrize(("b", "c"), [(0.4, 0.02), (0.5, 0.05), (0.5, 0.2), (0.8, 0.1)])
def test_a_power_law_is_forecast_within_a_point_at_twice_the_rows(b: float, c: float) -> None:
    """LabelNoise-free power laws with an asymptote: at most 1 point off at 2x, 2 points at 4x."""

    def error(n: float) -> float:
        return 0.3 * (n / 250) ** -b + c

    outlook = ahead(curve_points(error))
    assert outlook.refused is None
    for item, tolerance in zip(outlook.ahead, (0.012, 0.02), strict=True):
        assert abs(item.value - (1 - error(item.rows))) < tolerance


def test_a_levelled_curve_stays_level() -> None:
    """A curve that has reached its ceiling is forecast to stay there, and is called levelling."""
    outlook = ahead(curve_points(lambda n: 0.12, noise=0.004))
    assert outlook.slope == "levelling"
    assert abs(outlook.ahead[0].value - 0.88) < 0.01


def test_noisy_curves_fall_into_the_band() -> None:
    """Of 60 noisy curves at least 80% of the outcomes lie in the 90% band at 2x."""

    def error(n: float) -> float:
        return 0.25 * (n / 250) ** -0.5 + 0.04

    inside = 0
    for seed in range(60):
        item = ahead(curve_points(error, seed, noise=0.006)).ahead[0]
        inside += item.low <= 1 - error(item.rows) <= item.high
    assert inside >= 48


def test_three_sizes_are_too_few() -> None:
    """Fewer than four sizes: refused, with what to do."""
    outlook = forecast([Point(n, 0, s) for n, s in ((50, 0.5), (100, 0.6), (200, 0.7))], [400], 200, 0.1)
    assert outlook.ahead == ()
    assert "at least 4" in str(outlook.refused)


def test_a_curve_at_the_level_of_guessing_is_refused() -> None:
    """Still flat at the largest class's share: nothing learned, no forecast."""
    outlook = ahead(curve_points(lambda n: 0.7, noise=0.005), floor=0.3)
    assert "flat" in str(outlook.refused)


def test_a_falling_curve_is_refused() -> None:
    """A score that falls as rows are added is no learning curve."""
    outlook = ahead(curve_points(lambda n: 0.1 + n / 10_000, noise=0.001))
    assert "falls" in str(outlook.refused)


def test_beyond_four_times_only_a_direction() -> None:
    """A number up to 2x, a band up to 4x, a direction beyond."""
    outlook = forecast(curve_points(lambda n: 3 * n**-0.5), [2 * FULL, 4 * FULL, 10 * FULL], 2_000, 0.05)
    assert [item.trust for item in outlook.ahead] == ["number", "band", "direction"]


def test_fewer_held_out_rows_widen_the_band() -> None:
    """100 held-out rows say less than 3,000."""
    points = curve_points(lambda n: 3 * n**-0.5)
    few, many = (ahead(points, held_out=n).ahead[0] for n in (100, 3_000))
    assert few.high - few.low > 2 * (many.high - many.low)
    assert few.wide_high - few.wide_low > few.high - few.low


def test_a_pilot_of_few_rows_has_a_wider_band() -> None:
    """The same curve from 80 rows and from 800, as far ahead and with as many held-out rows: 80 tell less."""
    widths = []
    for full in (80, 800):
        points = curve_points(lambda n, full=full: 0.4 * (n / full) ** -0.3, full=full)
        item = forecast(points, [2 * full], 2_000, 0.05).ahead[0]
        widths.append(item.high - item.low)
    assert widths[0] > 1.5 * widths[1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.integers(20, 5_000), st.floats(0, 0.9))
def test_any_scores_give_a_finite_ordered_answer_or_a_reason(
    scores: list[float], held_out: int, floor: float
) -> None:
    """Whatever the points, values are shares in order low <= value <= high, or there is a reason."""
    outlook = forecast(
        [Point(n, 0, s) for n, s in zip(sizes(FULL), scores, strict=True)], [2 * FULL], held_out, floor
    )
    if outlook.refused:
        assert outlook.ahead == ()
    else:
        item = outlook.ahead[0]
        assert 0 <= item.wide_low <= item.low <= item.value <= item.high <= item.wide_high <= 1


def test_the_same_points_give_the_same_forecast() -> None:
    """Deterministic: bootstrap draws are seeded."""
    points = curve_points(lambda n: 3 * n**-0.5, noise=0.01)
    assert ahead(points) == ahead(points)
