"""The index of documents: files in, searchable passages out, each document changed whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from rag.chunk import Chunk, chunk_markdown, sub_chunks
from rag.embed import MiniLM
from rag.errors import RagError
from rag.store import WORKSPACE, Document, Store, check_scopes
from rag.vectors import Vectors, open_vectors

GUIDE = Path(__file__).parent / "guide"
READABLE = (".md", ".markdown", ".txt")
MAX_BYTES = 5_000_000
OnProgress = Callable[[int, int, str], None]


@dataclass
class SyncReport:
    """What a sync did; `problems` names each source that was left out and what to do."""

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        line = f"{self.added} added or changed, {self.unchanged} unchanged, {self.removed} removed."
        return "\n".join([line, *self.problems])


@dataclass(frozen=True)
class Stats:
    """How much the index holds."""

    documents: int
    chunks: int


class Index:
    """Open with `Index.open(folder, embed)`; a context manager. Readers never see half a document."""

    def __init__(self, store: Store, vectors: Vectors, embed: MiniLM) -> None:
        self.store, self.embed = store, embed
        self._vectors = vectors

    @classmethod
    def open(cls, folder: Path, embed: MiniLM, chroma_url: str | None = None) -> Index:
        """The index in `folder` (made if missing), with Chroma embedded or at `chroma_url`."""
        store = Store(folder / "index.db")
        vectors = open_vectors(store, embed.name, embed.dim, folder / "chroma", chroma_url)
        vectors.catch_up()
        return cls(store, vectors, embed)

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
        """Keys of the `n` passages of `scopes` nearest in meaning."""
        return self._vectors.search(row, scopes, n)

    def ensure_guide(self) -> SyncReport:
        """Brings the bundled guide into the index when it is missing or has changed."""
        return self._take(sorted(GUIDE.glob("*.md")), frozenset({WORKSPACE}), "guide", None)

    def add(
        self, sources: Iterable[str | Path], scopes: frozenset[str], on_progress: OnProgress | None = None
    ) -> SyncReport:
        """Adds files and folders; one that cannot be read is named in the report and the rest goes on."""
        report = SyncReport()
        paths: list[Path] = []
        for source in sources:
            path = Path(source)
            if path.is_dir():
                paths += sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
            elif path.is_file():
                paths.append(path)
            else:
                report.problems.append(f"{source}: there is no such file here. Check the path.")
        done = self._take(paths, check_scopes(scopes), "added", on_progress)
        done.problems[:0] = report.problems
        return done

    def sync(self, on_progress: OnProgress | None = None) -> SyncReport:
        """Reads every added file again: changed ones are replaced, vanished ones removed."""
        report = SyncReport()
        for document in self.store.documents(root="added"):
            path = Path(document.source)
            if path.is_file():
                part = self._take([path], document.scopes, "added", on_progress)
                report.added += part.added
                report.unchanged += part.unchanged
                report.problems += part.problems
            else:
                self.remove(document.id)
                report.removed += 1
        return report

    def remove(self, doc_id: str) -> None:
        """Removes a document and all its passages; RagError when there is none with this id."""
        if doc_id not in {document.id for document in self.documents()}:
            raise RagError(f"There is no document {doc_id[:40]!r}. List them with `trainwise index list`.")
        self.store.delete_document(doc_id)
        self._vectors.catch_up()

    def documents(self, scopes: frozenset[str] | None = None) -> list[Document]:
        """The documents that readers of `scopes` may see (None: all)."""
        return self.store.documents(scopes)

    def stats(self) -> Stats:
        """Documents and passages."""
        documents = self.documents()
        return Stats(len(documents), sum(document.chunks for document in documents))

    def _take(
        self, paths: Sequence[Path], scopes: frozenset[str], root: str, on_progress: OnProgress | None
    ) -> SyncReport:
        report = SyncReport()
        known = {document.id: document for document in self.documents()}
        for number, path in enumerate(paths, start=1):
            if on_progress:
                on_progress(number, len(paths), path.name)
            try:
                changed = self._take_one(path, scopes, root, known)
            except RagError as error:
                report.problems.append(f"{path}: {error}")
                continue
            report.added += changed
            report.unchanged += not changed
        self._vectors.catch_up()
        return report

    def _take_one(self, path: Path, scopes: frozenset[str], root: str, known: dict[str, Document]) -> bool:
        text = _read(path)
        source = path.name if root == "guide" else str(path.absolute())
        doc_id = hashlib.sha256(f"{root}:{source}".encode()).hexdigest()[:12]
        digest = hashlib.sha256(text.encode()).hexdigest()
        old = known.get(doc_id)
        if old and old.text_hash == digest and old.scopes == scopes:
            return False
        title = _title(text, path)
        chunks = chunk_markdown(text, title, self.embed.count_tokens)
        if not chunks:
            raise RagError("holds no text. Add a file with words in it.")
        document = Document(doc_id, root, source, title, None, scopes, "", digest, digest)
        self.store.write_document(document, text, chunks, self._embedded(chunks), self.embed.name)
        return True

    def _embedded(self, chunks: Sequence[Chunk]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Vectors of the passages (and their sub-passages) that are not embedded yet."""
        known = self.store.known_vectors((chunk.digest for chunk in chunks), self.embed.name)
        found = {}
        for chunk in chunks:
            if chunk.digest not in known:
                row = self.embed([chunk.searchable])[0]
                found[chunk.digest] = (row, self.embed(sub_chunks(chunk, self.embed.count_tokens)))
        return found


def _read(path: Path) -> str:
    if path.suffix.lower() not in READABLE:
        raise RagError(
            f"is of a kind I do not read yet ({path.suffix or 'no ending'}). Save it as .md or .txt."
        )
    if path.stat().st_size > MAX_BYTES:
        raise RagError("is larger than 5 MB. Split it into parts.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise RagError("cannot be read as UTF-8 text. Save it as UTF-8 and add it again.") from error
    return text.replace("\x00", "")


def _title(text: str, path: Path) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first.lstrip("# ").strip()[:120] if first.startswith("#") else path.stem
