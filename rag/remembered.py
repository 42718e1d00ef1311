"""An embedder that keeps the vectors of texts it has seen: the same pieces of a guide come up all day."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from rag.search.embedding import Embedder


class Remembered:
    """Wraps an embedder; at most `most` texts are kept (1.5 KB each), the longest unused go first. Thread-safe."""

    def __init__(self, embed: Embedder, most: int = 4096) -> None:
        self.name, self.dim = embed.name, embed.dim
        self._embed, self._most = embed, most
        self._rows: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """As the embedder's own."""
        with self._lock:
            known = {text: self._rows[text] for text in texts if text in self._rows}
            for text in known:
                self._rows.move_to_end(text)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, self._embed(new), strict=True))
        with self._lock:
            self._rows.update((text, known[text]) for text in new)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)
        return np.stack([known[text] for text in texts]) if texts else self._embed([])
