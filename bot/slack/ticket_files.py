"""Tickets from files that grow: JSON lines that another system appends, one ticket a line, `{"id", "text"}`.

A file is read on from where it was left; a file that was rotated (another inode, or shorter than what was read) from its
beginning, after the rest of the old one where that lies beside it (`tickets.jsonl.1`). A line counts once it is whole. A model
that goes on duty reads what is appended from then on.
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
from bot.slack.on_duty import words_from_elsewhere
from bot.slack.ticket_hooks import ticket_from
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.duty_files import FilePlace, file_place, note_file_place

LINES_A_ROUND = 500
LONGEST_LINE = 2 * 2**20  # bytes; what is longer is no ticket
BLOCK = 2**20
PACKED = (".gz", ".bz2", ".xz", ".zst")
Files = Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class FileRound:
    """What one round took in of one file: new tickets, and the lines that are none, with the first one's number and fault."""

    path: Path
    tickets: int = 0
    bad_lines: int = 0
    first_bad_line: int = 0
    fault: str = ""
    is_more: bool = False

    def sentence(self) -> str:
        """The lines that are no tickets, in words; "" where there are none."""
        if not self.bad_lines:
            return ""
        lines = "1 line is no ticket" if self.bad_lines == 1 else f"{self.bad_lines:,} lines are no tickets"
        return f"⚠️ `{self.path.name}`: {lines}, the first is line {self.first_bad_line:,}. {self.fault}"


def read_file(engine: Engine, watch: Watch, path: Path, now: float) -> FileRound:
    """Enters the tickets of up to LINES_A_ROUND new lines; entering is idempotent, so a crash in between loses and doubles none.

    Raises OSError where the file cannot be read; one that is not there yet has nothing new.
    """
    place = file_place(engine, watch.id, str(path))
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        if place is None:
            note_file_place(engine, watch.id, str(path), FilePlace(0, 0, 0))
        return FileRound(path)
    with stream:
        status = os.fstat(stream.fileno())
        if place is None:
            end = _end_of_lines(stream, status.st_size)
            note_file_place(
                engine, watch.id, str(path), FilePlace(status.st_ino, end, _count_lines(stream, end))
            )
            return FileRound(path)
        if place.inode != status.st_ino and (rest := _rest_of(path, place)):
            with rest:
                rest.seek(place.offset)
                outcome, end_place = _read_lines(engine, watch, rest, place, path, now)
            if end_place != place:
                note_file_place(engine, watch.id, str(path), end_place)
                return replace(outcome, is_more=True)
            if not status.st_size:  # whoever writes has not turned to the new file yet
                return FileRound(path)
        if place.inode != status.st_ino or status.st_size < place.offset:
            place = FilePlace(status.st_ino, 0, 0)
        stream.seek(place.offset)
        outcome, end_place = _read_lines(engine, watch, stream, place, path, now)
    if end_place != place:
        note_file_place(engine, watch.id, str(path), end_place)
    return outcome


def _rest_of(path: Path, place: FilePlace) -> BinaryIO | None:
    """The file that was read so far, under the name that it was moved to; None where it is gone or packed."""
    for other in path.parent.glob(f"{glob.escape(path.name)}?*"):
        with suppress(OSError):
            if other.stat().st_ino == place.inode and other.suffix not in PACKED:
                return other.open("rb")
    return None


def _end_of_lines(stream: BinaryIO, size: int) -> int:
    """Where the last whole line ends: what follows is still being written."""
    stream.seek(max(0, size - LONGEST_LINE))
    tail = stream.read(LONGEST_LINE)
    return size - len(tail) + tail.rfind(b"\n") + 1


def _count_lines(stream: BinaryIO, end: int) -> int:
    """The lines before `end`: a bad line is told by its number in the file, as an editor shows it."""
    stream.seek(0)
    count = 0
    while end > 0 and (block := stream.read(min(BLOCK, end))):
        count, end = count + block.count(b"\n"), end - len(block)
    return count


def _read_lines(
    engine: Engine, watch: Watch, stream: BinaryIO, place: FilePlace, path: Path, now: float
) -> tuple[FileRound, FilePlace]:
    tickets, faults, is_more = 0, [], False
    offset, line = place.offset, place.line
    for _ in range(LINES_A_ROUND):
        data = stream.readline(LONGEST_LINE)
        if not data.endswith(b"\n") and len(data) < LONGEST_LINE:
            break  # the end, or a line that is still being written
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
        is_more = True
    first, fault = faults[0] if faults else (0, "")
    outcome = FileRound(path, tickets, len(faults), first, fault, is_more)
    return outcome, FilePlace(place.inode, offset, line)


def _enter(engine: Engine, watch: Watch, data: bytes, now: float) -> bool:
    key, text = ticket_from("api", json.loads(data))
    return duty.enter(engine, watch.id, key, "", words_from_elsewhere(text), now)
