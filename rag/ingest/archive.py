"""A zip's files, one after another, within a budget that a bomb exhausts before the disk or memory does.

Nothing is unpacked under a name that the archive chose. A zip inside the zip (as Notion makes them) shares
the budget; deeper ones are refused.
"""

from __future__ import annotations

import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.errors import RagError

MAX_FILES = 20_000
MAX_BYTES = 500_000_000
MAX_RATIO = 120
SMALL = 10_000_000  # below this no ratio is suspicious
DEPTH = 2
IGNORED = ("__MACOSX", "node_modules")


@dataclass
class Budget:
    """What all zips of one source may still unpack."""

    files: int = MAX_FILES
    bytes: int = MAX_BYTES


@dataclass(frozen=True)
class Member:
    """A file of a zip, unpacked at `path` for as long as its turn in the iteration lasts."""

    name: str
    path: Path


def check_zip(path: Path, budget: Budget | None = None) -> list[str]:
    """The names of a zip's files; RagError for one that is damaged, locked or a bomb. Reads no content."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise RagError("is damaged: it cannot be unpacked. Make it again and add that.") from error
    _judge(entries, budget or Budget())
    return [entry.filename for entry in entries if not entry.is_dir()]


def members(path: Path, budget: Budget | None = None, depth: int = 1) -> Iterator[Member]:
    """Each file of the zip (and of zips in it) in turn; RagError as `check_zip`, or when one lies about its size."""
    budget = budget or Budget()
    check_zip(path, budget)
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix="trainwise-zip-") as folder:
        for number, entry in enumerate(archive.infolist()):
            if entry.is_dir() or is_ignored(entry.filename):
                continue
            name = safe_name(entry.filename)
            place = Path(folder) / f"{number}{PurePosixPath(name).suffix.lower()[:10]}"
            _unpack(archive, entry, place, budget)
            if place.suffix == ".zip":
                if depth >= DEPTH:
                    raise RagError("holds zips inside zips inside zips. Unpack it and add the folder.")
                yield from members(place, budget, depth + 1)
            else:
                yield Member(name, place)
            place.unlink(missing_ok=True)


def is_ignored(name: str) -> bool:
    """Whether a path is of those that systems leave behind: hidden files, resource forks."""
    return any(part.startswith(".") or part in IGNORED for part in PurePosixPath(name).parts if part != "..")


def safe_name(name: str) -> str:
    """An entry's name as a label: relative, without `..`, without control characters."""
    clean = "".join(char for char in name.replace("\\", "/") if char.isprintable())
    parts = [part for part in PurePosixPath(clean).parts if part not in ("/", "..", ".")]
    return "/".join(parts)[:400] or "unnamed"


def _judge(entries: list[zipfile.ZipInfo], budget: Budget) -> None:
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise RagError("is locked with a password. Unlock it and add that.")
    if len(entries) > budget.files:
        raise RagError(f"holds more than {MAX_FILES:,} files. Split it into parts.")
    full_size = sum(entry.file_size for entry in entries)
    zip_size = max(1, sum(entry.compress_size for entry in entries))
    if full_size > budget.bytes or (full_size > SMALL and full_size > MAX_RATIO * zip_size):
        raise RagError(
            f"would unpack to {full_size / 1e6:,.0f} MB from {zip_size / 1e6:,.1f} MB, which looks like a zip bomb: "
            "I left it packed. Add its files one by one."
        )
    if any(stat.S_ISLNK(entry.external_attr >> 16) for entry in entries):
        raise RagError("holds links to other files, which I do not follow. Pack the files themselves.")


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, budget: Budget) -> None:
    budget.files -= 1
    budget.bytes -= entry.file_size
    size = 0
    try:
        with archive.open(entry) as source, place.open("wb") as out:
            while part := source.read(1 << 16):
                size += len(part)
                if size > entry.file_size or budget.bytes < 0:
                    raise RagError("unpacks to more than it says, as zip bombs do: I stopped. Make it again.")
                out.write(part)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise RagError("is damaged: it cannot be unpacked. Make it again and add that.") from error
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]
        raise RagError("is damaged: it cannot be unpacked. Make it again and add that.") from error
