"""From a pilot's learning curve to the score on more rows, with a 90% band, or a refusal that says why.

The value is the mean of two forms (finetune/evaluation/forecast.py): one starts at guessing and levels off, the
other is a power_law power law of the last four sizes; from early points the first is too low and the second too
high. The band adds up what was found to explain the errors on eleven sets (docs/quality.md): how
far ahead the gain lies, what the held-out rows cannot resolve, how few rows the pilot has, and, least, the bootstrapped curve and the
disagreement of the forms. Pure: no I/O. Does not cover a change of the data itself: new classes, other
months.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

NUMBER_UP_TO = 2.0  # times the pilot's rows: a number
BAND_UP_TO = 4.0  # a band; beyond it only a direction
DRAWS = 120
CURVE_NOISE, FORMS, HELD_OUT, GAIN, SCALE = 0.02, 0.006, 1.02, 0.042, 1.07  # fitted: --calibrate
FEW = 3.0  # over the rows of the pilot: what a curve of few rows is off by beside all that, as a share
FAR = 0.4  # exponent of the distance, for the band beyond BAND_UP_TO
Z90 = 1.645


@dataclass(frozen=True)
class Point:
    """One measured point of the curve: `score` (0..1) on the held-out rows after training on `rows` rows."""

    rows: int
    seed: int
    score: float


@dataclass(frozen=True)
class ForecastPoint:
    """The score expected at `rows` on the same held-out rows; `wide_*` is the band for other tickets."""

    rows: int
    times: float
    value: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    trust: str  # number | band | direction


@dataclass(frozen=True)
class Forecast:
    """The forecasts, or `refused` with the reason and the advice (then `ahead` is empty)."""

    ahead: tuple[ForecastPoint, ...]
    refused: str | None = None
    slope: str = ""  # rising | levelling

    def to_json(self) -> dict[str, Any]:
        return {"ahead": [asdict(item) for item in self.ahead], "refused": self.refused, "slope": self.slope}

    def at(self, rows: int) -> ForecastPoint | None:
        return next((item for item in self.ahead if item.rows == rows), None)


def forecast(
    points: Sequence[Point], at: Sequence[int], held_out: int, floor: float, seed: int = 0
) -> Forecast:
    """The scores at the sizes `at` (rows), from points of >= 4 sizes.

    `held_out` is the number of rows behind each score; `floor` the score of always guessing the largest
    class.
    """
    sizes, means, spread = curve(points)
    reason = refusal(sizes, means, spread, held_out, floor)
    if reason:
        return Forecast((), reason)
    sizes_ahead = np.array(sorted(set(at)), dtype=float)
    curves = np.vstack([means, _bootstrap_curves(points, sizes, means, spread, np.random.default_rng(seed))])
    both = np.stack(
        [
            1 - sigmoid(sizes, 1 - curves, sizes_ahead, 1 - floor),
            1 - power_law(sizes, 1 - curves, sizes_ahead),
        ]
    )
    ahead = tuple(
        _ahead(int(rows), rows / sizes[-1], means[-1], both[:, :, i], held_out)
        for i, rows in enumerate(sizes_ahead)
    )
    gain = ahead[-1].value - means[-1] if ahead else 0.0
    return Forecast(ahead, None, "rising" if gain > 0.005 else "levelling")


def curve(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes ascending, the mean score and the standard deviation over seeds at each (pooled where one
    seed).
    """
    sizes = np.array(sorted({point.rows for point in points}), dtype=float)
    groups = [np.array([p.score for p in points if p.rows == size]) for size in sizes]
    means = np.array([group.mean() for group in groups])
    deviations = [
        group.std(ddof=1) * np.sqrt(size) for group, size in zip(groups, sizes, strict=True) if len(group) > 1
    ]
    deviation = float(np.sqrt(np.mean(np.square(deviations)))) if deviations else 0.0
    return sizes, means, deviation / np.sqrt(sizes)


