"""Finished parts of a long import on disk, so that one that was cancelled or killed goes on where it stopped.

A part is found again by what went into it: other rows, rules or names give other parts, and nothing stale is ever
used. Parts hold cleaned and redacted rows only. They are removed with the import's end, and after `KEEP_S` in any case.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune.artifacts import write_whole
from finetune.data.ticket import Ticket

KEEP_S = 7 * 86_400.0
PART_ROWS = 20_000


@dataclass
class Checkpoints:
    """The parts of one import in a folder of their own; `hits` counts those of an earlier try that were used."""

    folder: Path
    hits: int = field(default=0, init=False)

    def read(self, key: str) -> tuple[list[Ticket], Counter[str]] | None:
        """The part of this key: its rows and what was replaced in them; None where it was not finished."""
        try:
            lines = self._file(key).read_text(encoding="utf-8").split("\n")
            counts, rows = Counter(json.loads(lines[0])), [json.loads(line) for line in lines[1:-1]]
        except (OSError, ValueError, IndexError):
            return None
        self.hits += 1
        return [Ticket.from_json(row) for row in rows], counts

    def write(self, key: str, rows: Sequence[Ticket], counts: Counter[str]) -> None:
        """Keep a finished part, in one step."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [json.dumps(dict(counts)), *(json.dumps(row.to_json(), ensure_ascii=False) for row in rows)]
        write_whole(self._file(key), "".join(line + "\n" for line in lines))

    def waits(self) -> int:
        """How many parts an earlier try left."""
        return len(list(self.folder.glob("*.part.jsonl"))) if self.folder.is_dir() else 0

    def clear(self) -> None:
        """The import has ended: nothing of it stays here."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.part.jsonl"


def part_key(rows: Iterable[Ticket], *context: str) -> str:
    """What went into a part: its rows, the people who are named in them, and the context of all rows."""
    digest = hashlib.sha256("\0".join(context).encode())
    for row in rows:
        digest.update(repr((row.to_json(), row.names)).encode())
    return digest.hexdigest()[:32]


def drop_stale(folder: Path, now: float | None = None) -> int:
    """Remove what imports left that nobody went on with for `KEEP_S`; how many."""
    limit = (time.time() if now is None else now) - KEEP_S
    stale = [one for one in folder.glob("*") if one.is_dir() and one.stat().st_mtime < limit]
    for one in stale:
        shutil.rmtree(one, ignore_errors=True)
    return len(stale)
