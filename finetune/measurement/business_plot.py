"""Plots the business case for a slide: each alternative's monthly net and automatic share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.measurement.business import BusinessCase
from finetune.measurement.plots import wrap
from finetune.pricing import money
from finetune.reports.costs import CaseLine
from finetune.reports.parts import Plot

INK, GOOD, BAD, FAINT = "#1d1c1d", "#0b6e4f", "#c2410c", "#6b7280"
BUSINESS_FILE = "business.png"
MAX_LINES, TITLE_WIDTH = 6, 52


def business_plot(case: BusinessCase, file: Path) -> Plot:
    """Draw one bar per alternative that was measured and return the plot's entry of the report."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [line for line in case.lines if line.share is not None][:MAX_LINES]
    figure = Figure(figsize=(8.0, 1.9 + 0.95 * len(lines)), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    work, best = case.workload, case.best
    figure.suptitle(
        wrap(_title(case), TITLE_WIDTH), fontsize=17, x=0.012, ha="left", color=INK, weight="bold"
    )
    axes.set_title(
        f"{work.volume:,} tickets a month, {work.minutes_by_hand:g} min each by hand, at most "
        f"{100 * work.error_rate:g}% wrong",
        fontsize=12,
        loc="left",
        color=FAINT,
    )
    _bars(axes, lines, best)
    figure.savefig(file)
    alt = "; ".join(f"{line.name}: {money(line.net_usd)} a month" for line in lines)
    return Plot(file.name, "What it comes to a month", f"Left over a month: {alt}")


def _title(case: BusinessCase) -> str:
    best = case.best
    if best.kind == "nothing" or best.net_usd <= 0:
        return "Nothing pays yet: by hand stays the cheapest"
    share = 100 * best.share.value if best.share else 0
    return (
        f"{best.name[:1].upper()}{best.name[1:]}: {share:.0f}% automatic, saves {money(best.net_usd)} a month"
    )


def _bars(axes: Any, lines: list[CaseLine], best: CaseLine) -> None:
    """A bar per line, its name and share above it, its dollars beside it."""
    top = max([*(abs(line.net_usd) for line in lines), 1.0])
    for at, line in enumerate(reversed(lines)):
        color = BAD if line.net_usd < 0 else GOOD if line.name == best.name else "#8fb9a8"
        axes.barh(at, line.net_usd, color=color, height=0.38)
        share = 100 * line.share.value if line.share else 0.0
        suffix = f": {share:.0f}% automatic, {line.hours:,.0f} h saved" if line.kind != "nothing" else ""
        label = f"{line.name}{suffix}"
        left = min(0.0, min(one.net_usd for one in lines))
        axes.text(left + 0.008 * top, at + 0.26, label, va="bottom", fontsize=12.5, color=INK)
        end = max(line.net_usd, 0.0)
        usd = money(line.net_usd) if line.kind != "nothing" else "nothing saved"
        axes.text(end + 0.015 * top, at, usd, va="center", fontsize=13, color=INK, weight="bold")
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.set_xlim(min(0.0, min(line.net_usd for line in lines)) * 1.05, 1.2 * top)
    axes.set_ylim(-0.4, len(lines) - 0.2)
    axes.set_yticks([])
    axes.set_xticks([])
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(
        "Left over a month: time not spent by hand, minus wrong answers, minus running it",
        fontsize=11,
        loc="left",
        color=FAINT,
    )
