"""Files as records: CSV and TSV, JSON lines, JSON arrays, Zendesk exports and Parquet, one reader each.

Every reader yields `Record`s and `Problem`s in file order and keeps at most one record in memory
(JSON arrays and Zendesk exports excepted: they are one value, so they have a lower size cap).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from finetune.data.delimited import csv_records
from finetune.data.encoding import HEAD_BYTES, decode_lines, is_binary
from finetune.data.ticket import RAW_SHOWN, DatasetError, Problem, ReadResult, Record

MAX_JSON = 100_000_000
FORMATS = "CSV, TSV, JSON lines, JSON, a Zendesk JSON export or Parquet"
MAGIC = {
    b"PK\x03\x04": "an Excel workbook or zip archive; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"%PDF": "a PDF; export the tickets as CSV",
    b"\x1f\x8b": "gzip-compressed; unpack it first",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


def read_records(path: Path, delimiter: str | None = None) -> Iterator[ReadResult]:
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
            yield from csv_records(stream, path.suffix == ".tsv", delimiter)


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not head.strip():
        raise DatasetError(
            f"{path.name} is empty.", what_next="Export the tickets again and check the filter."
        )
    for magic, meaning in MAGIC.items():
        if head.startswith(magic):
            raise DatasetError(f"{path.name} is {meaning}.", what_next=f"Trainwise reads {FORMATS}.")
    if not head.startswith(b"PAR1") and is_binary(head):
        raise DatasetError(f"{path.name} is not text but binary.", what_next=f"Trainwise reads {FORMATS}.")


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


def _json_lines(stream: BinaryIO) -> Iterator[ReadResult]:
    for line in decode_lines(stream):
        if not line.text.strip():
            continue
        if line.is_broken:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN])
            continue
        if line.flaw:
            yield Problem(line.number, line.flaw, raw=line.text[:RAW_SHOWN], is_kept=True)
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


def _json_whole(stream: BinaryIO, path: Path) -> Iterator[ReadResult]:
    data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        message = f"{path.name} is one JSON value of more than {MAX_JSON / 1e6:.0f} MB."
        raise DatasetError(
            message, what_next="Export JSON lines (one ticket a line): they are read in a stream."
        )
    try:
        value = _json_value(data.removeprefix(b"\xef\xbb\xbf"))
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


def _json_value(data: bytes) -> Any:
    """The JSON value of UTF-8, UTF-16 or UTF-32 bytes, else of Windows' code page."""
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        return json.loads(data.decode("cp1252", errors="replace"))


def _list_in(value: Any) -> list[Any] | None:
    for key in ("tickets", "results", "rows", "data", "items"):
        if isinstance(value, dict) and isinstance(value.get(key), list):
            return list(value[key])
    return None


def _from_object(value: Any, number: int, raw: str, unit: str) -> ReadResult:
    excerpt = raw or json.dumps(value, ensure_ascii=False)[:RAW_SHOWN]
    if not isinstance(value, dict):
        return Problem(number, "is not a JSON object", raw=excerpt[:RAW_SHOWN], unit=unit)
    if isinstance(value.get("messages"), list):
        chat = _chat(value["messages"])
        if isinstance(chat, str):
            return Problem(number, chat, "messages", raw=excerpt[:RAW_SHOWN], unit=unit)
        rest = {
            key: item
            for key, item in value.items()
            if key != "messages" and not isinstance(item, list | dict)
        }
        return Record(number, {**rest, **chat}, excerpt, unit)
    if is_zendesk(value):
        return Record(number, zendesk_values(value), excerpt, unit)
    return Record(number, _flat(value), excerpt, unit)


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


def _parquet(path: Path) -> Iterator[ReadResult]:
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


def is_zendesk(value: Any) -> bool:
    """Whether this object is a Zendesk ticket, or an export that holds them."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tickets"), list):
        return True
    return "description" in value and "subject" in value and ("requester_id" in value or "requester" in value)


def zendesk_values(ticket: Mapping[str, Any]) -> dict[str, Any]:
    """text = subject and first message; answer = first public comment by someone else than the requester;
    label = group, else type, else the only tag; customer = requester; thread = problem or the ticket itself.
    """
    requester = _part(ticket.get("requester"), "id", "email", "name") or ticket.get("requester_id")
    subject, description = _text(ticket.get("subject")), _text(ticket.get("description"))
    has_subject = description.casefold().startswith(subject.casefold())
    return {
        "id": ticket.get("id"),
        "text": description if has_subject else f"{subject}\n\n{description}".strip(),
        "label": _label(ticket),
        "answer": _first_answer(ticket, requester),
        "customer": requester,
        "thread": ticket.get("problem_id") or ticket.get("followup_source_id"),
        "created_at": ticket.get("created_at"),
        "requester_name": _part(ticket.get("requester"), "name"),
        "assignee": _part(ticket.get("assignee"), "name"),
    }


def _label(ticket: Mapping[str, Any]) -> str | None:
    for key in ("group", "ticket_form", "queue", "category"):
        if part := _part(ticket.get(key), "name"):
            return str(part)
    if ticket.get("group_id"):
        return f"group {ticket['group_id']}"
    if ticket.get("type"):
        return str(ticket["type"])
    tags = ticket.get("tags")
    return str(tags[0]) if isinstance(tags, list) and len(tags) == 1 else None


def _first_answer(ticket: Mapping[str, Any], requester: Any) -> str | None:
    for comment in ticket.get("comments") or ():
        if not isinstance(comment, dict) or comment.get("public") is False:
            continue
        author = comment.get("author_id") or _part(comment.get("author"), "id", "email", "name")
        body = _text(comment.get("plain_body") or comment.get("body"))
        if body and author != requester and body != _text(ticket.get("description")):
            return body
    return None


def _part(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return next((value[name] for name in names if value.get(name)), None)
    return value if isinstance(value, str) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
