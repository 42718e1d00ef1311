"""The plot of a dataset: tickets per queue (or week), and the problems of its rows.

Large type on an opaque background, readable on a phone in dark and in light mode.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from statistics import median
from typing import Any

from finetune.data.card import Card, issues

INK, MUTED, GROUND = "#1d1c1d", "#5b5f66", "#ffffff"
BAR, FEW, ISSUE = "#0b6e4f", "#c2410c", "#b45309"
MAX_BARS = 14
MAX_ISSUES = 6
ENOUGH = 50  # tickets per queue that make training worth a try


def card_png(card: Card) -> bytes:
    """The plot as PNG, about 1,000 pixels wide; needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars, title = _bars(card)
    rows = issues(card)[:MAX_ISSUES]
    heights = [1.0 + 0.42 * len(bars), 0.7 + 0.42 * max(1, len(rows))]
    figure = Figure(figsize=(6.4, sum(heights) + 0.7), dpi=160, facecolor=GROUND, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_wrap(f"{card.name} v{card.version}: {card.rows:,} tickets", 36), fontsize=18, color=INK)
    above, below = figure.subplots(2, 1, height_ratios=heights)
    colors = [
        FEW if card.classes and count < ENOUGH and name in dict(card.classes) else BAR for name, count in bars
    ]
    few = f"\norange: under {ENOUGH}, few to learn from" if FEW in colors else ""
    _draw(above, bars, colors, title + few)
    if rows:
        _draw(below, rows, [ISSUE] * len(rows), "Rows left out, changed or doubtful", of=card.rows)
    else:
        _nothing(below, "No row was left out, changed or doubtful")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def card_alt(card: Card) -> str:
    """The alt text of the plot, for screen readers."""
    bars, title = _bars(card)
    figures = ", ".join(f"{name} {count}" for name, count in bars)
    wrong = ", ".join(f"{name} {count}" for name, count in issues(card)) or "none"
    return f"Bar chart. {title}: {figures}. Issues: {wrong}."


def _bars(card: Card) -> tuple[list[tuple[str, int]], str]:
    """Queues by size (the smallest summed up), or months or weeks where there are no queues."""
    if card.classes:
        if len(card.classes) <= MAX_BARS:
            return list(card.classes), "Tickets per queue"
        rest = card.classes[MAX_BARS - 3 : -2]
        middle = (f"({len(rest)} others, median)", round(median(count for _, count in rest)))
        bars = [*card.classes[: MAX_BARS - 3], middle, *card.classes[-2:]]
        return bars, f"Tickets per queue, {len(card.classes)} queues"
    if card.weeks:
        months: dict[str, int] = {}
        for monday, count in card.weeks:
            months[monday[:7]] = months.get(monday[:7], 0) + count
        if len(months) > 2:
            return list(months.items())[-MAX_BARS:], "Tickets per month"
        return list(card.weeks)[-MAX_BARS:], "Tickets per week (from Monday)"
    sides = [(side, int(card.splits.get(side, 0))) for side in ("train", "dev", "test")]
    return [(name, count) for name, count in sides if count], "Tickets per side of the split"


def _draw(axes: Any, bars: Sequence[tuple[str, int]], colors: Sequence[str], title: str, of: int = 0) -> None:
    """Horizontal bars with their numbers at the end (and the share `of` all rows); no axis."""
    places = range(len(bars) - 1, -1, -1)
    most = max(count for _, count in bars)
    axes.barh(places, [count for _, count in bars], color=colors, height=0.66)
    for place, (_, count) in zip(places, bars, strict=True):
        share = f"  {100 * count / of:.2g}%" if of else ""
        axes.text(count + most * 0.015, place, f"{count:,}{share}", va="center", fontsize=14, color=INK)
    axes.set_yticks(
        places, [_label(name, at) for at, (name, _) in enumerate(bars, 1)], fontsize=13, color=INK
    )
    axes.set_xlim(0, most * (1.4 if of else 1.2))
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=13, loc="left", color=MUTED)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(MUTED)


def _label(name: str, place: int) -> str:
    """The name as it can be drawn: one in letters that the font lacks becomes its place in the card's list."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    letters = FT2Font(findfont("DejaVu Sans")).get_charmap()
    if any(ord(letter) not in letters for letter in name):
        return f"no. {place} (see the card)"
    return _wrap(name.replace("_", " "), 26)


def _nothing(axes: Any, sentence: str) -> None:
    axes.axis("off")
    axes.text(0, 0.5, sentence, fontsize=14, color=INK, va="center", transform=axes.transAxes)


def _wrap(text: str, width: int) -> str:
    """At most two lines, without what matplotlib would read as mathematics."""
    lines = textwrap.wrap(text.replace("$", "\\$"), width, max_lines=2, placeholder=" …") or [text]
    return "\n".join(lines)
