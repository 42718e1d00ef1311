"""Workbooks (XLSX, XLS, ODS) with calamine: a section per sheet, its blocks of rows as tables with their headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.text import plain_stem

MAX_CELLS = 2_000_000
_NUMBER = re.compile(r"(?!(?:19|20)\d\d$)[-+€$£]?\s?\d[\d.,:/ %T-]*[€$£]?")  # a bare year may head a column
Rows = list[list[str]]


def read_workbook(path: Path, name: str) -> list[Text]:
    """Every sheet that holds words; RagError for a workbook that is locked, damaged, too large or empty."""
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_path(path)
        sheets = [(sheet_name, _rows(book.get_sheet_by_name(sheet_name))) for sheet_name in book.sheet_names]
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise RagError("is locked or damaged. Save it anew as .xlsx without a password.") from error
    title = plain_stem(name)
    sections = [
        f"## {sheet_name}\n\n{body}" for sheet_name, rows in sheets if (body := "\n\n".join(_blocks(rows)))
    ]
    if not sections:
        raise RagError("holds no words in its cells. Charts and pictures are not read.")
    return [Text("", title[:120], "\n\n".join([f"# {title}", *sections]))]


def _rows(sheet: Any) -> Rows:
    """The sheet's cells as text; a merged cell's value stands in each cell that it covers."""
    if sheet.total_height * sheet.total_width > MAX_CELLS:
        raise RagError(
            f"has a sheet of {sheet.total_height:,} rows by {sheet.total_width:,} columns. Add the part that people ask about."
        )
    rows = [[_cell(cell) for cell in row] for row in sheet.to_python()]
    top, left = sheet.start or (0, 0)
    for (first, start), (last, end) in sheet.merged_cell_ranges or ():
        if not (0 <= first - top < len(rows) and 0 <= start - left < len(rows[first - top])):
            continue
        value = rows[first - top][start - left]
        for row in rows[first - top : last - top + 1]:
            for place in range(start - left, min(end - left + 1, len(row))):
                row[place] = row[place] or value
    return rows


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else " ".join(str(value).split())


def _blocks(rows: Rows) -> Iterator[str]:
    """The sheet's blocks between empty rows: titles as text, the rest as a table below its header.

    A block that begins with numbers in columns of the one above goes on with it, under the same header.
    """
    header: list[str] = []
    places_above: list[int] = []
    for is_block, group in groupby(rows, key=any):
        if not is_block:
            continue
        block = list(group)
        places = [place for place in range(len(block[0])) if any(row[place] for row in block)]
        if header and _goes_on(block[0], header, places, places_above):
            block, places = [header, *block], places_above
        block = [[row[place] for place in places] for row in block]
        while block and len(set(filter(None, block[0]))) == 1 and (len(places) > 1 or len(block) == 1):
            yield next(filter(None, block.pop(0)))
        if len(places) == 1:
            yield "\n".join(row[0] for row in block)
        elif block:
            header, places_above = ["" for _ in rows[0]], places
            for place, cell in zip(places, block[0], strict=True):
                header[place] = cell
            lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in block]
            lines.insert(1, "|" + " --- |" * len(places))
            yield "\n".join(lines)


def _goes_on(first: list[str], header: list[str], places: list[int], places_above: list[int]) -> bool:
    """Whether a block's first row is a row of the table above: it has numbers, and that one's header has none."""
    cells = [place for place in places if first[place]]
    numbers = [place for place in cells if _NUMBER.fullmatch(first[place])]
    is_inside = set(places) <= set(places_above) and len(cells) > 1
    return is_inside and bool(numbers) and not any(map(_NUMBER.fullmatch, header))


READERS = (
    Reader(
        "workbook",
        "XLSX",
        read_workbook,
        (".xlsx", ".xls", ".ods"),
        media_types=(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.ms-excel",
            "application/vnd.oasis.opendocument.spreadsheet",
        ),
        preload=("python_calamine",),
    ),
)
