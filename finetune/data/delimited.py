"""CSV and TSV as records, forgiving line by line: a row that cannot be read costs itself, not the file.

Covers quoted fields over several lines, quotes that never close, quotes escaped by a backslash, any of four
separators, Excel's `sep=` hint, title lines above the header, names that stand twice, rows a cell short or long,
footers. Each line that is no ticket is told as a problem.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from finetune.data.encoding import Line, decode_lines
from finetune.data.footers import is_summary, without_footer
from finetune.data.header_rows import cell_value, column_names, has_nulls, is_second_header, second_names
from finetune.data.ticket import RAW_SHOWN, Problem, ReadResult, Record

MAX_RECORD = 5_000_000  # characters that an open quote may span
CAREFUL_RECORD = 100_000  # the same, once RESCAN characters were read in vain
RESCAN = 50_000_000
DELIMITERS = ",;\t|^~¦\x1f\x01"
SNIFF_LINES, SNIFF_CHARACTERS = 200, 100_000
csv.field_size_limit(MAX_RECORD + 1_000_000)

Row = tuple[int, list[str], str]


@dataclass(frozen=True)
class Dialect:
    """How cells are told apart; `width` is the number of cells of most rows, 0 where nothing tells; `is_dump`: as databases write."""

    delimiter: str
    has_backslash: bool = False
    width: int = 0
    is_dump: bool = False


def csv_records(stream: BinaryIO, tabs: bool = False, delimiter: str | None = None) -> Iterator[ReadResult]:
    """Yield the stream's rows by its header; `tabs` prefers tabs where the lines leave it open."""
    lines = decode_lines(stream)
    head: list[Line] = []
    for line in itertools.islice(lines, SNIFF_LINES):
        head.append(line)
        if sum(len(one.text) for one in head) > SNIFF_CHARACTERS:
            break
    marks = delimiter or ""
    if head and head[0].text.lower().startswith("sep=") and len(head[0].text) == 5:
        marks, head = head[0].text[4], head[1:]
    dialect = sniff(head, marks or DELIMITERS, tabs)
    if not dialect.width and is_wrapped(head):
        head, lines = list(map(_unwrap, head)), map(_unwrap, lines)
        dialect = sniff(head, marks or DELIMITERS, tabs)
    yield from table_records(_assemble(itertools.chain(head, lines), dialect), dialect)


def is_wrapped(lines: list[Line]) -> bool:
    """Whether each line is one quoted cell, as a spreadsheet saves a table that it took for one column."""
    texts = [line.text for line in lines if line.text.strip()]
    whole = sum(_unwrap(Line(0, text)).text != text for text in texts)
    return whole > 1 and whole >= 0.9 * len(texts)


def _unwrap(line: Line) -> Line:
    text = line.text.strip().rstrip(",;\t")
    inner = text[1:-1]
    is_cell = len(text) > 2 and text[0] == text[-1] == '"' and '"' not in inner.replace('""', "")
    return replace(line, text=inner.replace('""', '"')) if is_cell else line


def table_records(
    rows: Iterator[Row | Problem] | Iterator[Row], dialect: Dialect, unit: str = "line"
) -> Iterator[ReadResult]:
    """Rows of cells as records by their header, without titles above it and footers below."""
    for item in without_footer(_below_header(rows, dialect), dialect.width):
        yield item if unit == "line" else replace(item, unit=unit)


