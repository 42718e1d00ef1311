"""Slack's rules for the two data blocks: charts (data_visualization) and paged tables (data_table)."""

from __future__ import annotations

import math
from typing import Any

from bot.playground.block_kit.elements import Problems, at, need, string

MOST_SERIES, MOST_POINTS, MOST_SEGMENTS = 12, 20, 12


def data_visualization(block: dict[str, Any], path: str, problems: Problems) -> None:
    """A line, bar, area or pie chart; every series has one finite value for each category."""
    if not need(block, ("title", "chart"), path, problems):
        return
    string(block["title"], f"{path}/title", problems, 50, 1)
    chart = block["chart"]
    if not isinstance(chart, dict) or chart.get("type") not in {"line", "bar", "area", "pie"}:
        problems.append(at("must be a valid enum value", f"{path}/chart/type"))
    elif chart["type"] == "pie":
        _segments(chart, f"{path}/chart", problems)
    else:
        _series(chart, f"{path}/chart", problems)


def _segments(chart: dict[str, Any], path: str, problems: Problems) -> None:
    segments = chart.get("segments") or []
    if not 1 <= len(segments) <= MOST_SEGMENTS:
        problems.append(at(f"must have between 1 and {MOST_SEGMENTS} items", f"{path}/segments"))
    for index, segment in enumerate(segments):
        where = f"{path}/segments/{index}"
        string(segment.get("label"), f"{where}/label", problems, 20, 1)
        if not _finite(segment.get("value")) or segment["value"] <= 0:
            problems.append(at("must be more than 0", f"{where}/value"))


def _series(chart: dict[str, Any], path: str, problems: Problems) -> None:
    series = chart.get("series") or []
    axes = chart.get("axis_config") or {}
    categories = axes.get("categories") or []
    if not 1 <= len(series) <= MOST_SERIES:
        problems.append(at(f"must have between 1 and {MOST_SERIES} items", f"{path}/series"))
    if not 1 <= len(categories) <= MOST_POINTS:
        problems.append(at(f"must have between 1 and {MOST_POINTS} items", f"{path}/axis_config/categories"))
    for key in ("x_label", "y_label"):
        if axes.get(key) is not None:
            string(axes[key], f"{path}/axis_config/{key}", problems, 50)
    for index, category in enumerate(categories):
        string(category, f"{path}/axis_config/categories/{index}", problems, 20, 1)
    names = [one.get("name") for one in series]
    if len(names) != len(set(names)):
        problems.append(at("series names must be unique", f"{path}/series"))
    for index, one in enumerate(series):
        string(one.get("name"), f"{path}/series/{index}/name", problems, 20, 1)
        labels = [point.get("label") for point in one.get("data") or ()]
        if sorted(map(str, labels)) != sorted(map(str, categories)):
            problems.append(at("data must hold one point for each category", f"{path}/series/{index}/data"))
        if not all(_finite(point.get("value")) for point in one.get("data") or ()):
            problems.append(at("must be a finite number", f"{path}/series/{index}/data"))


def data_table(block: dict[str, Any], path: str, problems: Problems) -> None:
    """2 to 201 rows (the first is the header) of 1 to 20 cells each."""
    if not need(block, ("caption", "rows"), path, problems):
        return
    string(block["caption"], f"{path}/caption", problems, 150, 1)
    rows = block["rows"]
    if not isinstance(rows, list) or not 2 <= len(rows) <= 201:
        problems.append(at("must have between 2 and 201 items", f"{path}/rows"))
        return
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) > 1 or not 1 <= max(widths) <= 20:
        problems.append(at("every row must have the same 1 to 20 cells", f"{path}/rows"))
    size = block.get("page_size")
    if size is not None and not (isinstance(size, int) and 1 <= size <= 100):
        problems.append(at("must be between 1 and 100", f"{path}/page_size"))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
