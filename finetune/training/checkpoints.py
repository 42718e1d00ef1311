"""Verified checkpoints: a seal with sha256 sums is written last; only sealed ones are resumed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from finetune.artifacts import sha256_of, write_whole

SEAL = "sealed.json"


def seal(folder: Path) -> None:
    """Sum every file of a finished checkpoint, flush them to disk, then write the seal."""
    sums = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL):
        sums[str(file.relative_to(folder))] = sha256_of(file)
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    write_whole(folder / SEAL, json.dumps(sums, indent=1))


def is_intact(folder: Path) -> bool:
    """Whether the checkpoint is sealed and every file still has its sum."""
    try:
        sums = json.loads((folder / SEAL).read_text())
        return bool(sums) and all(sha256_of(folder / name) == expected for name, expected in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def newest_intact(root: Path) -> tuple[Path | None, list[Path]]:
    """The newest checkpoint that can be resumed, and the newer ones that are damaged."""
    rest: list[Path] = []
    for folder in sorted(root.glob("checkpoint-*"), key=_step, reverse=True):
        if is_intact(folder):
            return folder, rest
        rest.append(folder)
    return None, rest


def discard(folders: list[Path]) -> None:
    """Remove damaged checkpoints, so that nothing resumes or keeps them."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _step(folder: Path) -> int:
    tail = folder.name.rsplit("-", 1)[-1]
    return int(tail) if tail.isdigit() else -1