def refusal(
    sizes: np.ndarray, means: np.ndarray, spread: np.ndarray, held_out: int, floor: float
) -> str | None:
    """The reason why no forecast is given, or None."""
    if len(sizes) < 4:
        return f"Only {len(sizes)} sizes were measured and a curve needs at least 4: label more tickets."
    noise = np.sqrt(means * (1 - means) / held_out)
    if means[-1] - floor < 2 * noise[-1]:
        return (
            "The curve is still flat at the level of guessing the largest class: nothing has been "
            "learned yet."
        )
    drop = np.maximum.accumulate(means)[-1] - means[-1]
    if drop > max(0.01, 2 * float(np.hypot(spread[-1], spread[int(np.argmax(means))]))):
        return (
            "The score falls as rows are added: look for a change in the data or wrong labels in the "
            "later rows."
        )
    return None


def _ahead(rows: int, times: float, today: float, both: np.ndarray, held_out: int) -> ForecastPoint:
    """`both` is (form, draw): draw 0 is the measured curve, the others are bootstrapped."""
    value = float(both[:, 0].mean())
    resolution = max(value * (1 - value), 0.002) / held_out
    sigma = (
        SCALE
        * np.sqrt(
            CURVE_NOISE * both[:, 1:].mean(axis=0).var()
            + FORMS * (both[0, 0] - both[1, 0]) ** 2
            + HELD_OUT * resolution * np.log2(max(times, 1.1))
            + GAIN * (value - today) ** 2
            + (FEW * times / rows) ** 2
        )
        * max(1.0, times / BAND_UP_TO) ** FAR
    )
    band = [
        float(np.clip(value + sign * Z90 * s, 0, 1))
        for s in (sigma, np.hypot(sigma, resolution**0.5))
        for sign in (-1, 1)
    ]
    trust = (
        "number" if times <= 1.05 * NUMBER_UP_TO else "band" if times <= 1.05 * BAND_UP_TO else "direction"
    )
    return ForecastPoint(rows, float(times), value, band[0], band[1], band[2], band[3], trust)


def _bootstrap_curves(
    points: Sequence[Point],
    sizes: np.ndarray,
    means: np.ndarray,
    spread: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Bootstrapped mean curves (DRAWS, sizes): resamples the seeds and adds the pooled spread for single seeds."""
    count = np.array([sum(1 for p in points if p.rows == size) for size in sizes])
    error = spread / np.sqrt(count)
    return np.clip(means + rng.normal(size=(DRAWS, len(sizes))) * error, 0.0, 1.0)


EXPONENTS = np.linspace(0.2, 2.0, 19)
TURNS = 36
MIN_ERROR = 1e-4


def sigmoid(sizes: np.ndarray, errors: np.ndarray, rows: np.ndarray, at_zero: float) -> np.ndarray:
    """The form that starts at chance; for each (b, k) of a grid the floor c in [0, 1] is solved exactly."""
    weight = sizes / sizes.sum()
    best = np.full(len(errors), np.inf)
    result = np.zeros((len(errors), len(rows)))
    turns = np.geomspace(sizes[0] / 64, sizes[-1] * 2, TURNS)
    for exponent in EXPONENTS:
        for turn in turns:
            fall = 1 / (1 + (sizes / turn) ** exponent)
            ahead = 1 / (1 + (rows / turn) ** exponent)
            rise, target = 1 - fall, errors - at_zero * fall
            floor = np.clip((target * rise) @ weight / float((rise * rise) @ weight), 0.0, 1.0)
            loss = ((target - floor[:, None] * rise) ** 2) @ weight
            better = loss < best
            best = np.where(better, loss, best)
            curve_ahead = floor[:, None] * (1 - ahead) + at_zero * ahead
            result = np.where(better[:, None], curve_ahead, result)
    return result


def power_law(sizes: np.ndarray, errors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A straight line between the logarithms of the last four sizes and their errors; never rising."""
    x = np.log(sizes[-4:] / sizes[-1])
    y = np.log(np.maximum(errors[:, -4:], MIN_ERROR))
    weight = sizes[-4:] / sizes[-4:].sum()
    middle = float(x @ weight)
    height = y @ weight
    slope = ((y - height[:, None]) * (x - middle)) @ weight / float(((x - middle) ** 2) @ weight)
    slope = np.minimum(slope, 0.0)
    curve_ahead: np.ndarray = np.exp(height[:, None] + slope[:, None] * (np.log(rows / sizes[-1]) - middle))
    return curve_ahead
