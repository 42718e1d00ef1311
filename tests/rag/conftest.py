"""An embedder that counts what it is asked to embed, an index with the guide, a language model's server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from rag.index import Index
from rag.search.embedding import MiniLM
from tests.rag.llm_script import KEY, QualifiedServer, faithful


class Counting(MiniLM):
    """The real embedder with a note of every text; each text is embedded once and remembered."""

    def __init__(self, inner: MiniLM, name: str | None = None) -> None:
        self.inner, self.name, self.texts = inner, name or inner.name, list[str]()
        self.cache = inner.cache
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        for text in dict.fromkeys(texts):
            if text not in self._vectors:
                self._vectors[text] = self.inner([text])[0]
        rows = [self._vectors[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dim), dtype=np.float32)

    def count_tokens(self, text: str) -> int:
        return self.inner.count_tokens(text)


@pytest.fixture
def counting(embed: MiniLM) -> Counting:
    return Counting(embed)


@pytest.fixture(scope="module")
def guide_index(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Index]:
    """An index with the guide in it, one per test file."""
    with Index.open(tmp_path_factory.mktemp("guide") / "index", embed) as index:
        index.ensure_guide()
        yield index


@pytest.fixture
def server() -> Iterator[QualifiedServer]:
    """A language model's server that answers faithfully and checks its key."""
    with QualifiedServer(answer=faithful, key=KEY) as running:
        yield running