def sniff(lines: list[Line], marks: str, tabs: bool = False) -> Dialect:
    """The dialect in which most of these lines have the same number of cells, more than one."""
    has_backslashes = any('\\"' in line.text for line in lines)
    best, best_score = Dialect(marks[0]), (0.0, 0.0, 0, 0.0, -99)
    for place, mark in enumerate(marks):
        for escapes in (False, True) if has_backslashes else (False,):
            dialect = Dialect(mark, escapes)
            items = _assemble(iter(lines), dialect, is_head=True)
            rows = [item for item in items if not isinstance(item, Problem)]
            sizes = [_size(fields) for _, fields, _ in rows]
            widths = Counter(size for size in sizes if size)
            width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
            if width < 2:
                continue
            first = next(size for size in sizes if size > 1)
            share = count / sum(widths.values()) * (1 if first >= width else 0.5)
            preference = (9 if tabs and mark == "\t" else -place) - escapes
            score = round(share, 1), len(rows) / len(lines), first, count / len(rows), preference
            if score > best_score:
                is_dump = mark == "\t" and any(has_nulls(line.text) for line in lines)
                best, best_score = Dialect(mark, escapes, width, is_dump), score
    return best


def _size(fields: list[str]) -> int:
    """How many cells there are up to the last one that is filled."""
    return max((place for place, field in enumerate(fields, 1) if field.strip()), default=0)


def _below_header(rows: Iterator[Row | Problem] | Iterator[Row], dialect: Dialect) -> Iterator[ReadResult]:
    """Records by the header: the first row of which most cells are filled; what stands above it is told."""
    header: list[str] | None = None
    names: list[str] = []
    groups: Row | None = (
        None  # a header of which names stand several times: the row below may be the real one
    )
    least = max(2, round(0.6 * dialect.width)) if dialect.width else 1
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        number, fields, raw = row
        if header is None:
            is_wide = sum(bool(field.strip()) for field in fields) >= least
            if is_wide and not is_summary(fields, dialect.width):
                header = names = column_names(fields)
                groups = row
            elif raw.strip(f'{dialect.delimiter} \t"'):
                yield _title(row)
            continue
        if groups is not None and is_second_header(groups[1], fields):
            yield _title(groups)
            header = names = column_names(second_names(groups[1], fields))
            groups = None
            continue
        groups = None
        if not any(field.strip() for field in fields):
            continue
        if len(fields) == len(header) > 1 and sorted(column_names(fields)) == sorted(header):
            names = column_names(fields)
            order = "" if names == header else ", in another order: the rows below are read by it"
            yield Problem(number, f"is the header again{order}", raw=raw[:RAW_SHOWN], rule="repeated headers")
            continue
        cells = [cell_value(field, dialect.is_dump) for field in fields]
        yield from _record(number, cells, raw, names)


def _title(row: Row) -> Problem:
    message = "stands above the header and is no ticket"
    return Problem(row[0], message, raw=row[2][:RAW_SHOWN], rule="title lines")


def _record(number: int, fields: list[str], raw: str, header: list[str]) -> Iterator[ReadResult]:
    """The row by column; one cell too few is added, empty ones too many are taken off."""
    surplus = len(fields) - len(header)
    if surplus == -1 and len(header) > 2:
        yield Problem(
            number,
            "is one cell short: the last column is empty",
            raw=raw[:RAW_SHOWN],
            is_kept=True,
            rule="cells added",
        )
        fields = [*fields, ""]
    elif surplus > 0 and not any(field.strip() for field in fields[len(header) :]):
        message = f"has {surplus} empty cell{'s' if surplus > 1 else ''} too many at its end"
        yield Problem(number, message, raw=raw[:RAW_SHOWN], is_kept=True, rule="empty cells taken off")
        fields = fields[: len(header)]
    elif surplus:
        message = f"has {len(fields)} fields where the header has {len(header)}"
        yield Problem(
            number,
            message + "; quote fields that contain the separator",
            raw=raw[:RAW_SHOWN],
            rule="wrong number of cells",
        )
        return
    yield Record(number, dict(zip(header, fields, strict=True)), raw[:RAW_SHOWN])


