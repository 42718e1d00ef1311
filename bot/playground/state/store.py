"""Where a workspace keeps its records: nowhere (a test), or a folder that survives a kill -9."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

SCHEMA = "CREATE TABLE IF NOT EXISTS record (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))"


class Store:
    """JSON records by (kind, key) and file contents by id; every `put` is durable when it returns.

    With `folder=None` records live as long as the process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._contents: dict[str, bytes] = {}
        where = ":memory:"
        if folder is not None:
            (folder / "files").mkdir(parents=True, exist_ok=True)
            where = str(folder / "workspace.db")
        self._db = sqlite3.connect(where, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(SCHEMA)

    def put(self, kind: str, key: str, body: Any) -> None:
        """Keep `body` (JSON) under (kind, key), replacing what was there."""
        upsert = (
            "INSERT INTO record VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
        )
        self._db.execute(upsert, (kind, key, json.dumps(body)))

    def drop(self, kind: str, key: str) -> None:
        """Forget one record."""
        self._db.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))

    def load(self, kind: str) -> dict[str, Any]:
        """All records of a kind, in the order they were first kept."""
        rows = self._db.execute("SELECT key, body FROM record WHERE kind = ? ORDER BY rowid", (kind,))
        return {key: json.loads(body) for key, body in rows}

    def put_content(self, file_id: str, content: bytes) -> None:
        """Keep a file's bytes."""
        if self._folder is None:
            self._contents[file_id] = content
            return
        path = self._folder / "files" / file_id
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)

    def content(self, file_id: str) -> bytes | None:
        """A file's bytes, or None when it was never uploaded."""
        if self._folder is None:
            return self._contents.get(file_id)
        path = self._folder / "files" / file_id
        return path.read_bytes() if path.exists() else None

    def close(self) -> None:
        """Close the database file."""
        self._db.close()
