"""The advice evaluation as tables for the terminal: a confusion matrix, families, signals. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.table import Table

SHORT = {"foundation_model": "found.", "need_more_info": "more info", "guide_answer": "guide", "small_model": "small",
         "fine_tune": "tune", "off_topic": "off"}  # fmt: skip


def confusion_table(told: Counter[tuple[str, str]], order: list[str]) -> Table:
    """Wanted verdicts down, got across; what is off the diagonal is red."""
    used = [name for name in order if any(name in pair for pair in told)]
    table = Table("wanted \\ got", *(SHORT.get(name, name) for name in used), box=None)
    for wanted in used:
        cells = []
        for got in used:
            times = told[wanted, got]
            cells.append("·" if not times else str(times) if wanted == got else f"[red]{times}[/red]")
        table.add_row(wanted, *cells)
    return table


def family_table(rows: list[Mapping[str, Any]]) -> Table:
    """Right of all by family, where the rows name one."""
    right, every = Counter[str](), Counter[str]()
    for row in rows:
        every[row["family"]] += 1
        right[row["family"]] += row["got"] in row["accept"]
    table = Table("family", "right", "of", box=None)
    for name, times in every.items():
        mark = "" if right[name] == times else "[red]"
        table.add_row(name, f"{mark}{right[name]}", str(times))
    return table


def signal_table(told: Mapping[str, tuple[int, int, int]]) -> Table:
    """By signal: read right of those labelled, and read where the row has none."""
    table = Table("signal", "right", "labelled", "read where none is labelled", box=None)
    for name, (right, labelled, extra) in told.items():
        table.add_row(name, str(right), str(labelled), str(extra))
    return table
