"""Plots for a phone, readable in dark and light mode: wide lines, large type, an opaque white background."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.evaluation.model_card import SIGNS
from finetune.reports.parts import LearningPoint, LossPoint, Plot, Score, SystemLine

INK, TUNED, BASE, FAINT = "#1d1c1d", "#0b6e4f", "#8a8f98", "#d9dce1"
ACCENT = "#c2410c"
MAX_CLASSES = 12
TITLES = SIGNS | {"chrf": "likeness (chrF)"}


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        figsize=(6.4, height),
        dpi=150,
        facecolor="white",
        layout=ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12),
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=12, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def loss_plot(history: Sequence[LossPoint], file: Path) -> Plot:
    """Training loss per step (thin), smoothed (bold), and validation loss per epoch."""
    figure, axes = _figure(4.0)
    train = [(p.step, p.loss) for p in history if p.loss is not None]
    val = [(p.step, p.val_loss) for p in history if p.val_loss is not None]
    if train:
        steps, losses = (np.array(column) for column in zip(*train, strict=True))
        axes.plot(steps, losses, color=TUNED, alpha=0.3, linewidth=1)
        axes.plot(steps, _smooth(losses), color=TUNED, linewidth=3, label="training")
    if val:
        axes.plot(
            *zip(*val, strict=True), "o-", color=ACCENT, linewidth=2.5, markersize=8, label="validation"
        )
    axes.set_xlabel("step", fontsize=13)
    axes.set_ylabel("loss", fontsize=13)
    axes.set_ylim(bottom=0)
    axes.set_title("Loss while training", fontsize=16, loc="left", color=INK)
    axes.grid(axis="y", color=FAINT)
    axes.legend(fontsize=13, frameon=False)
    figure.savefig(file)
    last = f", last validation loss {val[-1][1]:.2f}" if val else ""
    alt = (
        f"Line chart: training loss from {train[0][1]:.2f} to {train[-1][1]:.2f}{last}"
        if train
        else "No loss"
    )
    return Plot(file.name, "Loss while training", alt)


def scores_plot(systems: Sequence[SystemLine], measure: str, file: Path) -> Plot:
    """One bar per system with its 95% interval: before and after, at a glance."""
    figure, axes = _figure(1.4 + 0.62 * len(systems))
    bars = [(system, system.scores[measure].interval) for system in systems]
    top = _top(max(100 * score.high for _, score in bars))
    for at, (system, score) in enumerate(reversed(bars)):
        axes.barh(at, 100 * score.value, color=TUNED if system.tuned else BASE, height=0.62)
        spread = [[100 * (score.value - score.low)], [100 * (score.high - score.value)]]
        axes.errorbar(100 * score.value, at, xerr=spread, color=INK, capsize=4, linewidth=1.6)
        percent = f"{100 * score.value:.1f}%"
        axes.text(
            100 * score.high + top / 50, at, percent, va="center", fontsize=14, color=INK, weight="bold"
        )
    axes.set_yticks(range(len(systems)), [_wrap(s.name, 24) for s in reversed(systems)], fontsize=12)
    axes.set_xlim(0, 1.2 * top)  # room for the figures beside the bars
    axes.set_xticks(range(0, top + 1, top // 5 if top > 20 else 5))
    axes.spines["bottom"].set_bounds(0, top)
    axes.set_xlabel(f"{TITLES.get(measure, measure)} in %, with 95% intervals", fontsize=12, loc="left")
    axes.set_title("Before and after", fontsize=16, loc="left", color=INK)
    figure.savefig(file)
    alt = "Bar chart: " + ", ".join(f"{system.name} {100 * score.value:.1f}%" for system, score in bars)
    return Plot(file.name, "Before and after", alt)


def _top(highest: float) -> int:
    """Where the axis ends: at 100, or earlier where everything is low (likeness mostly is)."""
    return next((top for top in (20, 50) if highest <= top), 100)


def learning_plot(
    curve: Sequence[LearningPoint], finetune: Score, file: Path, cheap: str = "frozen embeddings"
) -> Plot:
    """The `cheap` system's score by tickets learned from, with intervals, and the tuned model's with all of them."""
    figure, axes = _figure(4.2)
    rows, scores, measure = (
        [point.rows for point in curve],
        [point.score for point in curve],
        curve[0].measure,
    )
    axes.errorbar(
        rows,
        *_percent(scores),
        color=BASE,
        fmt="o-",
        linewidth=3,
        markersize=9,
        capsize=4,
        label=cheap,
    )
    axes.errorbar(
        rows[-1:],
        *_percent([finetune]),
        color=TUNED,
        fmt="*",
        markersize=18,
        capsize=5,
        label="tuned",
        clip_on=False,
        zorder=5,
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(rows, [f"{count:,}" for count in rows])
    axes.minorticks_off()
    axes.set_xlim(0.85 * rows[0], 1.2 * rows[-1])
    axes.set_xlabel("tickets learned from", fontsize=13)
    axes.set_ylabel(f"{TITLES.get(measure, measure)} in %", fontsize=13)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 0))
    axes.locator_params(axis="y", nbins=6, integer=True)
    axes.set_title("Learning curve, with 95% intervals", fontsize=16, loc="left", color=INK, pad=34)
    axes.grid(axis="y", color=FAINT)
    axes.legend(fontsize=13, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
    figure.savefig(file)
    course = ", ".join(
        f"{100 * one.value:.1f}% at {count:,}" for one, count in zip(scores, rows, strict=True)
    )
    alt = f"Learning curve of {cheap}, {SIGNS.get(measure, measure)}: {course}; tuned {100 * finetune.value:.1f}%"
    return Plot(file.name, "Learning curve", alt)


def _percent(scores: Sequence[Score]) -> tuple[list[float], list[list[float]]]:
    """Values and their distances to the interval's ends, in percent."""
    bands = [score.interval for score in scores]
    below = [100 * (one.value - one.low) for one in bands]
    return [100 * one.value for one in bands], [below, [100 * (one.high - one.value) for one in bands]]


