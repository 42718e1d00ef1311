"""Nearest passages by meaning: Chroma (fed from the store, rebuildable), or exact search without it.

Chroma holds one collection per scope, ids and vectors only: a question opens the collections it may read
and no others, so no filter can be forgotten, and none slows the search (a `where` over many teams costs
478 ms at 100,000 passages). A reader of more than FEW scopes is served from one more collection with every passage:
the search takes extra neighbours and keeps those within the scopes (25 collections cost 20 ms). One process at a time owns the folder: two would
corrupt it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from rag.errors import RagError
from rag.search.full_text import scope_word
from rag.search.store import Store

log = logging.getLogger("trainwise.vectors")
FEED = 500
EVERYTHING = " "  # no scope has this name
FEW = 6  # scopes: a collection each is as quick
MARGIN = 1.6  # neighbours taken per neighbour expected
MAX_NEIGHBOURS = 500  # to look through for those of the scopes; else each scope is searched
CONFIGURATION = {"hnsw": {"space": "cosine", "ef_search": 100, "ef_construction": 100, "max_neighbors": 16}}


class Vectors(Protocol):
    """A searchable copy of the store's vectors."""

    kind: str

    def search(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        """Keys of the `n` nearest passages that readers of `scopes` may see, best first."""

    def catch_up(self) -> None:
        """Copies the store's changes."""

    @property
    def refresh(self) -> Callable[[], None]:
        """Copies another process's changes: at once if that is quick, else in the background."""

    def close(self) -> None:
        """Releases files and locks."""


def keys_by_scope(store: Store, scopes: Iterable[str] | None = None) -> dict[str, set[int]]:
    """The passages of each scope (None: of every scope there is)."""
    keys: dict[str, set[int]] = {scope: set() for scope in scopes or ()}
    for key, scope_text in store.connection.execute(
        "SELECT c.key, d.scopes FROM chunks c JOIN documents d ON d.id = c.doc_id"
    ):
        for scope in scope_text.split():
            if scopes is None or scope in keys:
                keys.setdefault(scope, set()).add(key)
    return keys


class Refresher:
    """Calls `catch_up` when the store is ahead; in a thread of its own once that has proved slow.

    Meanwhile a search lacks only the newest passages' vectors: the word search finds them already, and the store
    filters removed and restricted passages.
    """

    QUICK_S = 0.05

    def __init__(self, store: Store, catch_up: Callable[[], None], generation: Callable[[], int]) -> None:
        self._store, self._catch_up, self._generation = store, catch_up, generation
        self._took = 0.0
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        if self._store.generation == self._generation() or (self._thread and self._thread.is_alive()):
            return
        if self._took < self.QUICK_S:
            self._run()
        else:
            self._thread = threading.Thread(target=self._run, name="catch-up", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Returns when nothing runs."""
        if self._thread:
            self._thread.join(30)

    def _run(self) -> None:
        begin = time.monotonic()
        try:
            self._catch_up()
        except Exception:  # the thread's outermost frame: the search continues with the vectors it has
            log.exception("the vector index could not catch up")
        self._took = time.monotonic() - begin


class ExactVectors:
    """Every vector in memory, compared one by one: for a second process, or with Chroma unreachable.

    About 16 ms and 154 MB at 100,000 passages.
    """

    kind = "exact"

    def __init__(self, store: Store, embedder: str, dim: int) -> None:
        self._store, self._embedder, self._dim = store, embedder, dim
        self._generation = -1
        self._keys = np.zeros(0, dtype=np.int64)
        self._rows = np.zeros((0, dim), dtype=np.float32)
        self._masks: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self.refresh = Refresher(store, self.catch_up, lambda: self._generation)

    def search(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        with self._lock:
            keys, rows, masks = self._keys, self._rows, self._masks
        mask = np.zeros(len(keys), dtype=bool)
        for scope in scopes:
            if scope in masks:
                mask |= masks[scope]
        places = np.flatnonzero(mask)
        if not len(places):
            return []
        scores = rows[places] @ row if len(places) < len(keys) else rows @ row
        best = np.argsort(-scores)[:n]
        return [int(key) for key in keys[places[best]]]

    def catch_up(self) -> None:
        with self._lock:
            with self._store.snapshot() as connection:
                generation = self._store.generation
                if generation == self._generation:
                    return
                rows = connection.execute(
                    "SELECT c.key, d.scopes, v.row FROM chunks c JOIN documents d ON d.id = c.doc_id"
                    " JOIN vectors v ON v.digest = c.digest AND v.embedder = ? ORDER BY c.key",
                    (self._embedder,),
                ).fetchall()
            self._keys = np.asarray([row[0] for row in rows], dtype=np.int64)
            blob = b"".join(row[2] for row in rows)
            self._rows = np.frombuffer(blob, dtype=np.float32).reshape(-1, self._dim)
            members = [frozenset(row[1].split()) for row in rows]
            every = frozenset().union(*members)
            self._masks = {s: np.asarray([s in member for member in members]) for s in every}
            self._generation = generation

    def close(self) -> None:
        self.refresh.wait()
        self._masks = {}


class ChromaVectors:
    """The store's vectors in Chroma; `client` is a persistent client of ours or one to a server."""

    kind = "chroma"

    def __init__(self, store: Store, embedder: str, client: Any, lock_file: int | None = None) -> None:
        self._store, self._embedder, self._client, self._lock_file = store, embedder, client, lock_file
        self._prefix = f"tw-{store.store_id}-{hashlib.sha256(embedder.encode()).hexdigest()[:8]}-"
        self._collections: dict[str, Any] = {}
        self._keys_by_scope: dict[str, set[int]] = {}
        self._generation = -1
        self._lock = threading.Lock()
        self.refresh = Refresher(store, self.catch_up, lambda: self._generation)
        self._drop_other_embedders()

    def search(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        """Reloads a failed server once; if it stays away, the word search alone finds passages."""
        for attempt in (1, 2):
            try:
                return self._search(row, scopes, n)
            except Exception:  # chromadb and httpx raise various errors when a server is lost
                log.warning("Chroma did not answer (try %d)", attempt, exc_info=attempt == 2)
                if attempt == 1:
                    self._forget()
        return []

    def _search(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        if self._generation < 0:
            self.catch_up()
        if len(scopes) > FEW and (nearest := self._among_everything(row, scopes, n)):
            return nearest
        neighbours: list[tuple[float, int]] = []
        for scope in scopes:
            count = len(self._keys_by_scope.get(scope, ()))
            if not count:
                continue
            answer = self._collections[scope].query(
                query_embeddings=row[None, :], n_results=min(n, count), include=["distances"]
            )
            neighbours.extend(zip(answer["distances"][0], map(int, answer["ids"][0]), strict=True))
        best: dict[int, float] = {}
        for distance, key in sorted(neighbours):
            best.setdefault(key, distance)
        return list(best)[:n]

    def _among_everything(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        """The nearest of these scopes out of the collection of all passages; [] where they are too few in it."""
        everything, members = self._keys_by_scope.get(EVERYTHING), self._keys_by_scope
        if not everything:
            return []
        readable = [members[scope] for scope in scopes if scope in members]
        share = min(1.0, sum(map(len, readable)) / len(everything))
        count = int(MARGIN * n / share) if share else 0
        if not 0 < count <= min(MAX_NEIGHBOURS, len(everything)):
            return []
        answer = self._collections[EVERYTHING].query(
            query_embeddings=row[None, :], n_results=count, include=["distances"]
        )
        keys = [key for key in map(int, answer["ids"][0]) if any(key in some for some in readable)]
        return keys[:n] if len(keys) >= n else []

    def _forget(self) -> None:
        """What is known of the server's collections is not to be trusted any more."""
        with self._lock:
            self._collections.clear()
            self._keys_by_scope.clear()
            self._generation = -1

    def catch_up(self) -> None:
        """Make each collection hold exactly the store's passages of its scope; safe to interrupt."""
        with self._lock:
            generation = self._store.generation
            if generation == self._generation:
                return
            with self._store.snapshot():
                keys = keys_by_scope(self._store)
            if len(keys) > FEW:
                keys[EVERYTHING] = set().union(*keys.values())
            for scope in keys.keys() | self._keys_by_scope.keys():
                self._reconcile(scope, keys.get(scope, set()))
            self._generation = generation

    def close(self) -> None:
        self.refresh.wait()
        self._collections.clear()
        close = getattr(self._client, "close", None)
        if close:
            close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _reconcile(self, scope: str, store_keys: set[int]) -> None:
        if scope not in self._collections:
            self._collections[scope] = self._client.get_or_create_collection(
                self._prefix + scope_word(scope), configuration=CONFIGURATION, embedding_function=None
            )
            self._keys_by_scope[scope] = {int(key) for key in self._collections[scope].get(include=[])["ids"]}
        collection, chroma_keys = self._collections[scope], self._keys_by_scope[scope]
        stale, missing = sorted(chroma_keys - store_keys), sorted(store_keys - chroma_keys)
        for at in range(0, len(stale), FEED):
            part = stale[at : at + FEED]
            collection.delete(ids=[str(key) for key in part])
            chroma_keys.difference_update(part)
        for at in range(0, len(missing), FEED):
            part = missing[at : at + FEED]
            marks = ",".join("?" * len(part))
            rows = self._store.connection.execute(
                "SELECT c.key, v.row FROM chunks c JOIN vectors v ON v.digest = c.digest AND v.embedder = ?"  # noqa: S608
                f" WHERE c.key IN ({marks})",
                (self._embedder, *part),
            ).fetchall()
            if rows:
                matrix = np.stack([np.frombuffer(row[1], dtype=np.float32) for row in rows])
                collection.upsert(ids=[str(row[0]) for row in rows], embeddings=matrix)
                chroma_keys.update(row[0] for row in rows)

    def _drop_other_embedders(self) -> None:
        """Collections of ours from an earlier embedding model are of no use to anyone."""
        for collection in self._client.list_collections():
            name = collection.name
            if name.startswith(f"tw-{self._store.store_id}-") and not name.startswith(self._prefix):
                self._client.delete_collection(name)


def drop_collections(store_id: str, chroma_url: str) -> None:
    """Deletes at a Chroma server every collection of the store with this id."""
    client = _server(chroma_url)
    for collection in client.list_collections():
        if collection.name.startswith(f"tw-{store_id}-"):
            client.delete_collection(collection.name)


def open_vectors(store: Store, embedder: str, dim: int, folder: Path, chroma_url: str | None) -> Vectors:
    """Chroma at `chroma_url`, else Chroma in `folder`, else (another process owns it) exact search."""
    if chroma_url:
        return ChromaVectors(store, embedder, _server(chroma_url))
    lock_file = _take_lock(folder)
    if lock_file is None:
        return ExactVectors(store, embedder, dim)
    import chromadb  # after the lock: merely opening a folder that another process owns can harm it
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False, allow_reset=False)
    return ChromaVectors(store, embedder, chromadb.PersistentClient(str(folder), settings), lock_file)


def _take_lock(folder: Path) -> int | None:
    """A file handle that holds the folder until it is closed or the process ends; None if it is held."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _server(url: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RagError(
            f"The Chroma address {url!r} is not http(s)://host:port. Correct TRAINWISE_CHROMA_URL."
        )
    import chromadb
    from chromadb.config import Settings

    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        return chromadb.HttpClient(
            parts.hostname, port, ssl=parts.scheme == "https", settings=Settings(anonymized_telemetry=False)
        )
    except Exception as error:  # chromadb raises ValueError, httpx errors and its own for one cause
        raise RagError(
            f"The Chroma server at {url} does not answer. Start it with `chroma run`, or unset "
            "TRAINWISE_CHROMA_URL to use the embedded one."
        ) from error
