"""Finished parts of a long import on disk, so that a cancelled or killed import can resume.

A part's key is a hash of its input: other rows, rules or names give other keys, so nothing stale is used. Parts hold
cleaned and redacted rows only. They are removed at the end of the import, and after `KEEP_S` in any case.
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
    """The parts of one import in their folder; `hits` counts reused parts."""

    folder: Path
    hits: int = field(default=0, init=False)

    def read(self, key: str) -> tuple[list[Ticket], Counter[str]] | None:
        """The part with this key: its rows and replacement counts; None where it is not there."""
        try:
            lines = self._file(key).read_text(encoding="utf-8").split("\n")
            counts, rows = Counter(json.loads(lines[0])), [json.loads(line) for line in lines[1:-1]]
        except (OSError, ValueError, IndexError):
            return None
        self.hits += 1
        return [Ticket.from_json(row) for row in rows], counts

    def write(self, key: str, rows: Sequence[Ticket], counts: Counter[str]) -> None:
        """Store a finished part atomically."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [json.dumps(dict(counts)), *(json.dumps(row.to_json(), ensure_ascii=False) for row in rows)]
        write_whole(self._file(key), "".join(line + "\n" for line in lines))

    def count(self) -> int:
        """The number of stored parts."""
        return len(list(self.folder.glob("*.part.jsonl"))) if self.folder.is_dir() else 0

    def clear(self) -> None:
        """Remove all parts at the end of the import."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.part.jsonl"


def part_key(rows: Iterable[Ticket], *context: str) -> str:
    """The key of a part: a hash of its rows, the people named in them, and the context of all rows."""
    digest = hashlib.sha256("\0".join(context).encode())
    for row in rows:
        digest.update(repr((row.to_json(), row.names)).encode())
    return digest.hexdigest()[:32]


def drop_stale(folder: Path, now: float | None = None) -> int:
    """Remove parts older than `KEEP_S`; returns how many imports."""
    limit = (time.time() if now is None else now) - KEEP_S
    stale = [one for one in folder.glob("*") if one.is_dir() and one.stat().st_mtime < limit]
    for one in stale:
        shutil.rmtree(one, ignore_errors=True)
    return len(stale)
