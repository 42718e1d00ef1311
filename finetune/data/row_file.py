"""Rows that do not fit into memory, on disk behind a sequence; each row is read on access.

`collect_rows` keeps few rows as a tuple and writes more into an unnamed file, which disappears with its process. Rows of
the store are read in place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO, overload

from finetune.data.ticket import DatasetError, Ticket

IN_MEMORY = 30_000_000  # characters of text and answers that stay there
BLOCK = 1 << 20
AHEAD = 512  # rows read at once when all are asked for in order
LABEL_KEY = b' "label": "'  # inside a text every quote has a backslash before it


class RowFile(Sequence[Ticket]):
    """Rows of an open file, from `starts[i]` to `starts[i + 1]` each; `decode` makes a ticket of a row's bytes.

    `digest` is the sha256 of the rows as they are stored, "" where it is not known yet.
    """

    def __init__(
        self, stream: BinaryIO, starts: array[int], decode: Callable[[bytes], Ticket], digest: str = ""
    ) -> None:
        self._stream, self._starts, self._decode, self.digest = stream, starts, decode, digest

    def __len__(self) -> int:
        return len(self._starts) - 1

    @property
    def is_large(self) -> bool:
        """Whether the rows are too many for memory."""
        return self._starts[-1] > IN_MEMORY

    @overload
    def __getitem__(self, at: int) -> Ticket: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Ticket, ...]: ...
    def __getitem__(self, at: int | slice) -> Ticket | tuple[Ticket, ...]:
        if isinstance(at, slice):
            return tuple(self[place] for place in range(*at.indices(len(self))))
        place = range(len(self))[at]  # negative numbers and IndexError as a list has them
        start, end = self._starts[place], self._starts[place + 1]
        return self._decode(os.pread(self._stream.fileno(), end - start, start))

    def __iter__(self) -> Iterator[Ticket]:
        for first in range(0, len(self), AHEAD):
            starts = self._starts[first : first + AHEAD + 1]
            data = os.pread(self._stream.fileno(), starts[-1] - starts[0], starts[0])
            if len(data) < starts[-1] - starts[0]:  # the system hands out at most 2 GB at once
                yield from (self[at] for at in range(first, first + len(starts) - 1))
                continue
            for start, end in itertools.pairwise(starts):
                yield self._decode(data[start - starts[0] : end - starts[0]])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[tuple[Ticket, ...]], tuple[tuple[Ticket, ...]]]:
        return tuple, (tuple(self),)  # another process has not this file


def collect_rows(rows: Iterable[Ticket]) -> Sequence[Ticket]:
    """The rows as a tuple, or in a file without a name once they have more than IN_MEMORY characters.

    Raises DatasetError where the disk has no room for them.
    """
    source, kept, size = iter(rows), [], 0
    for row in source:
        kept.append(row)
        size += len(row.text) + len(row.answer or "")
        if size > IN_MEMORY:
            return _to_disk(itertools.chain(kept, source))
    return tuple(kept)


def _to_disk(rows: Iterable[Ticket]) -> RowFile:
    stream: BinaryIO = tempfile.TemporaryFile(buffering=BLOCK)  # type: ignore[assignment] # noqa: SIM115 - lives with its rows
    starts, end = array("q", [0]), 0
    try:
        for row in rows:
            end += stream.write(_to_bytes(row))
            starts.append(end)
        stream.flush()
    except OSError as error:
        stream.close()
        message = f"The rows do not fit on the disk of {tempfile.gettempdir()}: {error.strerror}."
        raise DatasetError(message, what_next="Free some space, or set TMPDIR to a larger disk.") from error
    return RowFile(stream, starts, _from_bytes)


def _to_bytes(row: Ticket) -> bytes:
    when = row.created_at.isoformat() if row.created_at else None
    texts = (row.id, row.text, row.label, row.answer, row.customer, row.thread)
    return json.dumps([*texts, when, row.names, row.line]).encode()


def _from_bytes(data: bytes) -> Ticket:
    id, text, label, answer, customer, thread, when, names, line = json.loads(data)
    date = datetime.fromisoformat(when) if when else None
    return Ticket(id, text, label, answer, customer, thread, date, tuple(names), line)


def stored_rows(stream: BinaryIO) -> tuple[RowFile, bool]:
    """The rows of an open file of canonical lines with their digest, and whether they have labels."""
    starts, end, digest, labelled, tail = array("q", [0]), 0, hashlib.sha256(), False, b""
    while block := stream.read(BLOCK):
        digest.update(block)
        labelled = labelled or LABEL_KEY in tail + block
        tail = block[-len(LABEL_KEY) :]
        at = block.find(b"\n")
        while at >= 0:
            starts.append(end + at + 1)
            at = block.find(b"\n", at + 1)
        end += len(block)
    return RowFile(stream, starts, _from_line, digest.hexdigest()), labelled


def _from_line(line: bytes) -> Ticket:
    return Ticket.from_json(json.loads(line))