def confusion_plot(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str], file: Path) -> Plot:
    """Rows are the true queues, columns the predicted; of many classes, those of the most frequent mistakes."""
    classes = [c for c in range(len(names)) if (truth == c).any() or (predicted == c).any()]
    subset = _most_confused(truth, predicted, classes)
    table = np.array([[int(((truth == t) & (predicted == p)).sum()) for p in subset] for t in subset])
    figure, axes = _figure(1.4 + 0.44 * len(subset))
    hits = np.eye(len(subset), dtype=bool)
    most = max(1, table.max())
    for cells, shades in (
        (hits, "Greens"),
        (~hits, "Oranges"),
    ):  # a mistake needs another colour than a right answer
        axes.imshow(
            np.where(cells & (table > 0), table, np.nan),
            cmap=shades,
            vmin=-most / 3,
            vmax=most,
            aspect="auto",
        )
    for (t, p), count in np.ndenumerate(table):
        if count:
            color = "white" if count > 0.55 * most else INK
            axes.text(p, t, str(count), ha="center", va="center", fontsize=12, color=color, weight="bold")
    numbers = [str(at) for at in range(1, len(subset) + 1)]  # twelve rotated names would overlap on a phone
    labels = [f"{_wrap(names[c], 22)}  $\\bf{{{number}}}$" for c, number in zip(subset, numbers, strict=True)]
    axes.set_yticks(range(len(subset)), labels, fontsize=12)
    axes.set_xticks(range(len(subset)), numbers, fontsize=12)
    axes.set_ylabel("true queue", fontsize=13)
    axes.set_xlabel("predicted queue (numbers as on the left)", fontsize=13)
    title = (
        "What is confused"
        if len(subset) == len(classes)
        else f"The {len(subset)} most confused of {len(classes)}"
    )
    axes.set_title(title, fontsize=16, loc="left", color=INK)
    figure.savefig(file)
    pairs = Counter((int(t), int(p)) for t, p in zip(truth, predicted, strict=True) if t != p).most_common(3)
    worst = "; ".join(f"{names[t]} taken for {names[p]} {count} times" for (t, p), count in pairs)
    share = f"{100 * float((truth == predicted).mean()):.0f}% on the diagonal"
    alt = f"Table of true against predicted queues: {share}" + (f"; most often {worst}" if worst else "")
    return Plot(file.name, title, alt)


def _most_confused(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[int]) -> list[int]:
    """At most MAX_CLASSES of `classes`, pair by pair from the most frequent mistake on, so both ends are shown."""
    pairs = Counter((int(t), int(p)) for t, p in zip(truth, predicted, strict=True) if t != p)
    subset: list[int] = []
    for pair, _ in pairs.most_common():
        new = [c for c in pair if c not in subset]
        if len(subset) + len(new) <= MAX_CLASSES:
            subset += new
    rest = [c for c in classes if c not in subset]
    return sorted([*subset, *rest[: MAX_CLASSES - len(subset)]])


def _smooth(values: np.ndarray) -> np.ndarray:
    """A centred moving average over about a tenth of the steps, over fewer towards the ends."""
    kernel = np.ones(2 * (len(values) // 20) + 1)
    return np.convolve(values, kernel, mode="same") / np.convolve(np.ones(len(values)), kernel, mode="same")


def _wrap(text: str, width: int) -> str:
    import textwrap

    lines = textwrap.wrap(text.replace("_", " "), width)
    head = "\n".join(
        [*lines[:1], lines[1] + " …" if len(lines) > 2 else lines[1]] if len(lines) > 1 else lines
    )
    return (head or text).replace("$", r"\$")  # else matplotlib reads a formula
