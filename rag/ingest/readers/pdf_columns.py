"""Tables that white space alone sets, on a PDF's page: lines of which the cells stand below one another, with a header row.

Covers tables of two columns and more whose first row names them and whose cells are short; a cell over several lines is
joined. Does not cover pages of two columns of prose, lists of contents, tables whose header stands on another page.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rag.ingest.readers.html_tables import looks_like_header

MIN_ROWS = 3  # the header among them
GAP = 0.9  # of a line's height, between two cells of a line
RIVER = 0.5  # of a line's height, that is white in all rows between two columns
MAX_SPACE = 1.8  # of a line's height, between two rows
MAX_WORDS = 6  # of the median cell; more are columns of prose
MAX_CHARACTERS = 30_000  # of a page
_NUMBER = re.compile(r"[-+€$£]?\s?\d[\d.,:/ %-]*\s?[€$£%]?")
_LEADERS = re.compile(r"(?:\. ?){4,}|…{2,}|_{4,}")


@dataclass(frozen=True)
class Word:
    """Characters without a blank between, in points from the page's left and bottom."""

    text: str
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Cell:
    """Words of one line that stand close together."""

    text: str
    left: float
    right: float


@dataclass(frozen=True)
class Row:
    """One line of the page as cells, from left to right."""

    cells: tuple[Cell, ...]
    bottom: float
    top: float


@dataclass(frozen=True)
class ColumnTable:
    """A table between two heights of the page; its first row is the header."""

    top: float
    bottom: float
    rows: tuple[tuple[str, ...], ...]


def page_words(text_page: Any) -> list[Word]:
    """The words of a page as pdfium has it; none of one with too many characters."""
    import ctypes

    import pypdfium2.raw as pdfium

    count = pdfium.FPDFText_CountChars(text_page)
    if not 0 < count <= MAX_CHARACTERS:
        return []
    box = pdfium.FS_RECTF()
    words: list[Word] = []
    letters: list[str] = []
    left = right = bottom = top = 0.0

    def end() -> None:
        if letters:
            words.append(Word("".join(letters), left, right, bottom, top))
            letters.clear()

    for at in range(count):
        letter = chr(pdfium.FPDFText_GetUnicode(text_page, at))
        if (
            letter.isspace()
            or letter in "\0\ufffe"
            or not pdfium.FPDFText_GetLooseCharBox(text_page, at, ctypes.byref(box))
        ):
            end()
            continue
        is_apart = letters and (
            abs(box.bottom - bottom) > 0.3 * (top - bottom)
            or not -1 <= box.left - right <= 0.3 * (top - bottom)
        )
        if is_apart:
            end()
        if not letters:
            left, bottom, top = box.left, box.bottom, box.top
        letters.append(letter)
        right = box.right
    end()
    return words


def page_rows(words: Iterable[Word]) -> list[Row]:
    """The lines of a page from its top down, each cut into cells where it is white."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda word: -(word.top + word.bottom)):
        last = lines[-1][0] if lines else None
        if last is not None and (last.top + last.bottom) - (word.top + word.bottom) < (
            last.top - last.bottom
        ):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [_row(sorted(line, key=lambda word: word.left)) for line in lines]


def _row(line: Sequence[Word]) -> Row:
    height = median(word.top - word.bottom for word in line)
    groups: list[list[Word]] = [[line[0]]]
    for word in line[1:]:
        if word.left - groups[-1][-1].right > GAP * height:
            groups.append([word])
        else:
            groups[-1].append(word)
    cells = tuple(
        Cell(" ".join(word.text for word in group), group[0].left, max(word.right for word in group))
        for group in groups
    )
    return Row(cells, min(word.bottom for word in line), max(word.top for word in line))


def find_tables(rows: Sequence[Row]) -> Iterator[ColumnTable]:
    """The tables among a page's lines, from its top down."""
    at = 0
    while at < len(rows):
        end = _run_end(rows, at)
        while end - at > MIN_ROWS and _is_sentence(rows[end - 1]):
            end -= 1
        if end - at >= MIN_ROWS and (table := _table(rows[at:end])) is not None:
            yield table
            at = end
        else:
            at += 1


