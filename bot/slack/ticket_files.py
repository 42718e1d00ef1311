"""Reads tickets from files to which another system appends JSON lines, one ticket per line: `{"id", "text"}`.

Reading continues at the stored offset. A rotated file (another inode, or shorter than the offset) is read from its beginning,
after the rest of the old file if that is still there (`tickets.jsonl.1`). Unfinished lines wait. A model that goes on duty
reads only lines that are appended afterwards.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Engine

from bot.errors import BotError
from bot.slack.on_duty import clean_external_text
from bot.slack.ticket_hooks import ticket_from
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.duty_files import FilePlace, file_place, note_file_place

LINES_PER_ROUND = 500
LONGEST_LINE = 2 * 2**20  # bytes; a longer line is no ticket
BLOCK = 2**20
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
Files = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class FileBatch:
    """The result of one read: new tickets, and the number of bad lines with the first one's line number and fault."""

    path: Path
    tickets: int = 0
    bad_lines: int = 0
    first_bad_line: int = 0
    fault: str = ""
    has_more: bool = False

    def sentence(self) -> str:
        """The sentence about bad lines; "" without any."""
        if not self.bad_lines:
            return ""
        lines = "1 line is no ticket" if self.bad_lines == 1 else f"{self.bad_lines:,} lines are no tickets"
        return f"⚠️ `{self.path.name}`: {lines}, the first is line {self.first_bad_line:,}. {self.fault}"


def read_file(engine: Engine, watch: Watch, path: Path, now: float) -> FileBatch:
    """Enters the tickets of up to LINES_PER_ROUND new lines; idempotent, so a crash neither loses nor doubles a ticket.

    Raises OSError when the file cannot be read; a missing file has nothing new.
    """
    place = file_place(engine, watch.id, str(path))
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        if place is None:
            note_file_place(engine, watch.id, str(path), FilePlace(0, 0, 0))
        return FileBatch(path)
    with stream:
        status = os.fstat(stream.fileno())
        if place is None:
            end = _end_of_lines(stream, status.st_size)
            note_file_place(
                engine, watch.id, str(path), FilePlace(status.st_ino, end, _count_lines(stream, end))
            )
            return FileBatch(path)
        if place.inode != status.st_ino and (rest := _open_rotated(path, place)):
            with rest:
                rest.seek(place.offset)
                outcome, end_place = _read_lines(engine, watch, rest, place, path, now)
            if end_place != place:
                note_file_place(engine, watch.id, str(path), end_place)
                return replace(outcome, has_more=True)
            if not status.st_size:  # the writer has not switched to the new file yet
                return FileBatch(path)
        if place.inode != status.st_ino or status.st_size < place.offset:
            place = FilePlace(status.st_ino, 0, 0)
        stream.seek(place.offset)
        outcome, end_place = _read_lines(engine, watch, stream, place, path, now)
    if end_place != place:
        note_file_place(engine, watch.id, str(path), end_place)
    return outcome


def _open_rotated(path: Path, place: FilePlace) -> BinaryIO | None:
    """Opens the file that was read so far under its rotated name; None when it is deleted or compressed."""
    for other in path.parent.glob(f"{glob.escape(path.name)}?*"):
        with suppress(OSError):
            if other.stat().st_ino == place.inode and other.suffix not in COMPRESSED:
                return other.open("rb")
    return None


def _end_of_lines(stream: BinaryIO, size: int) -> int:
    """The offset after the last complete line."""
    stream.seek(max(0, size - LONGEST_LINE))
    tail = stream.read(LONGEST_LINE)
    return size - len(tail) + tail.rfind(b"\n") + 1


def _count_lines(stream: BinaryIO, end: int) -> int:
    """The number of lines before `end`, so that a bad line is reported by its line number in the file."""
    stream.seek(0)
    count = 0
    while end > 0 and (block := stream.read(min(BLOCK, end))):
        count, end = count + block.count(b"\n"), end - len(block)
    return count


def _read_lines(
    engine: Engine, watch: Watch, stream: BinaryIO, place: FilePlace, path: Path, now: float
) -> tuple[FileBatch, FilePlace]:
    tickets, faults, has_more = 0, [], False
    offset, line = place.offset, place.line
    for _ in range(LINES_PER_ROUND):
        data = stream.readline(LONGEST_LINE)
        if not data.endswith(b"\n") and len(data) < LONGEST_LINE:
            break  # the end, or an unfinished line
        offset, line = offset + len(data), line + data.endswith(b"\n")
        if not data.strip():
            continue
        try:
            tickets += _enter(engine, watch, data, now)
        except (BotError, ValueError, RecursionError) as error:
            fault = (
                str(error)
                if isinstance(error, BotError)
                else 'Write one JSON object a line: {"id": 1, "text": "..."}.'
            )
            faults.append((line, fault))
    else:
        has_more = True
    first, fault = faults[0] if faults else (0, "")
    outcome = FileBatch(path, tickets, len(faults), first, fault, has_more)
    return outcome, FilePlace(place.inode, offset, line)


def _enter(engine: Engine, watch: Watch, data: bytes, now: float) -> bool:
    key, text = ticket_from("api", json.loads(data))
    return duty.add_ticket(engine, watch.id, key, "", clean_external_text(text), now)
