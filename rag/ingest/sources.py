"""Document sources: a file, a folder or a web address, listed as items, each with a cheap stamp."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rag.errors import RagError
from rag.ingest.archive import is_ignored
from rag.ingest.readers.registry import known_suffixes
from rag.search.store import Store, check_scopes


@dataclass(frozen=True)
class Item:
    """One file or page; `stamp` changes whenever its content may have (empty: not known without asking)."""

    id: str
    name: str
    stamp: str
    path: Path | None = None


@dataclass
class Listing:
    """The present items of a source; missing items may be deleted only when it is `complete`."""

    items: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    complete: bool = True


def is_address(source: str) -> bool:
    """Whether a source is a web address rather than a path."""
    return urlsplit(source).scheme in ("http", "https")


def root_of(source: str | Path) -> str:
    """The name under which a source is kept: its address, or its absolute path."""
    text = str(source).strip()
    if is_address(text):
        return text
    if urlsplit(text).scheme and "://" in text:
        raise RagError(f"{text[:100]}: I fetch http and https addresses only.")
    return str(Path(os.path.abspath(Path(text).expanduser())))


def list_items(root: str) -> Listing:
    """The items of a source; a folder that cannot be listed completely is marked so."""
    if is_address(root):
        return Listing([Item(root, PurePosixPath(urlsplit(root).path).name or root, "")])
    path = Path(root)
    if path.is_dir():
        return _folder(path)
    try:
        return Listing([file_item(path.resolve(), root)])
    except FileNotFoundError:
        return Listing()


def file_item(path: Path, own: str) -> Item:
    """An item for a file: its stamp is taken from the file system, without reading it."""
    status = path.stat()
    stamp = f"{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_size}"
    return Item(own, path.name, stamp, path)


def _folder(root: Path) -> Listing:
    listing, unknown, outside = Listing(), Counter[str](), []

    def note_error(error: OSError) -> None:
        listing.complete = False
        listing.problems.append(f"{error.filename}: cannot be opened ({error.strerror}). Check its rights.")

    real, suffixes = root.resolve(), known_suffixes()
    for folder, folders, files in os.walk(root, onerror=note_error, followlinks=False):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and not is_ignored(name))
        for name in [*links, *sorted(files)]:
            path = here / name
            if is_ignored(name):
                continue
            if path.is_symlink():
                if not path.resolve().is_relative_to(real):
                    outside.append(path)
            elif path.suffix.lower() not in suffixes:
                unknown[path.suffix.lower() or "no ending"] += 1
            else:
                _append(listing, path)
    listing.problems += [f"{path}: is a link out of the folder, which I do not follow." for path in outside]
    if unknown:
        listing.problems.append(f"{root}: {left_out(unknown)}")
    return listing


def _append(listing: Listing, path: Path) -> None:
    try:
        listing.items.append(file_item(path, str(path)))
    except OSError as error:
        listing.complete = False
        listing.problems.append(f"{path}: cannot be opened ({error.strerror}). Check its rights.")


def left_out(unknown: Counter[str]) -> str:
    """The sentence about files of unsupported kinds."""
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in unknown.most_common(6))
    return f"{sum(unknown.values())} files of kinds I do not read were left out ({kinds})."


@dataclass(frozen=True)
class ItemRecord:
    """An item as last read; `problems` lists its unreadable parts, repeated while the item is unchanged."""

    stamp: str
    raw_hash: str
    problems: tuple[str, ...]


class Sources:
    """The bookkeeping beside the documents, in the same file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> dict[str, frozenset[str]]:
        """Every source with the scopes of its new documents."""
        rows = self._store.connection.execute("SELECT source, scopes FROM sources ORDER BY added_at, source")
        return {source: frozenset(scopes.split()) for source, scopes in rows}

    def add(self, source: str, scopes: frozenset[str]) -> None:
        """Registers a source (again): documents that a person took out may come back."""
        scope_text = " ".join(sorted(check_scopes(scopes)))
        with self._store.transaction(quiet=True) as connection:
            connection.execute(
                "INSERT INTO sources (source, scopes) VALUES (?, ?)"
                " ON CONFLICT (source) DO UPDATE SET scopes = excluded.scopes",
                (source, scope_text),
            )
            if connection.execute("DELETE FROM taken_out WHERE root = ?", (source,)).rowcount:
                connection.execute("DELETE FROM items WHERE root = ?", (source,))

    def forget(self, source: str) -> None:
        """Unregisters a source; its documents are deleted separately."""
        with self._store.transaction(quiet=True) as connection:
            for table in ("sources WHERE source", "items WHERE root", "taken_out WHERE root"):
                connection.execute(f"DELETE FROM {table} = ?", (source,))  # noqa: S608

    def items(self, root: str) -> dict[str, ItemRecord]:
        """Every item of a source that was read before."""
        rows = self._store.connection.execute(
            "SELECT item, stamp, raw_hash, problems FROM items WHERE root = ?", (root,)
        )
        return {row[0]: ItemRecord(row[1], row[2], tuple(filter(None, row[3].split("\n")))) for row in rows}

    def note(self, root: str, item: str, record: ItemRecord) -> None:
        """The completion mark of an item, written after its documents."""
        values = (root, item, record.stamp, record.raw_hash, "\n".join(record.problems))
        with self._store.transaction(quiet=True) as connection:
            connection.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", values)

    def drop(self, root: str, items: Iterable[str]) -> None:
        """Deletes the records of these items."""
        with self._store.transaction(quiet=True) as connection:
            for item in items:
                connection.execute("DELETE FROM items WHERE root = ? AND item = ?", (root, item))

    def take_out(self, root: str, source: str) -> None:
        """Records that a person removed this document of a larger source, so that a sync skips it."""
        with self._store.transaction(quiet=True) as connection:
            connection.execute("INSERT OR IGNORE INTO taken_out VALUES (?, ?)", (root, source))

    def taken_out(self, root: str) -> set[str]:
        rows = self._store.connection.execute("SELECT source FROM taken_out WHERE root = ?", (root,))
        return {row[0] for row in rows}
