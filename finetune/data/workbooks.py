"""Excel and OpenDocument workbooks: their sheets' rows, and whether they fit into memory, which is asked before they are read.

A reader lays a sheet out as a whole rectangle, so one value in the last cell of an empty sheet, or one long text that
thousands of cells refer to, would end the process; both are seen in the sheet's own markup.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from finetune.data.delimited import Dialect, Row, table_records
from finetune.data.parts import choose_part
from finetune.data.ticket import RAW_SHOWN, DatasetError, ReadResult

MAX_WORKBOOK = 1_000_000_000  # bytes of its sheets, which stand in memory as a whole; and of its cells' texts
MAX_CELLS = 40_000_000  # of a sheet's rectangle
BLOCK = 1 << 20
MAX_TAG = 64 << 20  # bytes between two tags
MAX_ROWS = 1_048_576
_CELL = re.compile(rb'<(?:\w+:)?c\s(?:[^<>]*?\s)?r="[A-Z]{1,3}(\d{1,7})"[^<>]*(?<!/)>(?!</)')
_WIDE = re.compile(rb' r="([A-Z]{2,3})\d{1,7}"[^<>]*(?<!/)>(?!</)')
MIN_CELL = 20  # bytes of a cell that refers to a text
_REFERENCE = re.compile(rb'<(?:\w+:)?c\s[^<>]*?\bt="s"[^<>]*><(?:\w+:)?v>(\d{1,9})<')
_TEXT_END = re.compile(rb"</(?:\w+:)?si>")
_ODS = re.compile(rb"<table:table(?=[ >])|<table:table-(row|cell)(?=[ />])([^<>]*)>")
_REPEATS = re.compile(rb'number-(?:rows|columns)-repeated="(\d{1,7})"')


def workbook_records(path: Path, part: str | None = None) -> Iterator[ReadResult]:
    """The rows of a workbook's sheet (XLSX, XLS, XLSB, ODS); sheets with the same header are read together."""
    import python_calamine as calamine

    check_workbook(path)
    try:
        with path.open("rb") as stream:
            book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))
            sheets = {name: _filled(book.get_sheet_by_name(name)) for name in book.sheet_names}
    except (calamine.CalamineError, OSError, ValueError) as error:
        message = f"{path.name} is a damaged or locked Excel workbook: it cannot be read."
        raise DatasetError(
            message, what_next="Save it without a password, or save the sheet as CSV."
        ) from error
    tables = {name: rows for name, rows in sheets.items() if sum(_size(row) > 1 for row in rows) > 1}
    if part is None and len({_first_wide(rows) for rows in tables.values()}) == 1:
        for name, rows in tables.items():
            yield from _sheet_records(rows, name if len(tables) > 1 else "")
        return
    about = [(name, f" ({len(rows) - 1:,} rows)") for name, rows in tables.items()]
    yield from _sheet_records(tables[choose_part(path, about, part, "sheet")], "")


def _filled(sheet: Any) -> list[list[Any]]:
    """The sheet's rows; a cell that was merged over several rows stands in each of them."""
    rows: list[list[Any]] = sheet.to_python()
    top, left = sheet.start or (0, 0)
    room = sum(map(len, rows))  # merged cells cannot be more than all cells: they do not overlap
    for (first, column), (last, _) in sheet.merged_cell_ranges or ():
        if not (0 <= first - top < len(rows) and 0 <= column - left < len(rows[first - top])):
            continue
        room -= min(last - top + 1, len(rows)) - (first - top)
        if room < 0:
            raise ValueError("merged cells overlap")
        value = rows[first - top][column - left]
        for row in rows[first - top + 1 : last - top + 1]:
            row[column - left] = value if row[column - left] in (None, "") else row[column - left]
    return rows


def _size(row: list[Any]) -> int:
    return sum(cell not in (None, "") for cell in row)


def _first_wide(rows: list[list[Any]]) -> tuple[str, ...]:
    """The header as far as it can be told: the first row as wide as most."""
    width = Counter(_size(row) for row in rows if _size(row) > 1).most_common(1)[0][0]
    return tuple(_cell(cell) for cell in next(row for row in rows if _size(row) >= min(width, 2)))


def _sheet_records(rows: list[list[Any]], name: str) -> Iterator[ReadResult]:
    def lines() -> Iterator[Row]:
        for number, row in enumerate(rows, 1):
            cells = [_cell(cell) for cell in row]
            yield number, cells, ",".join(cells)[:RAW_SHOWN]

    widths = Counter(_size(row) for row in rows if _size(row))
    width = max(widths, key=lambda size: (widths[size], size), default=0)
    yield from table_records(lines(), Dialect(",", width=width), unit=f"{name} row" if name else "row")


