"""From a pilot's learning curve to the score on more rows, with a 90% band, or a refusal that says why.

Two forms are fitted to the error, `a*n^-b + c` on all sizes (weighted by n) and `a*n^-b` on the last four: from early
points the first is usually too low and the second too high, so the value is their mean and the band covers both
(measured: docs/quality.d/forecast.md). Pure: numpy only, no I/O. Does not cover: a change of the data itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

NUMBER_UP_TO = 2.0  # times the pilot's rows: a number
BAND_UP_TO = 4.0  # a band; beyond, only a direction
DRAWS = 300
EXPONENTS = np.linspace(0.05, 1.6, 63)
Z90 = 1.645


@dataclass(frozen=True)
class Point:
    """One measured point of the curve: `score` (0..1) on the held-out rows after training on `rows` rows."""

    rows: int
    seed: int
    score: float


@dataclass(frozen=True)
class Ahead:
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
    """What lies ahead, or `refused` with the reason and what to do about it (then `ahead` is empty)."""

    ahead: tuple[Ahead, ...]
    refused: str | None = None
    slope: str = ""  # rising | levelling

    def to_json(self) -> dict[str, Any]:
        return {"ahead": [asdict(item) for item in self.ahead], "refused": self.refused, "slope": self.slope}

    def at(self, rows: int) -> Ahead | None:
        return next((item for item in self.ahead if item.rows == rows), None)


def forecast(points: Sequence[Point], at: Sequence[int], held_out: int, floor: float, seed: int = 0) -> Forecast:
    """The scores at the sizes `at` (rows), from points of >= 4 sizes.

    `held_out` is the number of rows behind each score; `floor` the score of always guessing the largest class.
    """
    sizes, means, spread = curve(points)
    reason = refusal(sizes, means, spread, held_out, floor)
    if reason:
        return Forecast((), reason)
    rng = np.random.default_rng(seed)
    shaken = _shake(points, sizes, means, spread, rng)
    ahead = tuple(_ahead(sizes, means, spread, shaken, rows, held_out) for rows in sorted(set(at)))
    gain = ahead[-1].value - means[-1] if ahead else 0.0
    return Forecast(ahead, None, "rising" if gain > 0.005 else "levelling")


def curve(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes ascending, the mean score and the standard deviation over seeds at each (pooled where one seed)."""
    sizes = np.array(sorted({point.rows for point in points}), dtype=float)
    groups = [np.array([p.score for p in points if p.rows == size]) for size in sizes]
    means = np.array([group.mean() for group in groups])
    known = [group.std(ddof=1) * np.sqrt(size) for group, size in zip(groups, sizes, strict=True) if len(group) > 1]
    pooled = float(np.sqrt(np.mean(np.square(known)))) if known else 0.0
    return sizes, means, pooled / np.sqrt(sizes)


def refusal(sizes: np.ndarray, means: np.ndarray, spread: np.ndarray, held_out: int, floor: float) -> str | None:
    """Why no forecast may be given, or None."""
    if len(sizes) < 4:
        return f"Only {len(sizes)} sizes were measured and a curve needs at least 4: label more tickets."
    noise = np.sqrt(means * (1 - means) / held_out)
    if means[-1] - floor < 2 * noise[-1]:
        return "The curve is still flat at the level of guessing the largest class: nothing has been learned yet."
    drop = np.maximum.accumulate(means)[-1] - means[-1]
    if drop > max(0.01, 2 * float(np.hypot(spread[-1], spread[int(np.argmax(means))]))):
        return "The score falls as rows are added: look for a change in the data or wrong labels in the later rows."
    return None


def _ahead(
    sizes: np.ndarray, means: np.ndarray, spread: np.ndarray, shaken: np.ndarray, rows: int, held_out: int
) -> Ahead:
    both = predict(sizes, means[None, :], float(rows))
    value = float(both.mean())
    times = rows / sizes[-1]
    draws = predict(sizes, shaken, float(rows)).mean(axis=0)
    sigma = _sigma(float(draws.std()), float(abs(both[0, 0] - both[1, 0])), spread[-1], value, times)
    other = float(np.hypot(sigma, np.sqrt(max(value * (1 - value), 0.002) / held_out)))
    trust = "number" if times <= NUMBER_UP_TO * 1.05 else "band" if times <= BAND_UP_TO * 1.05 else "direction"
    band = [float(np.clip(value + sign * Z90 * s, 0, 1)) for s in (sigma, other) for sign in (-1, 1)]
    return Ahead(int(rows), float(times), value, *band, trust)


def _sigma(draws: float, forms: float, spread: float, value: float, times: float) -> float:
    """Standard error of a forecast: curve noise, disagreement of the forms, and the new rows' own luck."""
    luck = spread / np.sqrt(max(times, 1.0))
    return float(np.sqrt(draws**2 + (0.5 * forms) ** 2 + luck**2 + 0.002**2))


def predict(sizes: np.ndarray, scores: np.ndarray, rows: float) -> np.ndarray:
    """Scores at `rows` by both forms, (2, draws), for curves `scores` (draws, sizes)."""
    errors = 1.0 - scores
    return 1.0 - np.stack([with_asymptote(sizes, errors, rows), plain(sizes, errors, rows)])


def with_asymptote(sizes: np.ndarray, errors: np.ndarray, rows: float) -> np.ndarray:
    """a*n^-b + c with a, c >= 0, weighted by n: for each b of a grid a and c are solved exactly."""
    weight = sizes / sizes.sum()
    best = np.full(len(errors), np.inf)
    result = np.zeros(len(errors))
    centre = errors @ weight
    for exponent in EXPONENTS:
        x = (sizes / sizes[-1]) ** -exponent
        middle = float(x @ weight)
        a = ((errors - centre[:, None]) * (x - middle)) @ weight / float(((x - middle) ** 2) @ weight)
        a = np.maximum(a, 0.0)
        c = centre - a * middle
        through_zero = (errors * x) @ weight / float((x * x) @ weight)
        a, c = np.where(c < 0, through_zero, a), np.maximum(c, 0.0)
        loss = ((errors - a[:, None] * x - c[:, None]) ** 2) @ weight
        better = loss < best
        best = np.where(better, loss, best)
        result = np.where(better, a * (rows / sizes[-1]) ** -exponent + c, result)
    return result


def plain(sizes: np.ndarray, errors: np.ndarray, rows: float) -> np.ndarray:
    """a*n^-b on the last four sizes, a straight line between logarithms; never rising."""
    x = np.log(sizes[-4:] / sizes[-1])
    y = np.log(np.maximum(errors[:, -4:], 1e-4))
    weight = sizes[-4:] / sizes[-4:].sum()
    middle = float(x @ weight)
    slope = ((y - (y @ weight)[:, None]) * (x - middle)) @ weight / float(((x - middle) ** 2) @ weight)
    slope = np.minimum(slope, 0.0)
    return np.asarray(np.exp(y @ weight + slope * (np.log(rows / sizes[-1]) - middle)))


def _shake(
    points: Sequence[Point], sizes: np.ndarray, means: np.ndarray, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Bootstrapped mean curves (DRAWS, sizes): seeds resampled, plus the spread that one seed cannot show."""
    count = np.array([sum(1 for p in points if p.rows == size) for size in sizes])
    error = spread / np.sqrt(count)
    return np.clip(means + rng.normal(size=(DRAWS, len(sizes))) * error, 0.0, 1.0)
