"""The document store: documents, passages, their scopes and vectors, in one SQLite file.

A document changes in one transaction, so a reader sees either version complete; a crash leaves the old one.
`generation` grows with every change: the vector index compares it to detect that it is stale.
Passage keys are never reused.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.search.chunking import Chunk
from rag.search.full_text import TOKENIZER, WordCounts, add_words, forget_words

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('generation', 0), ('schema', 1), ('store_id', lower(hex(randomblob(6))));
CREATE TABLE IF NOT EXISTS sources (
    source TEXT PRIMARY KEY, scopes TEXT NOT NULL, added_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, root TEXT NOT NULL, source TEXT NOT NULL, title TEXT NOT NULL, url TEXT,
    scopes TEXT NOT NULL, stamp TEXT NOT NULL, raw_hash TEXT NOT NULL, text_hash TEXT NOT NULL,
    text TEXT NOT NULL, updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, item TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    root TEXT, item TEXT, stamp TEXT NOT NULL, raw_hash TEXT NOT NULL, problems TEXT NOT NULL,
    PRIMARY KEY (root, item)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taken_out (root TEXT, source TEXT, PRIMARY KEY (root, source)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_root ON documents (root);
CREATE TABLE IF NOT EXISTS chunks (
    key INTEGER PRIMARY KEY AUTOINCREMENT, doc_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_doc ON chunks (doc_id, position);
CREATE INDEX IF NOT EXISTS chunks_digest ON chunks (digest);
CREATE TABLE IF NOT EXISTS vectors (
    embedder TEXT, digest TEXT, row BLOB NOT NULL, parts BLOB NOT NULL, PRIMARY KEY (digest, embedder)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    body, scopes, content='', tokenize="TOKENIZER"
);
CREATE VIRTUAL TABLE IF NOT EXISTS word_counts USING fts5vocab (words, 'col');
"""
WORKSPACE = "workspace"
GUIDE_SCOPE = "guide"
"""The bundled guide's own scope, beside the workspace's: what people from outside may read too."""
VectorsByDigest = Mapping[str, tuple[np.ndarray, np.ndarray]]
_SCOPE = re.compile(r"workspace|guide|channel:[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True)
class Document:
    """One indexed document: `item` of the source `root`, `source` its own address (a zip's member has both)."""

    id: str
    root: str
    source: str
    title: str
    url: str | None
    scopes: frozenset[str]
    stamp: str
    raw_hash: str
    text_hash: str
    chunks: int = 0
    updated_at: str = ""
    item: str = ""


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes as a set; RagError on one that is none of "workspace", "guide", "channel:ID"."""
    scope_set = frozenset(scopes)
    for scope in scope_set:
        if not _SCOPE.fullmatch(scope):
            raise RagError(f"Unknown audience {scope[:100]!r}: use the whole workspace or a channel.")
    return scope_set


class Store:
    """Open with `Store(path)`; every thread gets its own connection, every write is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._threads = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._write = threading.Lock()
        self.word_counts = WordCounts()
        self.connection.executescript(SCHEMA.replace("TOKENIZER", TOKENIZER))
        self._migrate()
        self.store_id = str(self._meta("store_id"))

    def _migrate(self) -> None:
        """Schema 1 knew single files under one root: each becomes a source of its own."""
        columns = {row[1] for row in self.connection.execute("PRAGMA table_info(documents)")}
        if "item" in columns:
            return
        with self.transaction() as connection:
            connection.execute("ALTER TABLE documents ADD COLUMN item TEXT NOT NULL DEFAULT ''")
            connection.execute("UPDATE documents SET item = source")
            connection.execute("UPDATE documents SET root = source WHERE root = 'added'")
            connection.execute(
                "INSERT OR IGNORE INTO sources (source, scopes) SELECT root, scopes FROM documents"
                " WHERE root = source"
            )

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA cache_size = -32000")
            self._threads.connection = connection
            self._connections.append(connection)
        return connection

    @contextmanager
    def transaction(self, quiet: bool = False) -> Iterator[sqlite3.Connection]:
        """One atomic write; other writers of this process wait, those of other processes up to 30 s.

        A `quiet` one changes nothing that a search sees.
        """
        with self._write:
            connection = self.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                if not quiet:
                    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'generation'")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A consistent read view, whatever is written meanwhile."""
        connection = self.connection
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._threads = threading.local()

    @property
    def generation(self) -> int:
        return int(self._meta("generation"))

    def _meta(self, name: str) -> int | str:
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        value: int | str = row[0]
        return value

    def documents(self, scopes: frozenset[str] | None = None, root: str | None = None) -> list[Document]:
        """The documents that readers of `scopes` may see (None: all), oldest title first."""
        rows = self.connection.execute(
            "SELECT d.id, root, source, title, url, scopes, stamp, raw_hash, text_hash, updated_at,"
            " (SELECT count(*) FROM chunks c WHERE c.doc_id = d.id), item FROM documents d"
            " WHERE ?1 IS NULL OR root = ?1 ORDER BY title, source",
            (root,),
        )
        documents = [
            Document(
                r[0], r[1], r[2], r[3], r[4], frozenset(r[5].split()), r[6], r[7], r[8], r[10], r[9], r[11]
            )
            for r in rows
        ]
        return (
            documents if scopes is None else [document for document in documents if document.scopes & scopes]
        )

    def write_document(
        self,
        document: Document,
        text: str,
        chunks: Sequence[Chunk],
        vectors: VectorsByDigest,
        embedder: str,
    ) -> None:
        """Replaces the old version of a document. `vectors`: digest -> (row, sub-passage rows).

        Passages whose content stays keep their key, so neither their vector nor its index entry moves.
        """
        with self.transaction() as connection:
            _insert_vectors(connection, vectors, embedder)
            keys_by_digest, old_digests = _drop_stale_chunks(connection, document, chunks)
            connection.execute(
                "INSERT INTO documents (id, root, source, title, url, scopes, stamp, raw_hash, text_hash, text,"
                " item) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET root = excluded.root,"
                " source = excluded.source, title = excluded.title, url = excluded.url,"
                " scopes = excluded.scopes, stamp = excluded.stamp, raw_hash = excluded.raw_hash,"
                " text_hash = excluded.text_hash, text = excluded.text, item = excluded.item,"
                " updated_at = CURRENT_TIMESTAMP",
                (document.id, document.root, document.source, document.title, document.url,
                 _join(document.scopes), document.stamp, document.raw_hash, document.text_hash, text, document.item),
            )  # fmt: skip
            for chunk in chunks:
                place = (chunk.position, chunk.start, chunk.end)
                if keys := keys_by_digest.get(chunk.digest):
                    update = 'UPDATE chunks SET position = ?, start = ?, "end" = ? WHERE key = ?'
                    connection.execute(update, (*place, keys.pop()))
                else:
                    _insert_chunk(connection, document, chunk)
            _sweep_vectors(connection, old_digests)

    def set_scopes(self, doc_id: str, scopes: frozenset[str]) -> None:
        """Change who may read a document; nothing is embedded again."""
        with self.transaction() as connection:
            row = connection.execute("SELECT scopes FROM documents WHERE id = ?", (doc_id,)).fetchone()
            chunks = connection.execute(
                "SELECT key, heading, text FROM chunks WHERE doc_id = ?", (doc_id,)
            ).fetchall()
            old = frozenset(row[0].split())
            for key, heading, text in chunks:
                forget_words(connection, key, heading, text, old)
                add_words(connection, key, heading, text, scopes)
            connection.execute("UPDATE documents SET scopes = ? WHERE id = ?", (_join(scopes), doc_id))

    def delete_document(self, doc_id: str) -> None:
        with self.transaction() as connection:
            row = connection.execute("SELECT scopes FROM documents WHERE id = ?", (doc_id,)).fetchone()
            if row is None:
                return
            scopes = frozenset(row[0].split())
            chunks = connection.execute(
                "SELECT key, heading, text, digest FROM chunks WHERE doc_id = ?", (doc_id,)
            ).fetchall()
            for key, heading, text, _ in chunks:
                forget_words(connection, key, heading, text, scopes)
            connection.execute("DELETE FROM documents WHERE id = ?", (doc_id,))
            _sweep_vectors(connection, {row[3] for row in chunks})

    def unembedded(self, embedder: str, n: int) -> list[tuple[str, str, str]]:
        """(digest, heading, text) of up to `n` contents that this embedder has no vector of."""
        rows = self.connection.execute(
            "SELECT DISTINCT c.digest, c.heading, c.text FROM chunks c LEFT JOIN vectors v"
            " ON v.digest = c.digest AND v.embedder = ? WHERE v.digest IS NULL LIMIT ?",
            (embedder, n),
        )
        return rows.fetchall()

    def add_vectors(self, vectors: VectorsByDigest, embedder: str) -> None:
        with self.transaction() as connection:
            _insert_vectors(connection, vectors, embedder)

    def drop_other_vectors(self, embedder: str) -> None:
        """Deletes another model's vectors, which are useless once this model's are complete."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM vectors WHERE embedder != ?", (embedder,))

    def known_vectors(self, digests: Iterable[str], embedder: str) -> set[str]:
        """Which of these contents are embedded already."""
        digest_list = list(digests)
        present: set[str] = set()
        for at in range(0, len(digest_list), 500):
            part = digest_list[at : at + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT digest FROM vectors WHERE embedder = ? AND digest IN ({marks})"  # noqa: S608
            present.update(row[0] for row in self.connection.execute(sql, (embedder, *part)))
        return present


def pack_parts(parts: np.ndarray) -> bytes:
    """Sub-passage rows as int8, a quarter of the space; cosine changes by less than .002."""
    return np.round(np.asarray(parts, dtype=np.float32) * 127).astype(np.int8).tobytes()


def unpack_parts(blob: bytes, dim: int) -> np.ndarray:
    """(n, dim) float32 rows from `pack_parts`."""
    return np.frombuffer(blob, dtype=np.int8).reshape(-1, dim).astype(np.float32) / 127


def _join(scopes: frozenset[str]) -> str:
    return " ".join(sorted(check_scopes(scopes)))


def _insert_chunk(connection: sqlite3.Connection, document: Document, chunk: Chunk) -> None:
    cursor = connection.execute(
        'INSERT INTO chunks (doc_id, position, heading, text, start, "end", digest) VALUES (?, ?, ?, ?, ?, ?, ?)',
        (document.id, chunk.position, chunk.heading, chunk.text, chunk.start, chunk.end, chunk.digest),
    )
    add_words(connection, int(cursor.lastrowid or 0), chunk.heading, chunk.text, document.scopes)


def _drop_stale_chunks(
    connection: sqlite3.Connection, document: Document, chunks: Sequence[Chunk]
) -> tuple[dict[str, list[int]], set[str]]:
    """Deletes the passages that the new version lacks; returns the keys of kept passages by content, and deleted contents."""
    row = connection.execute("SELECT scopes FROM documents WHERE id = ?", (document.id,)).fetchone()
    if row is None:
        return {}, set()
    old_scopes = frozenset(row[0].split())
    counts: dict[str, int] = {}
    for chunk in chunks:
        counts[chunk.digest] = counts.get(chunk.digest, 0) + 1
    keys: dict[str, list[int]] = {}
    old_digests: set[str] = set()
    for key, heading, text, digest in connection.execute(
        "SELECT key, heading, text, digest FROM chunks WHERE doc_id = ?", (document.id,)
    ).fetchall():
        stays = counts.get(digest, 0) > 0
        if stays:
            counts[digest] -= 1
            keys.setdefault(digest, []).append(key)
        else:
            connection.execute("DELETE FROM chunks WHERE key = ?", (key,))
            old_digests.add(digest)
        if not stays or old_scopes != document.scopes:
            forget_words(connection, key, heading, text, old_scopes)
            if stays:
                add_words(connection, key, heading, text, document.scopes)
    return keys, old_digests


def _insert_vectors(connection: sqlite3.Connection, vectors: VectorsByDigest, embedder: str) -> None:
    for digest, (row, parts) in vectors.items():
        values = (embedder, digest, row.astype(np.float32).tobytes(), pack_parts(parts))
        connection.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)", values)


def _sweep_vectors(connection: sqlite3.Connection, digests: Iterable[str]) -> None:
    """Deletes vectors of content that no passage contains any more, so that erased text leaves no trace."""
    connection.executemany(
        "DELETE FROM vectors WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM chunks WHERE digest = ?1)",
        [(digest,) for digest in digests],
    )
