"""What was added and what was seen of it: sources, their items with stamps and hashes, what a person took out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rag.search.store import Store, check_scopes


@dataclass(frozen=True)
class Seen:
    """An item as last read; `problems` are what could not be read of it, told again while it stays as it is."""

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
        """Note a source (again): what a person once took out of it may come back."""
        joined = " ".join(sorted(check_scopes(scopes)))
        with self._store.transaction(quiet=True) as connection:
            connection.execute(
                "INSERT INTO sources (source, scopes) VALUES (?, ?)"
                " ON CONFLICT (source) DO UPDATE SET scopes = excluded.scopes",
                (source, joined),
            )
            if connection.execute("DELETE FROM taken_out WHERE root = ?", (source,)).rowcount:
                connection.execute("DELETE FROM items WHERE root = ?", (source,))

    def forget(self, source: str) -> None:
        """The source is nobody's any more; its documents are deleted apart from this."""
        with self._store.transaction(quiet=True) as connection:
            for table in ("sources WHERE source", "items WHERE root", "taken_out WHERE root"):
                connection.execute(f"DELETE FROM {table} = ?", (source,))  # noqa: S608

    def items(self, root: str) -> dict[str, Seen]:
        """Every item of a source that was read before."""
        rows = self._store.connection.execute(
            "SELECT item, stamp, raw_hash, problems FROM items WHERE root = ?", (root,)
        )
        return {row[0]: Seen(row[1], row[2], tuple(filter(None, row[3].split("\n")))) for row in rows}

    def note(self, root: str, item: str, seen: Seen) -> None:
        """The completion mark of an item, written after its documents."""
        values = (root, item, seen.stamp, seen.raw_hash, "\n".join(seen.problems))
        with self._store.transaction(quiet=True) as connection:
            connection.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", values)

    def drop(self, root: str, items: Iterable[str]) -> None:
        """These items are gone."""
        with self._store.transaction(quiet=True) as connection:
            for item in items:
                connection.execute("DELETE FROM items WHERE root = ? AND item = ?", (root, item))

    def take_out(self, root: str, source: str) -> None:
        """A person removed this document of a larger source: a sync leaves it out."""
        with self._store.transaction(quiet=True) as connection:
            connection.execute("INSERT OR IGNORE INTO taken_out VALUES (?, ?)", (root, source))

    def taken_out(self, root: str) -> set[str]:
        rows = self._store.connection.execute("SELECT source FROM taken_out WHERE root = ?", (root,))
        return {row[0] for row in rows}
