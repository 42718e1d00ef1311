"""CSV and TSV as records, forgiving line by line: a row that cannot be read costs itself, not the file.

Covers quoted fields over several lines, quotes that never close, any of four separators, Excel's `sep=` hint.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from finetune.data.encoding import Line, decode_lines
from finetune.data.ticket import RAW_SHOWN, DatasetError, Problem, ReadResult, Record

MAX_RECORD = 100_000  # characters of one record, quotes and line breaks included
DELIMITERS = ",;\t|"


def csv_records(stream: BinaryIO, tabs: bool = False, delimiter: str | None = None) -> Iterator[ReadResult]:
    """Yield the stream's rows by its header; `tabs` prefers tabs where the header leaves it open.

    Raises DatasetError for a header that names a column twice.
    """
    records = _assemble(decode_lines(stream), delimiter, tabs)
    header: list[str] | None = None
    for record in records:
        if isinstance(record, Problem):
            yield record
            continue
        number, fields, raw = record
        if header is None:
            header = _header(fields, number)
        elif len(fields) != len(header):
            message = f"has {len(fields)} fields where the header has {len(header)}"
            yield Problem(number, message + "; quote fields that contain the separator", raw=raw)
        else:
            yield Record(number, dict(zip(header, fields, strict=True)), raw)


def _header(fields: list[str], number: int) -> list[str]:
    names = [name.strip() for name in fields]
    duplicates = sorted({name for name in names if name and names.count(name) > 1})
    if duplicates:
        message = f"line {number}: the header names {', '.join(map(repr, duplicates))} twice."
        raise DatasetError(message, what_next="Rename one of the columns.")
    return [name or f"column {place}" for place, name in enumerate(names, 1)]


Row = tuple[int, list[str], str]


def _assemble(lines: Iterator[Line], delimiter: str | None, tabs: bool) -> Iterator[Row | Problem]:
    """Join physical lines into CSV records; a quote that never closes costs its own line, not the rest."""
    waiting: list[Line] = []
    queue: list[Line] = []
    is_open = False
    characters = 0  # characters in `waiting`
    while True:
        line = queue.pop() if queue else next(lines, None)
        if line is None and not waiting:
            return
        too_long = characters > MAX_RECORD
        if waiting and (line is None or too_long or line.is_broken):
            first, *rest = waiting
            yield Problem(first.number, _quote_problem(first, line is None), raw=first.text[:RAW_SHOWN])
            queue.extend(reversed([*rest, line] if line is not None else rest))
            waiting, is_open, characters = [], False, 0
            continue
        assert line is not None
        if line.is_broken:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN])
            continue
        if not waiting and not line.text.strip():
            continue
        if delimiter is None:
            delimiter, is_hint = _delimiter(line.text, tabs)
            if is_hint:
                continue
        is_open = _still_open(line.text, delimiter, is_open)
        waiting.append(line)
        characters += len(line.text) + 1
        if is_open:
            continue
        if len(waiting) > 1 and not _well_quoted(waiting, delimiter):
            yield Problem(
                waiting[0].number, _quote_problem(waiting[0], False), raw=waiting[0].text[:RAW_SHOWN]
            )
            queue.extend(reversed(waiting[1:]))
        else:
            yield from _finish(waiting, delimiter)
        waiting, characters = [], 0


def _quote_problem(first: Line, at_end: bool) -> str:
    if len(first.text) > MAX_RECORD:
        return f"has a field of more than {MAX_RECORD:,} characters"
    where = "before the end of the file" if at_end else f"within {MAX_RECORD:,} characters"
    return f'a quote (") opens here and does not close {where}; double quotes inside a field ("")'


def _finish(parts: list[Line], delimiter: str) -> Iterator[Row | Problem]:
    first = parts[0]
    raw = "\n".join(part.text for part in parts)
    if len(raw) > MAX_RECORD:
        message = f"has {len(raw):,} characters, more than the {MAX_RECORD:,} that a ticket may have"
        yield Problem(first.number, message, raw=raw[:RAW_SHOWN])
        return
    for part in parts:
        if part.flaw:
            yield Problem(part.number, part.flaw, raw=part.text[:RAW_SHOWN], is_kept=True)
    try:
        rows = list(csv.reader(raw.split("\n") if len(parts) == 1 else [raw], delimiter=delimiter))
    except csv.Error as error:
        yield Problem(
            first.number, f"cannot be read as CSV: {str(error).split(' - ')[0]}", raw=raw[:RAW_SHOWN]
        )
        return
    yield first.number, [field for row in rows for field in row], raw


def _well_quoted(parts: list[Line], delimiter: str) -> bool:
    """Whether every closing quote of a record over several lines ends its field."""
    try:
        list(csv.reader(["\n".join(part.text for part in parts)], delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


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


def _delimiter(header: str, tabs: bool) -> tuple[str, bool]:
    """The separator of the header line, and whether the line is only Excel's `sep=;` hint."""
    if header.lower().startswith("sep=") and len(header) == 5:
        return header[4], True
    counts = {mark: header.count(mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: counts[mark])
    return ("\t" if tabs and counts["\t"] else best if counts[best] else ","), False
