"""The index of documents: files and pages in, searchable passages out, each document changed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from rag.errors import RagError
from rag.ingest.fetch import Fetch, fetch_public
from rag.ingest.sandbox import Sandbox
from rag.ingest.sources import Listing, Sources, file_item, is_address, root_of
from rag.ingest.sync import BATCH, OnProgress, Sync, SyncReport, embed_chunks
from rag.search.chunking import Chunk
from rag.search.embedding import MiniLM
from rag.search.store import GUIDE_SCOPE, WORKSPACE, Document, Store, check_scopes
from rag.search.vectors import Vectors, open_vectors

GUIDE = Path(__file__).parent / "guide"
GUIDE_SCOPES = frozenset({WORKSPACE, GUIDE_SCOPE})


@dataclass(frozen=True)
class Stats:
    """How much the index holds."""

    documents: int
    chunks: int


class Index:
    """Open with `Index.open(folder, embed)`; a context manager. Readers never see half a document."""

    def __init__(self, store: Store, vectors: Vectors, embed: MiniLM, fetch: Fetch = fetch_public) -> None:
        self.store, self.embed = store, embed
        self._vectors, self._fetch = vectors, fetch
        self._sources = Sources(store)

    @classmethod
    def open(
        cls, folder: Path, embed: MiniLM, chroma_url: str | None = None, fetch: Fetch = fetch_public
    ) -> Index:
        """The index in `folder` (made if missing), with Chroma embedded or at `chroma_url`."""
        store = Store(folder / "index.db")
        embed_missing(store, embed)
        vectors = open_vectors(store, embed.name, embed.dim, folder / "chroma", chroma_url)
        vectors.catch_up()
        return cls(store, vectors, embed, fetch)

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of files and locks."""
        self._vectors.close()
        self.store.close()

    def nearest(self, row: np.ndarray, scopes: frozenset[str], n: int) -> list[int]:
        """Keys of the `n` passages of `scopes` nearest in meaning, as far as this process has caught up."""
        self._vectors.refresh()
        return self._vectors.search(row, scopes, n)

    def ensure_guide(self) -> SyncReport:
        """Brings the bundled guide into the index when it is missing or has changed."""
        listing = Listing([file_item(path, path.name) for path in sorted(GUIDE.glob("*.md"))])
        with Sandbox() as sandbox:
            run = Sync(self.store, self.embed, sandbox, self._fetch, None, sweep_many=True)
            run.source("guide", listing, GUIDE_SCOPES)
        for document in self.store.documents(root="guide"):  # of an index made before the guide had a scope
            if document.scopes != GUIDE_SCOPES:
                self.store.set_scopes(document.id, GUIDE_SCOPES)
        self._vectors.catch_up()
        return run.report

    def add(
        self,
        sources: Iterable[str | Path],
        scopes: frozenset[str],
        on_progress: OnProgress | None = None,
        url: str | None = None,
    ) -> SyncReport:
        """Adds files, folders and web pages; what cannot be read is named in the report and the rest goes on.

        Adding what is there already lets these scopes see it too (everyone, once it is the workspace's). `url`
        is where a citation of these sources leads.
        """
        scopes = check_scopes(scopes)
        sources_to_read: dict[str, tuple[frozenset[str], str | None]] = {}
        problems = []
        for source in sources:
            try:
                root = root_of(source)
                if not is_address(root) and not Path(root).exists():
                    raise RagError(f"{source}: there is no such file here. Check the path.")
                sources_to_read[root] = (self._wide_scopes(root, scopes), url)
            except RagError as error:
                problems.append(str(error))
        report = self._run(sources_to_read, on_progress, anew=True)
        for root in sources_to_read:
            if not self.store.documents(root=root):
                self._sources.forget(root)
        report.problems[:0] = problems
        return report

    def sync(self, on_progress: OnProgress | None = None, sweep_many: bool = False) -> SyncReport:
        """Looks at every source again: what changed is replaced, what vanished removed.

        When most of a source is gone it is kept and told, unless `sweep_many`.
        """
        sources_to_read: dict[str, tuple[frozenset[str], str | None]] = {}
        for root, scopes in self._sources.all().items():
            urls = {doc.url for doc in self.store.documents(root=root)}
            sources_to_read[root] = (scopes, urls.pop() if len(urls) == 1 else None)
        return self._run(sources_to_read, on_progress, sweep_many=sweep_many)

    def remove(self, doc_id: str) -> Document:
        """Removes a document and all its passages for good; RagError when there is none with this id."""
        document = self._document(doc_id)
        self.store.delete_document(doc_id)
        if self.store.documents(root=document.root):
            self._sources.take_out(document.root, document.source)
        else:
            self._sources.forget(document.root)
        self._vectors.catch_up()
        return document

    def share(self, doc_id: str, scopes: frozenset[str]) -> Document:
        """Lets exactly these scopes see a document (a sync keeps it so); nothing is embedded again."""
        document = self._document(doc_id)
        self.store.set_scopes(doc_id, check_scopes(scopes))
        if document.root == document.source:
            self._sources.add(document.root, scopes)
        self._vectors.catch_up()
        return self._document(doc_id)

    def documents(self, scopes: frozenset[str] | None = None) -> list[Document]:
        """The documents that readers of `scopes` may see (None: all)."""
        return self.store.documents(scopes)

    def stats(self) -> Stats:
        """Documents and passages."""
        documents = self.documents()
        return Stats(len(documents), sum(document.chunks for document in documents))

    def _document(self, doc_id: str) -> Document:
        match = next((document for document in self.documents() if document.id == doc_id), None)
        if match and match.root == "guide":
            raise RagError(
                "This document comes with Trainwise. Only documents that were added can be changed."
            )
        if match is None:
            raise RagError(
                f"There is no added document {doc_id[:40]!r}. List them with `trainwise index list`."
            )
        return match

    def _wide_scopes(self, root: str, scopes: frozenset[str]) -> frozenset[str]:
        """The scopes of a source from now on; documents that it has already are shared at once."""
        wide = scopes | self._sources.all().get(root, frozenset())
        wide = frozenset({WORKSPACE}) if WORKSPACE in wide else wide
        self._sources.add(root, wide)
        for document in self.store.documents(root=root):
            if document.scopes != wide:
                self.store.set_scopes(document.id, wide)
        return wide

    def _run(
        self,
        sources: dict[str, tuple[frozenset[str], str | None]],
        on_progress: OnProgress | None,
        anew: bool = False,
        sweep_many: bool = False,
    ) -> SyncReport:
        with Sandbox() as sandbox:
            run = Sync(self.store, self.embed, sandbox, self._fetch, on_progress, anew, sweep_many)
            report = run.sources(sources)
        self._vectors.catch_up()
        return report


def embed_missing(store: Store, embed: MiniLM) -> None:
    """After a change of embedding model: the new vectors are made beside the old, which go when all are there."""
    contents = store.unembedded(embed.name, BATCH)
    if not contents:
        return
    while contents:
        chunks = [Chunk(0, heading, text, 0, 0) for _, heading, text in contents]
        store.add_vectors(embed_chunks(chunks, embed), embed.name)
        contents = store.unembedded(embed.name, BATCH)
    store.drop_other_vectors(embed.name)
