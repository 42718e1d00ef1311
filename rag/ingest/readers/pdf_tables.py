"""Tables on a PDF's pages, as Markdown: ruled ones by pdfplumber, those set by white space by `pdf_columns`; where each stands.

Covers tables whose cells have lines around them, merged cells among them, and columns of short values below a header.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.ingest.readers.pdf_columns import find_tables, page_rows, page_words

MIN_LINES, MAX_LINES = 5, 3_000  # of a page; fewer are no table, more are a drawing
MIN_FILLED = 0.5
CPU_SECONDS = 20.0  # of one file


@dataclass(frozen=True)
class PageTable:
    """A table and its place: `top` and `bottom` in points from the page's top, `is_wide` where nothing stands beside it."""

    top: float
    bottom: float
    markdown: str
    is_wide: bool


class TableFinder:
    """Finds the tables of one file's pages; `last_page` is the page at which its time ran out, None before that."""

    def __init__(self, path: Path) -> None:
        self._path, self._start = path, time.process_time()
        self._file: Any = None
        self._pages: Sequence[Any] | None = None
        self.last_page: int | None = None

    def tables(self, page: Any, number: int) -> list[PageTable]:
        """The tables of a page (as pdfium has it; `number` is its place), from its top down."""
        if self.last_page is not None or not _has_lines(page):
            return []
        if time.process_time() - self._start > CPU_SECONDS:
            self.last_page = number
            return []
        try:
            page_of_lines = self._open()[number]
            candidates = [_page_table(page_of_lines, table) for table in page_of_lines.find_tables()]
            page_of_lines.close()
        except (MemoryError, ModuleNotFoundError):
            raise
        except Exception:  # pdfium reads damaged files that break pdfminer in many ways
            return []
        return sorted((one for one in candidates if one is not None), key=lambda one: one.top)

    def columns(self, text_page: Any, height: float, line_tables: Sequence[PageTable]) -> list[PageTable]:
        """The tables of a page that white space sets, beside its ruled ones; `height` is where the page's top stands."""
        if self.last_page is not None or time.process_time() - self._start > CPU_SECONDS:
            return []
        rows = [
            row
            for row in page_rows(page_words(text_page))
            if not any(
                table.top < height - (row.top + row.bottom) / 2 < table.bottom for table in line_tables
            )
        ]
        return [
            PageTable(
                height - table.top,
                height - table.bottom,
                _markdown([list(row) for row in table.rows], len(table.rows[0])),
                True,
            )
            for table in find_tables(rows)
        ]

    def _open(self) -> Sequence[Any]:
        """The file's pages; none where pdfminer cannot tell them, which is tried once."""
        if self._pages is None:
            import pdfplumber

            self._pages = ()
            self._file = pdfplumber.open(self._path)
            self._pages = self._file.pages
        return self._pages

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None and self._pages:
            self._file.close()
        elif self._file is not None:  # closing asks for its pages, which cannot be told
            self._file.stream.close()


def _has_lines(page: Any) -> bool:
    """Whether the page has about as many lines and boxes as a table has."""
    import pypdfium2.raw as pdfium

    count = 0
    for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH]):
        count += 1
        if count > MAX_LINES:
            return False
    return count >= MIN_LINES


def _page_table(page: Any, table: Any) -> PageTable | None:
    """The table in Markdown with its first row as header; None for boxes that hold no table."""
    words = [[None if cell is None else " ".join(cell.split()) for cell in row] for row in table.extract()]
    sizes = [sum(map(bool, row)) for row in words]
    rows = [row for row, size in zip(_spread_words(words, table.cells), sizes, strict=True) if size]
    width = max(map(len, rows), default=0)
    if len(rows) < 2 or width < 2 or sum(sizes) < MIN_FILLED * len(rows) * width:
        return None
    left, top, right, bottom = table.bbox
    beside = [word for word in page.extract_words() if top < (word["top"] + word["bottom"]) / 2 < bottom]
    is_wide = all(left - 1 <= word["x0"] and word["x1"] <= right + 1 for word in beside)
    return PageTable(top, bottom, _markdown(rows, width), is_wide)


def _spread_words(
    rows: list[list[str | None]], cells: list[tuple[float, float, float, float]]
) -> list[list[str | None]]:
    """The rows with a merged cell's words in each place that it covers; `cells` are its boxes (x0, top, x1, bottom)."""
    lefts, tops = sorted({cell[0] for cell in cells}), sorted({cell[1] for cell in cells})
    for left, top, right, bottom in cells:
        column, line = bisect_left(lefts, left), bisect_left(tops, top)
        words = rows[line][column]
        for y in range(line, bisect_left(tops, bottom)):
            for x in range(column, bisect_left(lefts, right)):
                rows[y][x] = words if rows[y][x] is None else rows[y][x]
    return rows


def _markdown(rows: list[list[str | None]], width: int) -> str:
    """A place without a cell is empty."""
    grid = [[cell or "" for cell in row] + [""] * (width - len(row)) for row in rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in grid]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)
