"""Tables with ruled lines on a PDF's pages, as Markdown, by pdfplumber; where each stands on its page.

Covers tables whose cells have lines around them, merged cells among them. Does not cover tables set by white space or by
horizontal rules alone: those stay lines of text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEAST_LINES, MOST_LINES = 5, 3_000  # of a page; fewer are no table, more are a drawing
LEAST_FILLED = 0.5
CPU_SECONDS = 20.0  # of one file


@dataclass(frozen=True)
class PageTable:
    """A table and its place: `top` and `bottom` in points from the page's top, `is_wide` where nothing stands beside it."""

    top: float
    bottom: float
    markdown: str
    is_wide: bool


class TableFinder:
    """Finds the tables of one file's pages; `last_page` is where its time ended, None while it has some left."""

    def __init__(self, path: Path) -> None:
        self._path, self._start = path, time.process_time()
        self._file: Any = None
        self.last_page: int | None = None

    def tables(self, page: Any, number: int) -> list[PageTable]:
        """The tables of a page (as pdfium has it; `number` is its place), from its top down."""
        if self.last_page is not None or not _has_lines(page):
            return []
        if time.process_time() - self._start > CPU_SECONDS:
            self.last_page = number
            return []
        import pdfplumber

        self._file = self._file or pdfplumber.open(self._path)
        page_of_lines = self._file.pages[number]
        candidates = [_page_table(page_of_lines, table) for table in page_of_lines.find_tables()]
        page_of_lines.close()
        return sorted((one for one in candidates if one is not None), key=lambda one: one.top)

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()


def _has_lines(page: Any) -> bool:
    """Whether the page has about as many lines and boxes as a table has."""
    import pypdfium2.raw as pdfium

    count = 0
    for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH]):
        count += 1
        if count > MOST_LINES:
            return False
    return count >= LEAST_LINES


def _page_table(page: Any, table: Any) -> PageTable | None:
    """The table in Markdown with its first row as header; None for boxes that hold no table."""
    rows = [[None if cell is None else " ".join(cell.split()) for cell in row] for row in table.extract()]
    rows = [row for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    cells = sum(bool(cell) for row in rows for cell in row)
    if len(rows) < 2 or width < 2 or cells < LEAST_FILLED * len(rows) * width:
        return None
    left, top, right, bottom = table.bbox
    beside = [word for word in page.extract_words() if top < (word["top"] + word["bottom"]) / 2 < bottom]
    is_wide = all(left - 1 <= word["x0"] and word["x1"] <= right + 1 for word in beside)
    return PageTable(top, bottom, _markdown(rows, width), is_wide)


def _markdown(rows: list[list[str | None]], width: int) -> str:
    """A merged cell's words stand in each cell that it covers."""
    grid: list[list[str]] = []
    for row in rows:
        line: list[str] = []
        for place in range(width):
            cell = row[place] if place < len(row) else ""
            if cell is None:
                cell = line[-1] if line else grid[-1][place] if grid else ""
            line.append(cell)
        grid.append(line)
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in grid]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)