def _run_end(rows: Sequence[Row], start: int) -> int:
    """Behind the last line that goes on with the table of `start`: no gap above it, and a river between the same columns."""
    end = start
    rivers: list[tuple[float, float]] = []
    for at in range(start, len(rows)):
        row, height = rows[at], rows[at].top - rows[at].bottom
        if at > start and rows[at - 1].bottom - row.top > MAX_SPACE * height:
            break
        own = [(left.right, right.left) for left, right in zip(row.cells, row.cells[1:], strict=False)]
        if at == start:
            rivers = own
        else:
            rivers = [
                (low, high)
                for first, last in rivers
                if (high := min([last, *(cell.left for cell in row.cells if cell.left > (first + last) / 2)]))
                - (
                    low := max(
                        [first, *(cell.right for cell in row.cells if cell.left <= (first + last) / 2)]
                    )
                )
                > RIVER * height
            ]
        if not rivers:
            break
        end = at + 1
    return end


def _is_sentence(row: Row) -> bool:
    return len(row.cells) == 1 and row.cells[0].text.endswith((".", ":", "!", "?"))


def _table(rows: Sequence[Row]) -> ColumnTable | None:
    """The lines as a table; None where they are something else."""
    edges = _column_edges(rows)
    if len(edges) < 2:
        return None
    grid: list[list[str]] = []
    above: Row | None = None
    for row in rows:
        cells = [""] * len(edges)
        for cell in row.cells:
            place = max((n for n, left in enumerate(edges) if cell.right > left), default=0)
            cells[place] = f"{cells[place]} {cell.text}".strip()
        if above is not None and grid and _goes_on(cells, row, above, rows):
            grid[-1] = [f"{old} {new}".strip() for old, new in zip(grid[-1], cells, strict=True)]
        else:
            grid.append(cells)
        above = row
    if not _is_table(grid):
        return None
    return ColumnTable(rows[0].top, rows[-1].bottom, tuple(map(tuple, grid)))


def _column_edges(rows: Sequence[Row]) -> list[float]:
    """Where each column begins: the left ends of what is white in all rows."""
    spans = sorted((cell.left, cell.right) for row in rows for cell in row.cells)
    height = median(row.top - row.bottom for row in rows)
    edges = [spans[0][0]]
    reach = spans[0][1]
    for left, right in spans[1:]:
        if left - reach > RIVER * height:
            edges.append(left)
        reach = max(reach, right)
    return edges


def _goes_on(cells: Sequence[str], row: Row, above: Row, rows: Sequence[Row]) -> bool:
    """Whether a line is the rest of the cells above it: some of its columns are empty, and it stands closer than rows do."""
    gaps = [upper.bottom - lower.top for upper, lower in itertools.pairwise(rows)]
    gap = above.bottom - row.top
    is_part = not cells[0] or sum(map(bool, cells)) == 1
    return is_part and gap <= min(gaps) + 0.5 and max(gaps) - min(gaps) > 1


def _is_table(grid: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns of short values below: no prose in columns, no list of contents."""
    texts = [cell for row in grid for cell in row if cell]
    body = grid[1:]
    if len(grid) < MIN_ROWS or any(_LEADERS.search(cell) for cell in texts):
        return False
    if sum(sum(map(bool, row)) > 1 for row in body) < 0.7 * len(body) or len(texts) < 0.6 * len(grid) * len(
        grid[0]
    ):
        return False
    if median(len(cell.split()) for cell in texts) > MAX_WORDS or not looks_like_header(
        [list(row) for row in grid]
    ):
        return False
    numbers = sum(
        bool(_NUMBER.fullmatch(cell)) or bool(re.search(r"\d", cell))
        for row in body
        for cell in row[1:]
        if cell
    )
    return len(grid[0]) > 2 or 2 * numbers >= len(body)
