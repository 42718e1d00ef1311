"""Files as records: CSV and TSV, JSON lines, JSON arrays, Zendesk exports and Parquet, one reader each.

Every reader yields `Record`s and `Problem`s in file order and keeps at most one record in memory
(JSON arrays and Zendesk exports excepted: they are one value, so they have a lower size cap).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from finetune.decoding import HEAD_BYTES, Line, decode_lines
from finetune.ticket import DatasetError, Problem
from finetune.zendesk import is_zendesk, zendesk_values

MAX_RECORD = 100_000  # characters of one CSV record, quotes and line breaks included
MAX_JSON = 100_000_000
RAW_SHOWN = 2_000
DELIMITERS = ",;\t|"
FORMATS = "CSV, TSV, JSON lines, JSON, a Zendesk JSON export or Parquet"
MAGIC = {
    b"PK\x03\x04": "an Excel workbook or zip archive; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"%PDF": "a PDF; export the tickets as CSV",
    b"\x1f\x8b": "gzip-compressed; unpack it first",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


@dataclass(frozen=True)
class Record:
    """One row as the file has it: where it starts, its values by column, its text for the bad rows' list."""

    line: int
    values: Mapping[str, Any]
    raw: str = ""
    unit: str = "line"


Found = Record | Problem


def read_records(path: Path, delimiter: str | None = None) -> Iterator[Found]:
    """Yield what stands in the file, in whichever of the formats it is (told by content, not by name)."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        _refuse_foreign(path, head)
        if head.startswith(b"PAR1"):
            yield from _parquet(path)
        elif (shape := _json_shape(head)) is not None:
            yield from _json_lines(stream) if shape == "lines" else _json_whole(stream, path)
        else:
            yield from _csv(stream, path, delimiter)


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not head.strip():
        raise DatasetError(
            f"{path.name} is empty.", what_next="Export the tickets again and check the filter."
        )
    for magic, meaning in MAGIC.items():
        if head.startswith(magic):
            raise DatasetError(f"{path.name} is {meaning}.", what_next=f"Trainwise reads {FORMATS}.")


# -- CSV ------------------------------------------------------------------------------------------


def _csv(stream: BinaryIO, path: Path, delimiter: str | None) -> Iterator[Found]:
    lines = decode_lines(stream)
    records = _assemble(lines, delimiter, path.suffix == ".tsv")
    header: list[str] | None = None
    for found in records:
        if isinstance(found, Problem):
            yield found
            continue
        number, fields, raw = found
        if header is None:
            header = _header(fields, number)
        elif len(fields) != len(header):
            message = f"has {len(fields)} fields where the header has {len(header)}"
            yield Problem(number, message + "; quote fields that contain the separator", raw=raw)
        else:
            yield Record(number, dict(zip(header, fields, strict=True)), raw)


def _header(fields: list[str], number: int) -> list[str]:
    names = [name.strip() for name in fields]
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        message = f"line {number}: the header names {', '.join(map(repr, doubled))} twice."
        raise DatasetError(message, what_next="Rename one of the columns.")
    return [name or f"column {place}" for place, name in enumerate(names, 1)]


Row = tuple[int, list[str], str]


def _assemble(lines: Iterator[Line], delimiter: str | None, tabs: bool) -> Iterator[Row | Problem]:
    """Join physical lines into CSV records; a quote that never closes costs its own line, not the rest."""
    waiting: list[Line] = []
    pushed: list[Line] = []
    opened = False
    held = 0  # characters in `waiting`
    while True:
        line = pushed.pop() if pushed else next(lines, None)
        if line is None and not waiting:
            return
        too_long = held > MAX_RECORD
        if waiting and (line is None or too_long or line.broken):
            first, *rest = waiting
            yield Problem(first.number, _unclosed(first, line is None), raw=first.text[:RAW_SHOWN])
            pushed.extend(reversed([*rest, line] if line is not None else rest))
            waiting, opened, held = [], False, 0
            continue
        assert line is not None
        if line.broken:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN])
            continue
        if not waiting and not line.text.strip():
            continue
        if delimiter is None:
            delimiter, is_hint = _delimiter(line.text, tabs)
            if is_hint:
                continue
        opened = _still_open(line.text, delimiter, opened)
        waiting.append(line)
        held += len(line.text) + 1
        if opened:
            continue
        if len(waiting) > 1 and not _well_quoted(waiting, delimiter):
            yield Problem(waiting[0].number, _unclosed(waiting[0], False), raw=waiting[0].text[:RAW_SHOWN])
            pushed.extend(reversed(waiting[1:]))
        else:
            yield from _finish(waiting, delimiter)
        waiting, held = [], 0


def _unclosed(first: Line, at_end: bool) -> str:
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
            yield Problem(part.number, part.flaw, raw=part.text[:RAW_SHOWN], kept=True)
    rows = list(csv.reader(raw.split("\n") if len(parts) == 1 else [raw], delimiter=delimiter))
    yield first.number, [field for row in rows for field in row], raw


def _well_quoted(parts: list[Line], delimiter: str) -> bool:
    """Whether every closing quote of a record over several lines ends its field."""
    try:
        list(csv.reader(["\n".join(part.text for part in parts)], delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _still_open(text: str, delimiter: str, opened: bool) -> bool:
    """Whether a quoted field is open at the end of this line (a quote opens only where a field starts)."""
    if '"' not in text:
        return opened
    at, size = 0, len(text)
    while at <= size:
        if opened:
            close = text.find('"', at)
            if close < 0:
                return True
            if text[close + 1 : close + 2] == '"':
                at = close + 2
                continue
            opened, at = False, close + 1
            continue
        if at == 0 and text[0] == '"':
            opened, at = True, 1
            continue
        split = text.find(delimiter, at)
        if split < 0:
            return False
        at = split + 1
        if text[at : at + 1] == '"':
            opened, at = True, at + 1
    return opened


def _delimiter(header: str, tabs: bool) -> tuple[str, bool]:
    """The separator of the header line, and whether the line is only Excel's `sep=;` hint."""
    if header.lower().startswith("sep=") and len(header) == 5:
        return header[4], True
    counts = {mark: header.count(mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: counts[mark])
    return ("\t" if tabs and counts["\t"] else best if counts[best] else ","), False


# -- JSON -----------------------------------------------------------------------------------------


def _json_shape(head: bytes) -> str | None:
    """'lines' for JSON lines, 'whole' for one JSON value, None for anything else."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith((b"{", b"[")):
        return None
    first = start.split(b"\n", 1)[0].strip()
    if start.startswith(b"["):
        return "whole"
    try:
        value = json.loads(first)
    except ValueError:
        broken_line = first.endswith(b"}") and b'":' in first.replace(b" ", b"")
        return "lines" if broken_line else "whole"
    return "whole" if is_zendesk(value) and _list_in(value) is not None else "lines"


def _json_lines(stream: BinaryIO) -> Iterator[Found]:
    for line in decode_lines(stream):
        if not line.text.strip():
            continue
        if line.broken:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN])
            continue
        if line.flaw:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN], kept=True)
        try:
            value = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            what = (
                f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            )
            yield Problem(
                line.number, f"is not valid JSON: {what or 'nested too deep'}", raw=line.text[:RAW_SHOWN]
            )
            continue
        yield _from_object(value, line.number, line.text, "line")


def _json_whole(stream: BinaryIO, path: Path) -> Iterator[Found]:
    data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        message = f"{path.name} is one JSON value of more than {MAX_JSON / 1e6:.0f} MB."
        raise DatasetError(
            message, what_next="Export JSON lines (one ticket a line): they are read in a stream."
        )
    try:
        value = json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError:
        value = json.loads(data.decode("cp1252", errors="replace"))
    except json.JSONDecodeError as error:
        message = f"{path.name} is not valid JSON: line {error.lineno}: {error.msg}."
        raise DatasetError(message, what_next="Export it again, or send CSV.") from error
    except RecursionError as error:
        raise DatasetError(f"{path.name} is nested too deep to be tickets.", what_next="Send CSV.") from error
    items = value if isinstance(value, list) else _list_in(value)
    if items is None:
        items = [value]
    for place, item in enumerate(items, 1):
        yield _from_object(item, place, "", "item")


def _list_in(value: Any) -> list[Any] | None:
    for key in ("tickets", "results", "rows", "data", "items"):
        if isinstance(value, dict) and isinstance(value.get(key), list):
            return list(value[key])
    return None


def _from_object(value: Any, number: int, raw: str, unit: str) -> Found:
    shown = raw or json.dumps(value, ensure_ascii=False)[:RAW_SHOWN]
    if not isinstance(value, dict):
        return Problem(number, "is not a JSON object", raw=shown[:RAW_SHOWN], unit=unit)
    if isinstance(value.get("messages"), list):
        chat = _chat(value["messages"])
        if isinstance(chat, str):
            return Problem(number, chat, "messages", raw=shown[:RAW_SHOWN], unit=unit)
        rest = {
            key: item
            for key, item in value.items()
            if key != "messages" and not isinstance(item, list | dict)
        }
        return Record(number, {**rest, **chat}, shown, unit)
    if is_zendesk(value):
        return Record(number, zendesk_values(value), shown, unit)
    return Record(number, _flat(value), shown, unit)


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Scalars by name, one level of nesting as `outer.inner`; lists are left out."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= {
                f"{key}.{name}": part for name, part in item.items() if not isinstance(part, dict | list)
            }
        elif not isinstance(item, list):
            flat[key] = item
    return flat


def _chat(messages: list[Any]) -> dict[str, str] | str:
    """OpenAI chat messages as text and answer (the last assistant turn), or what is wrong with them."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return "a message is not {role, content} with text content"
        if message.get("role") in ("user", "assistant"):
            turns.append((message["role"], message["content"]))
    while turns and turns[-1][0] == "user":
        turns.pop()
    if not turns or not any(role == "user" for role, _ in turns[:-1]):
        return "needs a user message followed by an assistant message"
    *history, (_, answer) = turns
    if len(history) == 1:
        return {"text": history[0][1], "answer": answer}
    who = {"user": "Customer", "assistant": "Agent"}
    return {"text": "\n".join(f"{who[role]}: {content}" for role, content in history), "answer": answer}


# -- Parquet --------------------------------------------------------------------------------------


def _parquet(path: Path) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield _from_object(row, number, json.dumps(row, default=str)[:RAW_SHOWN], "row")
    except (pa.ArrowException, OSError) as error:
        message = f"{path.name} is a damaged Parquet file."
        raise DatasetError(message, what_next="Write it again, or send CSV.") from error
