"""Files as records, told by content, not by name: delimited text, JSON and its lines, Parquet and Arrow, workbooks,
mailboxes, help desks' exports, chat files; packed or not.

Every reader yields `Record`s and `Problem`s in file order and keeps at most one record in memory
(JSON values, workbooks and mailboxes excepted: they are one value, so they have a lower size cap).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from finetune.data import containers
from finetune.data.chats import join_instruction, read_chat
from finetune.data.delimited import csv_records
from finetune.data.encoding import HEAD_BYTES, decode_lines, is_binary
from finetune.data.envelopes import open_envelope
from finetune.data.exports import flat_values
from finetune.data.fasttext import fasttext_records, is_fasttext
from finetune.data.html_tables import html_records, is_html_table
from finetune.data.mail import eml_mail, is_eml, is_mbox, mbox_records, msg_mail, thread_records
from finetune.data.ticket import RAW_SHOWN, DatasetError, Problem, ReadResult, Record

MAX_JSON = 100_000_000
FORMATS = "CSV, TSV, JSON lines, JSON (help desks' exports and APIs, chats), Parquet, Excel, mbox and EML, also as .gz or .zip"
MAGIC = {
    b"%PDF": "a PDF; export the tickets as CSV",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"7z\xbc\xaf": "a 7z archive; pack it as .zip",
    b"Rar!": "a RAR archive; pack it as .zip",
    b"!BDN": "an Outlook data file (PST); export the folder as mbox or EML",
    b"SQLite format 3": "a database; export the table as CSV",
}


def read_records(path: Path, part: str | None = None) -> Iterator[ReadResult]:
    """Yield what stands in the file; `part` names a workbook's sheet or an archive's file."""
    for item in _records(path, part):
        yield (
            Record(item.line, join_instruction(item.values), item.raw, item.unit)
            if isinstance(item, Record)
            else item
        )


def _records(path: Path, part: str | None) -> Iterator[ReadResult]:
    if path.is_dir():
        yield from _arrow(*containers.folder_files(path))
        return
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        if head.startswith(b"\x1f\x8b"):
            yield from containers.gzip_records(path, part, _records)
        elif head.startswith(b"PK\x03\x04"):
            yield from containers.zip_records(path, part, _records)
        elif head.startswith(b"\xd0\xcf\x11\xe0"):
            yield from _ole(path, part)
        elif head.startswith((b"PAR1", b"ARROW1")) or path.suffix == ".arrow":
            yield from _arrow(path)
        else:
            _refuse_foreign(path, head)
            yield from _text_records(path, head, stream)


def _text_records(path: Path, head: bytes, stream: BinaryIO) -> Iterator[ReadResult]:
    if is_mbox(head):
        yield from mbox_records(path)
    elif is_eml(head):
        yield from thread_records([eml_mail(stream.read(MAX_JSON))])
    elif is_html_table(head):
        yield from html_records(_read_whole(stream, path, "HTML page", "CSV: it is"), path.name)
    elif (shape := _json_shape(head)) is not None:
        yield from _json_lines(stream) if shape == "lines" else _json_whole(stream, path)
    elif is_fasttext(head):
        yield from fasttext_records(stream)
    else:
        yield from csv_records(stream, path.suffix == ".tsv")


def _ole(path: Path, part: str | None) -> Iterator[ReadResult]:
    """An old Excel workbook, or an Outlook message: both are the same kind of container."""
    import olefile

    try:
        with olefile.OleFileIO(path) as store:
            is_message = store.exists("__properties_version1.0")
    except OSError as error:
        raise DatasetError(
            f"{path.name} is a damaged Office file.", what_next="Save it again, or send CSV."
        ) from error
    yield from (
        thread_records([msg_mail(path, path.name)]) if is_message else containers.workbook_records(path, part)
    )


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not head.strip():
        raise DatasetError(
            f"{path.name} is empty.", what_next="Export the tickets again and check the filter."
        )
    for magic, meaning in MAGIC.items():
        if head.startswith(magic):
            raise DatasetError(f"{path.name} is {meaning}.", what_next=f"Trainwise reads {FORMATS}.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().replace(b"\0", b"")
    if start.startswith(b"<?xml") and not is_html_table(head):
        raise DatasetError(
            f"{path.name} is XML.", what_next=f"Export the tickets as CSV. Trainwise reads {FORMATS}."
        )
    if path.suffix.lower() in (".yml", ".yaml"):
        what_next = (
            f"Convert it to JSON or CSV (Rasa: `rasa data convert nlu -f json`). Trainwise reads {FORMATS}."
        )
        raise DatasetError(f"{path.name} is YAML.", what_next=what_next)
    if is_binary(head):
        raise DatasetError(f"{path.name} is not text but binary.", what_next=f"Trainwise reads {FORMATS}.")


# -- JSON -----------------------------------------------------------------------------------------


def _json_shape(head: bytes) -> str | None:
    """'lines' for JSON lines, 'whole' for one JSON value, None for anything else."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith((b"{", b"[")):
        return None
    if start.startswith(b"["):
        return "whole"
    first, _, rest = start.partition(b"\n")
    try:
        json.loads(first)
    except ValueError:
        line = first.strip()
        is_broken_line = line.endswith(b"}") and b'":' in line.replace(b" ", b"")
        return "lines" if is_broken_line else "whole"
    return "lines" if rest.strip() else "whole"


def _json_lines(stream: BinaryIO) -> Iterator[ReadResult]:
    for line in decode_lines(stream):
        if not line.text.strip():
            continue
        if line.is_broken:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN], rule="damaged lines")
            continue
        if line.flaw:
            yield Problem(
                line.number, line.flaw, raw=line.text[:RAW_SHOWN], is_kept=True, rule="other encodings"
            )
        try:
            value = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            what = (
                f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            )
            message = f"is not valid JSON: {what or 'nested too deep'}"
            yield Problem(line.number, message, raw=line.text[:RAW_SHOWN], rule="unreadable")
            continue
        inside = open_envelope(value) if isinstance(value, dict) else None
        for row in [value] if inside is None else inside.rows:
            yield from _from_object(row, line.number, line.text, "line")


