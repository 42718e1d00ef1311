"""The measurement as one picture for a phone: the learning curve with its forecast above, the money below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.evaluation.forecast import ForecastPoint, Point
from finetune.pricing import money as dollars
from finetune.reports.parts import Plot

INK, CURVE, AHEAD, TARGET, FAINT = "#1d1c1d", "#0b6e4f", "#3b82c4", "#c2410c", "#d9dce1"
TUNED = "#7c3aed"
BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
FIGURE: dict[str, Any] = {
    "textcoords": "offset points",
    "ha": "right",
    "fontsize": 13,
    "weight": "bold",
    "bbox": BOX,
}
FILE = "verdict.png"
TITLE_WIDTH = 36  # characters that a line of the title has room for


@dataclass(frozen=True)
class Picture:
    """What the verdict's picture shows; scores are shares.

    `lines` are baselines (name, score); `ahead` what more tickets are expected to bring, `finetune` the fine-tune on
    today's, `tuned_later` the fine-tune at the sizes of `ahead`. `money` is (option, dollars a month), `once` says
    what is paid once.
    """

    title: str
    metric: str
    target: float
    points: Sequence[Point]
    lines: Sequence[tuple[str, float]]
    ahead: Sequence[ForecastPoint]
    finetune: ForecastPoint | None
    tuned_later: Sequence[ForecastPoint] = ()
    money: Sequence[tuple[str, float]] = ()
    once: str = ""


def verdict_plot(file: Path, picture: Picture) -> Plot:
    """Draw both panels and return the plot's entry of the report."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    is_choice = len(picture.money) > 1  # one bar alone compares nothing: it is a line of text
    size = (6.4, 8.6) if is_choice else (6.4, 6.6)
    figure = Figure(figsize=size, dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 1, height_ratios=[1.75, 1]) if is_choice else [figure.subplots()]
    upper = panels[0]
    _curve(upper, picture)
    if picture.finetune and picture.tuned_later:
        _tuned_later(upper, [picture.finetune, *picture.tuned_later])
    figure.suptitle(
        wrap(picture.title, TITLE_WIDTH), fontsize=18, x=0.02, ha="left", color=INK, weight="bold"
    )
    upper.set_title(_in_figures(picture), fontsize=14, loc="left", color=INK)
    if is_choice:
        _money(panels[1], picture.money, picture.once)
    elif text := "\n".join(filter(None, (_running(picture.money), picture.once))):
        figure.supxlabel(text, fontsize=13, x=0.02, ha="left", color=INK)
    for axes in panels:
        axes.tick_params(labelsize=12, colors=INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(file)
    return Plot(file.name, picture.title, _alt(picture))


def wrap(text: str, width: int) -> str:
    """The text in lines of at most `width` characters."""
    return "\n".join(textwrap.wrap(text, width))


def _curve(axes: Any, picture: Picture) -> None:
    """The upper panel: what was measured, what is expected, and the lines to compare with."""
    points, ahead, finetune, target = picture.points, picture.ahead, picture.finetune, picture.target
    sizes, means = _spread_curve(axes, points)
    if ahead and sizes:
        _ahead(axes, sizes[-1], means[-1], ahead, above=not picture.tuned_later)
    if finetune:
        _star(axes, finetune)
    axes.axhline(100 * target, color=TARGET, linewidth=2.5, label=f"your target: {100 * target:.1f}%")
    for style, (name, value) in zip(("--", ":", "-."), picture.lines, strict=False):
        label = f"{name}: {100 * value:.1f}%"
        axes.axhline(100 * value, color="#6b7280", linewidth=1.6, linestyle=style, label=label)
    if sizes:
        axes.set_xscale("log")
        right = max([*sizes, *(item.rows for item in ahead), finetune.rows if finetune else 0])
        _rows_axis(axes, sizes[0], right)
    values = [*means, 100 * target, *(100 * value for _, value in picture.lines)]
    values += [100 * item.wide_high for item in ahead] + ([100 * finetune.wide_high] if finetune else [])
    axes.set_ylim(max(0, min(values) - 6), min(101.5, max(values) + 3))
    axes.set_xlabel("tickets trained on", fontsize=13)
    axes.set_ylabel({"accuracy": "right answers, %", "macro_f1": "macro-F1, %"}[picture.metric], fontsize=13)
    axes.grid(axis="y", color=FAINT)
    axes.legend(fontsize=11.5, loc="lower right", framealpha=0.92, edgecolor="none")


def _spread_curve(axes: Any, points: Sequence[Point]) -> tuple[list[int], list[float]]:
    """The measured curve with the spread of its seeds; sizes and mean scores in percent."""
    sizes = sorted({point.rows for point in points})
    groups = [np.array([p.score for p in points if p.rows == size]) for size in sizes]
    means = [100 * float(group.mean()) for group in groups]
    spread = [100 * float(group.std(ddof=1)) if len(group) > 1 else 0.0 for group in groups]
    if sizes:
        look = {"fmt": "o-", "color": CURVE, "linewidth": 3, "markersize": 8, "capsize": 4}
        axes.errorbar(sizes, means, yerr=spread, label="measured on held-out tickets", **look)
    return sizes, means


def _ahead(axes: Any, last: int, today: float, ahead: Sequence[ForecastPoint], above: bool) -> None:
    """The forecast with its band, two of its sizes written out above it, or below where a fine-tune's line lies above."""
    x = [last, *(item.rows for item in ahead)]
    down, up = (
        100 * (ahead[0].value - ahead[0].wide_low),
        100 * (ahead[0].wide_high - ahead[0].value),
    )  # today's figure is as uncertain for other tickets as the nearest forecast: the band begins with that width
    low = [today - down, *(100 * item.wide_low for item in ahead)]
    high = [today + up, *(100 * item.wide_high for item in ahead)]
    axes.fill_between(x, low, high, color=AHEAD, alpha=0.22, linewidth=0, label="forecast, 90% band")
    axes.plot(x, [today, *(100 * item.value for item in ahead)], "--", color=AHEAD, linewidth=2.5)
    for item in {ahead[len(ahead) // 2].rows: ahead[len(ahead) // 2], ahead[-1].rows: ahead[-1]}.values():
        place = (item.rows, 100 * item.value)
        axes.plot(*place, "o", color="white", markeredgecolor=AHEAD, markersize=10, mew=2.5)
        axes.annotate(f"{100 * item.value:.1f}%", place, (0, 11 if above else -24), color=AHEAD, **FIGURE)


def _star(axes: Any, finetune: ForecastPoint) -> None:
    axes.errorbar(
        finetune.rows,
        100 * finetune.value,
        color=TUNED,
        fmt="*",
        markersize=17,
        capsize=5,
        yerr=[[100 * (finetune.value - finetune.wide_low)], [100 * (finetune.wide_high - finetune.value)]],
        label=f"fine-tune expected: {100 * finetune.value:.1f}%",
    )


def _tuned_later(axes: Any, later: Sequence[ForecastPoint]) -> None:
    """The fine-tune with more tickets, a line from its star, the last size written out."""
    x, y = [item.rows for item in later], [100 * item.value for item in later]
    axes.plot(x, y, ":", color=TUNED, linewidth=2.5)
    axes.annotate(f"{y[-1]:.1f}%", (x[-1], y[-1]), (0, 9), color=TUNED, **FIGURE)


def _rows_axis(axes: Any, left: int, right: int) -> None:
    """A few round numbers on a logarithmic axis, written out."""
    from matplotlib.ticker import NullFormatter, NullLocator

    marks = [m * 10**e for e in range(1, 8) for m in (1, 2, 5) if 0.9 * left <= m * 10**e <= 1.1 * right]
    marks = marks[:: max(1, len(marks) // 5)]
    axes.set_xticks(marks, [f"{mark:,}" for mark in marks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.85 * left, 1.2 * right)


def _money(axes: Any, money: Sequence[tuple[str, float]], once: str) -> None:
    """One bar per way of running it, its name above the bar, so that a phone's width goes to the figures."""
    top = max([*(value for _, value in money), 1.0])
    for at, (name, value) in enumerate(reversed(money)):
        axes.barh(at, value, color=CURVE, height=0.36)
        axes.text(0.01 * top, at + 0.25, name, va="bottom", fontsize=12.5, color=INK)
        axes.text(value + 0.015 * top, at, dollars(value), va="center", fontsize=13, color=INK, weight="bold")
    axes.set_xlim(0, 1.15 * top)
    axes.set_ylim(-0.4, len(money) - 0.3)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_title("Running it, dollars a month", fontsize=14, loc="left", color=INK, weight="bold")
    axes.set_xlabel(once, fontsize=12.5, loc="left", color=INK)


def _running(money: Sequence[tuple[str, float]]) -> str:
    """What the only way of running it costs."""
    return "".join(f"Running it: {dollars(value)} a month ({name})" for name, value in money)


def _in_figures(picture: Picture) -> str:
    """The target, the best of today (a prompt's score too) and what is expected, in two lines that fit a phone."""
    ahead, finetune = picture.tuned_later or picture.ahead, picture.finetune
    last = max(picture.points, key=lambda point: point.rows, default=None)
    today = [score for _, score in picture.lines] + ([last.score] if last else [])
    now = [f"your target {100 * picture.target:.1f}%"]
    now += [f"best without a fine-tune {100 * max(today):.1f}%"] if today else []
    later = [f"fine-tune {100 * finetune.value:.1f}%"] if finetune else []
    later += [f"with {ahead[-1].rows:,} tickets {100 * ahead[-1].value:.1f}%"] if ahead else []
    parts = [" · ".join(now), "expected: " + " · ".join(later) if later else ""]
    return "\n".join(line for line in parts if line)


def _alt(picture: Picture) -> str:
    last, finetune = max(picture.points, key=lambda point: point.rows, default=None), picture.finetune
    parts = [f"Learning curve: {100 * last.score:.1f}% at {last.rows:,} tickets"] if last else ["No curve"]
    parts += [f"{100 * a.value:.1f}% forecast at {a.rows:,}" for a in picture.ahead]
    parts += [f"fine-tune {100 * finetune.value:.1f}%"] if finetune else []
    return ", ".join([*parts, f"target {100 * picture.target:.1f}%"])