def _assemble(lines: Iterator[Line], dialect: Dialect, is_head: bool = False) -> Iterator[Row | Problem]:
    """Join physical lines into CSV records; a quote that never closes costs its own line, not the rest.

    A head ends where its lines do: a quote that is open there may close later.
    """
    waiting: list[Line] = []
    queue: list[Line] = []
    is_open = False
    characters, in_vain = 0, 0  # characters in `waiting`, and read again after a quote that did not close
    while True:
        line = queue.pop() if queue else next(lines, None)
        if line is None and (is_head or not waiting):
            return
        limit = MAX_RECORD if in_vain < RESCAN else CAREFUL_RECORD
        if waiting and (line is None or characters > limit):
            first, *rest = waiting
            yield _quote_problem(first, line is None, limit)
            queue.extend(reversed([*rest, line] if line is not None else rest))
            in_vain += characters
            waiting, is_open, characters = [], False, 0
            continue
        assert line is not None
        if line.is_broken and not waiting:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN], rule="damaged lines")
            continue
        if not waiting and not line.text.strip():
            continue
        text = _double_quotes(line.text) if dialect.has_backslash else line.text
        is_open = _still_open(text, dialect.delimiter, is_open)
        waiting.append(Line(line.number, text, line.flaw))
        characters += len(text) + 1
        if is_open:
            continue
        if len(waiting) > 1 and not _fits(waiting, characters, dialect):
            yield _quote_problem(waiting[0], False, limit)
            in_vain += characters
            queue.extend(reversed(waiting[1:]))
        else:
            yield from _finish(waiting, dialect.delimiter)
        waiting, characters = [], 0


def _double_quotes(text: str) -> str:
    r"""The line with `\"` written as `""`, the way that CSV has it."""
    return re.sub(r'(?<!\\)((?:\\\\)*)\\"', r'\1""', text)


def _quote_problem(first: Line, at_end: bool, limit: int) -> Problem:
    where = "before the end of the file" if at_end else f"within {limit:,} characters"
    message = f'a quote (") opens here and does not close {where}; double quotes inside a field ("")'
    return Problem(first.number, message, raw=first.text[:RAW_SHOWN], rule="open quotes")


def _finish(parts: list[Line], delimiter: str) -> Iterator[Row | Problem]:
    first = parts[0]
    raw = "\n".join(part.text for part in parts)
    for part in parts:
        if part.flaw:
            yield Problem(
                part.number, part.flaw, raw=part.text[:RAW_SHOWN], is_kept=True, rule="other encodings"
            )
    try:
        rows = list(csv.reader(raw.split("\n") if len(parts) == 1 else [raw], delimiter=delimiter))
    except csv.Error as error:
        message = f"cannot be read as CSV: {str(error).split(' - ')[0]}"
        yield Problem(first.number, message, raw=raw[:RAW_SHOWN], rule="unreadable")
        return
    yield first.number, [field for row in rows for field in row], raw


def _fits(parts: list[Line], characters: int, dialect: Dialect) -> bool:
    """Whether every closing quote of a record over several lines ends its field, and a very long one has its cells."""
    try:
        rows = list(csv.reader(_join(parts), delimiter=dialect.delimiter, strict=True))
    except csv.Error:
        return False
    width = sum(map(len, rows))
    return characters <= CAREFUL_RECORD or not dialect.width or abs(width - dialect.width) <= 1


def _join(parts: list[Line]) -> Iterable[str]:
    return ["\n".join(part.text for part in parts)]


def _still_open(text: str, delimiter: str, is_open: bool) -> bool:
    """Whether a quoted field is open at the end of this line (a quote opens only where a field starts)."""
    if '"' not in text:
        return is_open
    at, size = 0, len(text)
    while at <= size:
        if is_open:
            close = text.find('"', at)
            if close < 0:
                return True
            if text[close + 1 : close + 2] == '"':
                at = close + 2
                continue
            is_open, at = False, close + 1
            continue
        if at == 0 and text[0] == '"':
            is_open, at = True, 1
            continue
        split = text.find(delimiter, at)
        if split < 0:
            return False
        at = split + 1
        if text[at : at + 1] == '"':
            is_open, at = True, at + 1
    return is_open
