"""Syncs the index with a source: reads only changed items, embeds only changed passages.

Gates, each cheaper than the next: stamp (mtime, size, ETag), hash of the bytes, hash of the text, hash of
each passage. A document changes in one transaction. Documents missing from a complete listing are deleted, unless
most of a larger source is missing: then they stay and a person decides.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from rag.errors import RagError
from rag.ingest.fetch import Fetch, FetchError, Page
from rag.ingest.load import Unreadable, load
from rag.ingest.readers.reader import Text
from rag.ingest.sandbox import ReadTimeout, Sandbox
from rag.ingest.sources import Item, ItemRecord, Listing, Sources, is_address, left_out, list_items
from rag.search.chunking import Chunk, chunk_markdown, sub_chunks
from rag.search.embedding import MiniLM
from rag.search.store import Document, Store
from rag.signals.document_injection import injection_note

CHUNKER = "4"  # part of every hash: a new version re-reads and re-chunks every document
MEMBER = "!/"
MANY = 10  # a source that loses over half of more than this many keeps them until a person confirms
BATCH = 64
SHOWN = 20
NOTHING_IN_IT = (
    "Of a Slack export I read public channels alone; otherwise add a file or folder with documents in it."
)
OnProgress = Callable[[int, int, str], None]


@dataclass
class SyncReport:
    """The result of a sync; `problems` names each skipped source and what to do, `notes` are remarks on the others."""

    additions: int = 0
    repeats: int = 0
    removals: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        line = f"{self.additions} added or changed, {self.repeats} unchanged, {self.removals} removed."
        more, more_notes = len(self.problems) - SHOWN, len(self.notes) - SHOWN
        rest = [f"... and {more} more files that were left out."] if more > 0 else []
        notes = [f"Note: {note}" for note in self.notes[:SHOWN]]
        notes += [f"... and {more_notes} more notes."] if more_notes > 0 else []
        return "\n".join([line, *self.problems[:SHOWN], *rest, *notes])


class Sync:
    """One run over one or more sources, for one store, with one confined reader process."""

    def __init__(
        self,
        store: Store,
        embed: MiniLM,
        sandbox: Sandbox,
        fetch: Fetch,
        on_progress: OnProgress | None,
        anew: bool = False,
        sweep_many: bool = False,
    ) -> None:
        """`anew` retries items that could not be read before; `sweep_many` allows the deletion of most of a source."""
        self._store, self._embed, self._sandbox, self._fetch = store, embed, sandbox, fetch
        self._tell, self._anew, self._sweep_many = on_progress or (lambda *_: None), anew, sweep_many
        self._sources = Sources(store)
        self.report = SyncReport()
        self._count = self._total = 0
        self._name = ""

    def sources(self, sources: dict[str, tuple[frozenset[str], str | None]]) -> SyncReport:
        """Each source with the scopes of its new documents and the address to cite (None: its own)."""
        listings = [(root, list_items(root), *how) for root, how in sources.items()]
        self._total = sum(len(listing.items) for _, listing, _, _ in listings)
        for root, listing, scopes, url in listings:
            self.source(root, listing, scopes, url)
        return self.report

    def source(self, root: str, listing: Listing, scopes: frozenset[str], url: str | None = None) -> None:
        """One source that is listed already."""
        self._total = max(self._total, len(listing.items))
        documents, records = self._store.documents(root=root), self._sources.items(root)
        self.report.problems += listing.problems
        work = _Work(root, scopes, url, documents, records, self._sources.taken_out(root))
        for item in listing.items:
            self._name = item.name
            self._tell(self._count, self._total, item.name)
            problems = self._item(work, item)
            self.report.problems += problems
            self._count += 1
            self._tell(self._count, self._total, item.name)
        if listing.complete:
            self._sweep(work)

    def _item(self, work: _Work, item: Item) -> Sequence[str]:
        old = work.records.get(item.id)
        if old and not old.raw_hash.startswith(f"{CHUNKER}:"):  # read by an earlier version
            old = None
        mine = work.by_item.get(item.id, [])
        again = self._anew and old is not None and bool(old.problems)
        if old and old.stamp == item.stamp and item.stamp and not again:
            return self._same(work, item, old, mine)
        try:
            if item.path is None:
                return self._page(work, item, old, mine)
            return self._file(work, item, item.path, item.stamp, old, mine, again)
        except FetchError as error:
            if not error.is_gone:
                work.keep(mine)
            return [f"{item.id}: {error}"]
        except OSError as error:
            work.keep(mine)
            return [f"{item.id}: cannot be opened ({error.strerror}). Check its rights."]

    def _same(self, work: _Work, item: Item, old: ItemRecord, mine: Sequence[Document]) -> Sequence[str]:
        work.keep(mine)
        work.items.add(item.id)
        self.report.repeats += len(mine)
        return old.problems

    def _page(
        self, work: _Work, item: Item, old: ItemRecord | None, mine: Sequence[Document]
    ) -> Sequence[str]:
        page: Page | None = self._fetch(item.id, old.stamp if old and mine else "")
        if page is None:
            assert old is not None
            return self._same(work, item, old, mine)
        with tempfile.TemporaryDirectory(prefix="trainwise-page-") as folder:
            path = Path(folder) / ("page" + PurePosixPath(page.name).suffix)
            path.write_bytes(page.body)
            page_item = Item(item.id, page.name, page.stamp, path)
            return self._file(work, page_item, path, page.stamp, old, mine, again=False)

    def _file(
        self,
        work: _Work,
        item: Item,
        path: Path,
        stamp: str,
        old: ItemRecord | None,
        mine: Sequence[Document],
        again: bool,
    ) -> Sequence[str]:
        with path.open("rb") as file:
            raw = f"{CHUNKER}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if old and old.raw_hash == raw and not again:
            self._sources.note(work.root, item.id, ItemRecord(stamp, raw, old.problems))
            return self._same(work, item, old, mine)
        problems, lasting = self._documents(work, item, path, raw, mine)
        work.items.add(item.id)
        if lasting:
            self._sources.note(work.root, item.id, ItemRecord(stamp, raw, tuple(problems)))
        return problems

    def _documents(
        self, work: _Work, item: Item, path: Path, raw: str, mine: Sequence[Document]
    ) -> tuple[list[str], bool]:
        """The unreadable parts of an item, and whether a retry with the same bytes is useless."""
        problems: list[str] = []
        unknown: dict[str, int] = {}
        count = 0
        try:
            for result in load(path, item.name, self._sandbox):
                if isinstance(result, Text):
                    count += 1
                    self._name = f"{item.name}: {result.title}" if result.member else item.name
                    self._tell(self._count, self._total, self._name)
                    problems += self._document(work, item, result, raw)
                elif result.suffix:
                    unknown[result.suffix] = unknown.get(result.suffix, 0) + 1
                else:
                    problems.append(f"{item.id}{MEMBER}{result.member}: {result.reason}")
                    work.keep(doc for doc in mine if doc.source == _address(item, result))
        except RagError as error:
            work.keep(mine)
            note = " I kept the version that I had." if mine else ""
            return [f"{item.id}: {error}{note}"], not isinstance(error, ReadTimeout)
        if unknown:
            problems.append(f"{item.id}: {left_out_of(unknown)}")
        if not count and not problems:
            problems.append(f"{item.id}: holds no document that I may read. {NOTHING_IN_IT}")
        return problems, True

    def _document(self, work: _Work, item: Item, text: Text, raw: str) -> list[str]:
        """Writes a document that has changed; the problem of one that gives no passage."""
        source = _address(item, text)
        if source in work.taken_out:
            return []
        doc_id = hashlib.sha256(f"{work.root}\n{source}".encode()).hexdigest()[:12]
        old = work.by_id.get(doc_id)
        digest = hashlib.sha256(f"{CHUNKER}\n{text.title}\n{text.text}".encode()).hexdigest()
        work.kept_ids.add(doc_id)
        if old and old.text_hash == digest:
            self.report.repeats += 1
            return []
        chunks = chunk_markdown(text.text, text.title, self._embed.count_tokens)
        if not chunks:
            note = " I kept the version that I had." if old else ""
            return [
                f"{source}: holds nothing that an answer could show. Add a file with sentences in it.{note}"
            ]
        url = work.url or (work.root if is_address(work.root) else None)
        scopes = old.scopes if old else work.scopes
        document = Document(
            doc_id, work.root, source, text.title, url, scopes, item.stamp, raw, digest, item=item.id
        )
        self._store.write_document(document, text.text, chunks, self._embedded(chunks), self._embed.name)
        self.report.additions += 1
        self.report.notes += [f"{source}: {note}" for note in (*text.notes, *injection_note(text.text))]
        return []

    def _embedded(self, chunks: Sequence[Chunk]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        present = self._store.known_vectors((chunk.digest for chunk in chunks), self._embed.name)
        new = list({chunk.digest: chunk for chunk in chunks if chunk.digest not in present}.values())
        vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for at in range(0, len(new), BATCH):
            if at:
                self._tell(self._count, self._total, f"{self._name} ({at:,} of {len(new):,} passages)")
            vectors |= embed_chunks(new[at : at + BATCH], self._embed)
        return vectors

    def _sweep(self, work: _Work) -> None:
        absent = [doc for doc in work.by_id.values() if doc.id not in work.kept_ids]
        if len(absent) > MANY and 2 * len(absent) > len(work.by_id) and not self._sweep_many:
            self.report.problems.append(
                f"{work.root}: {len(absent)} of {len(work.by_id)} documents are not there any more. I kept them: "
                "say `trainwise index sync --sweep` if that is right."
            )
            return
        for doc in absent:
            self._store.delete_document(doc.id)
        self.report.removals += len(absent)
        if stale := set(work.records) - work.items:
            self._sources.drop(work.root, stale)


class _Work:
    """One source during a sync."""

    def __init__(
        self,
        root: str,
        scopes: frozenset[str],
        url: str | None,
        documents: Sequence[Document],
        records: dict[str, ItemRecord],
        taken_out: set[str],
    ) -> None:
        self.root, self.scopes, self.url, self.records, self.taken_out = root, scopes, url, records, taken_out
        self.by_id = {doc.id: doc for doc in documents}
        self.by_item: dict[str, list[Document]] = {}
        for doc in documents:
            self.by_item.setdefault(doc.item, []).append(doc)
        self.kept_ids: set[str] = set()
        self.items: set[str] = set()

    def keep(self, documents: Iterable[Document]) -> None:
        self.kept_ids.update(doc.id for doc in documents)


def embed_chunks(chunks: Sequence[Chunk], embed: MiniLM) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each passage's vector and those of its parts, by digest; all in one call, so that every core works.

    The vector of a passage with parts is their mean: half the compute and better retrieval (docs/quality.md).
    """
    parts = [sub_chunks(chunk, embed.count_tokens) for chunk in chunks]
    rows = embed(
        [text for chunk, some in zip(chunks, parts, strict=True) for text in some or [chunk.searchable]]
    )
    at, vectors = 0, {}
    for chunk, some in zip(chunks, parts, strict=True):
        mine = rows[at : at + max(1, len(some))]
        at += len(mine)
        mean = mine.mean(axis=0)
        vectors[chunk.digest] = (mean / np.linalg.norm(mean), mine[: len(some)])
    return vectors


def left_out_of(unknown: dict[str, int]) -> str:
    """The sentence about members of unsupported kinds."""
    from collections import Counter

    return left_out(Counter(unknown))


def _address(item: Item, result: Text | Unreadable) -> str:
    return f"{item.id}{MEMBER}{result.member}" if result.member else item.id