def _json_whole(stream: BinaryIO, path: Path) -> Iterator[ReadResult]:
    data = _read_whole(stream, path, "JSON value", "JSON lines (one ticket a line): they are")
    try:
        value = _json_value(data.removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        message = f"{path.name} is not valid JSON: line {error.lineno}: {error.msg}."
        raise DatasetError(message, what_next="Export it again, or send CSV.") from error
    except RecursionError as error:
        raise DatasetError(f"{path.name} is nested too deep to be tickets.", what_next="Send CSV.") from error
    items = _table_to_rows(value) or _columns_to_rows(value)
    if items is None:
        inside = open_envelope(value)
        items = inside.rows if inside else [value]
        if inside and inside.others:
            others = ", ".join(f"{name} ({size:,})" for name, size in inside.others[:6])
            message = (
                f"the rows are those of {inside.place!r}; other lists of the file are not read: {others}"
            )
            yield Problem(1, message, is_kept=True, unit="item", rule="lists not read")
    for place, item in enumerate(items, 1):
        yield from _from_object(item, place, "", "item")


def _read_whole(stream: BinaryIO, path: Path, what: str, instead: str) -> bytes:
    """The file's bytes. Raises DatasetError for more than MAX_JSON, of which none is read."""
    data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        message = f"{path.name} is one {what} of more than {MAX_JSON / 1e6:.0f} MB."
        raise DatasetError(message, what_next=f"Export {instead} read in a stream.")
    return data


def _json_value(data: bytes) -> Any:
    """The JSON value of UTF-8, UTF-16 or UTF-32 bytes, else of Windows' code page."""
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        return json.loads(data.decode("cp1252", errors="replace"))


def _table_to_rows(value: Any) -> list[dict[str, Any]] | None:
    """The rows of a table with its column names apart, as pandas' `orient="split"` does; None for anything else."""
    if not isinstance(value, dict) or not {"columns", "data"} <= value.keys():
        return None
    names, rows = value["columns"], value["data"]
    if not isinstance(names, list) or not isinstance(rows, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def _columns_to_rows(value: Any) -> list[dict[str, Any]] | None:
    """The rows of a table that is written by column, as pandas' `to_json` does; None for anything else."""
    if (
        not isinstance(value, dict)
        or len(value) < 2
        or not all(isinstance(one, dict) for one in value.values())
    ):
        return None
    keys = list(next(iter(value.values())))
    if not keys or any(list(one) != keys for one in value.values()):
        return None
    if all(isinstance(one, list | dict) for column in value.values() for one in column.values()):
        return None
    if all(key.isdecimal() for key in keys):
        return [{name: column[key] for name, column in value.items()} for key in keys]
    return list(value.values())  # rows by their index


def _from_object(value: Any, number: int, raw: str, unit: str) -> Iterator[ReadResult]:
    excerpt = raw[:RAW_SHOWN] or json.dumps(value, ensure_ascii=False, default=str)[:RAW_SHOWN]
    if not isinstance(value, dict):
        yield Problem(number, "is not a JSON object", raw=excerpt, unit=unit, rule="unreadable")
        return
    chat = read_chat(value)
    if chat is None:
        yield Record(number, flat_values(value), excerpt, unit)
        return
    if chat.refusal:
        yield Problem(number, chat.refusal, "messages", raw=excerpt, unit=unit, rule=chat.rule)
        return
    for what in chat.left_out:
        yield Problem(
            number, f"{what} left out", raw=excerpt, is_kept=True, unit=unit, rule=f"{what} left out"
        )
    yield Record(number, chat.values, excerpt, unit)


def _arrow(*paths: Path) -> Iterator[ReadResult]:
    number = 0
    for path in paths:
        for row in containers.arrow_rows(path):
            number += 1
            yield from _from_object(row, number, json.dumps(row, default=str)[:RAW_SHOWN], "row")