def _cell(value: Any) -> str:
    """A cell as text: whole numbers without `.0`, dates as ISO 8601."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return "" if value is None else str(value)


def check_workbook(path: Path) -> None:
    """DatasetError for a workbook that is too large for memory, before it is read."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        _refuse_above(MAX_WORKBOOK, size, path)
        return
    with zipfile.ZipFile(path) as archive:
        _refuse_above(MAX_WORKBOOK, sum(info.file_size for info in archive.infolist()), path)
        names = archive.namelist()
        sheets = [name for name in names if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name)]
        sizes = [_rectangle(archive, name) for name in sheets]
        if "content.xml" in names:
            sizes.append(_ods_rectangle(archive))
        for rows, columns in sizes:
            if rows * columns > MAX_CELLS:
                message = (
                    f"{path.name} has a sheet of {rows:,} rows by {columns:,} columns, most of them empty."
                )
                what_next = (
                    "Delete what stands far from the table (Ctrl+End shows it), or save the sheet as CSV."
                )
                raise DatasetError(message, what_next=what_next)
        if "xl/sharedStrings.xml" in names:
            _refuse_above(MAX_WORKBOOK, _text_size(archive, sheets), path)


def _refuse_above(most: int, size: int, path: Path) -> None:
    if size > most:
        message = f"{path.name} has {size / 1e6:,.0f} MB of sheets; a workbook may have {most / 1e6:,.0f} MB."
        raise DatasetError(message, what_next="Save the sheet as CSV: it is read in a stream.")


def _blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """A member piece by piece, cut before a cell or behind a tag. Raises DatasetError for one that is damaged."""
    rest = b""
    try:
        with archive.open(name) as stream:
            while block := stream.read(BLOCK):
                piece = rest + block
                cell = max(piece.rfind(b"<c "), piece.rfind(b":c "))
                cut = piece.rfind(b"<", 0, cell + 1) if cell >= 0 else piece.rfind(b">") + 1
                if len(piece) - cut > MAX_TAG:
                    raise zipfile.BadZipFile
                yield piece[:cut]
                rest = piece[cut:]
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error) as error:
        message = f"{Path(archive.filename or '').name} is a damaged or locked workbook: it cannot be read."
        raise DatasetError(message, what_next="Save it again, or save the sheet as CSV.") from error
    yield rest


def _rectangle(archive: zipfile.ZipFile, name: str) -> tuple[int, int]:
    """The last row and column of an XLSX sheet that hold a value; all rows for a sheet that is narrow enough for that."""
    wide = b"Z"
    for block in _blocks(archive, name):
        wide = max([wide, *(match[1] for match in _WIDE.finditer(block))], key=_column_order)
    columns = 0
    for letter in wide:
        columns = 26 * columns + letter - 64
    if columns * MAX_ROWS <= MAX_CELLS:
        return MAX_ROWS, columns
    rows = (int(match[1]) for block in _blocks(archive, name) for match in _CELL.finditer(block))
    return max(rows, default=0), columns


def _column_order(name: bytes) -> tuple[int, bytes]:
    return len(name), name


def _ods_rectangle(archive: zipfile.ZipFile) -> tuple[int, int]:
    """The last row and column of an OpenDocument sheet that hold a value, the largest of its sheets."""
    most, largest = 0, (0, 0)
    row = column = repeats = last_row = last_column = 0
    for block in _blocks(archive, "content.xml"):
        for tag in _ODS.finditer(block):
            times = int(match[1]) if (match := _REPEATS.search(tag[2] or b"")) else 1
            if tag[1] is None:
                row = column = repeats = last_row = last_column = 0
            elif tag[1] == b"row":
                row, column, repeats = row + repeats, 0, times
            else:
                column += times
                if b"value-type=" in tag[2]:
                    last_row, last_column = row + repeats, max(last_column, column)
            if last_row * last_column > most:
                most, largest = last_row * last_column, (last_row, last_column)
    return largest


def _text_size(archive: zipfile.ZipFile, sheets: list[str]) -> int:
    """The characters of all cells, at most: a text counts as often as cells refer to it."""
    sizes = array("l")
    rest = 0
    for block in _blocks(archive, "xl/sharedStrings.xml"):
        *ends, tail = (len(piece) for piece in _TEXT_END.split(block))
        for size in ends:
            sizes.append(rest + size)
            rest = 0
        rest += tail
    cells = sum(archive.getinfo(name).file_size for name in sheets) // MIN_CELL
    if not sizes or cells * max(sizes) <= MAX_WORKBOOK:
        return 0
    total = 0
    for name in sheets:
        for block in _blocks(archive, name):
            total += sum(sizes[at] for text in _REFERENCE.findall(block) if (at := int(text)) < len(sizes))
    return total
