"""The embedded embedder: text to unit vectors on the CPU, without torch, a key or a download.

`load_embedder(cache)` builds the graph once per cache folder (about 4 s, in a process of its own) and loads
it in 0.2 s afterwards. int8 is used where it agrees with fp32 on this CPU, else fp32 itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rag.errors import RagError
from rag.search.minilm_onnx import DIM, PROBES, WEIGHTS_SHA256, load_tokenizer

GRAPH_VERSION = 2  # of the graph, and of how a passage's vector is made of it
MIN_AGREEMENT = 0.98  # cosine to fp32 on PROBES; measured .993 with VNNI, far lower with a broken kernel
BUILD_SECONDS = 300


class Embedder(Protocol):
    """Texts to vectors; `name` changes whenever the vectors would. Built graphs of other readers lie in `cache`."""

    name: str
    dim: int
    cache: Path

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dim) float32 rows of unit length; at most 256 wordpieces of each text are read."""


def open_session(folder: Path) -> Any:
    """An onnxruntime session of the folder's model.onnx on one thread; safe to run from several threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena keeps the largest batch for good: +60 MB
    model = str(folder / "model.onnx")  # given as bytes the session would keep them: +23 MB each
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class MiniLM:
    """all-MiniLM-L6-v2 on onnxruntime; safe to call from several threads.

    One text per run and no padding: it is as fast as batching on a CPU, and int8 scales are chosen per run,
    so a text's vector never depends on its neighbours. At most `threads` texts run at a time over all callers, because
    starting a thread delays every pool of the process. `cache` holds built graphs, for other readers of the same kind.
    """

    dim = DIM

    def __init__(self, folder: Path, precision: str, threads: int = 1) -> None:
        self.name = f"minilm-{precision}-{WEIGHTS_SHA256[:8]}-{GRAPH_VERSION}"
        self._session = open_session(folder)
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
        self.cache = folder.parent

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, DIM), dtype=np.float32)
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        if self._threads == 1 or len(texts) < 2 * self._threads:
            return np.stack([self._run(ids) for ids in token_ids])
        return np.stack(list(self._pool.map(self._run, token_ids)))

    def count_tokens(self, text: str) -> int:
        """Wordpieces of `text` without the two markers; stops counting at 254."""
        return len(self._tokenizer.encode(text).ids) - 2

    def _run(self, ids: list[int]) -> np.ndarray:
        row = np.asarray([ids], dtype=np.int32)
        rows: Any = self._session.run(None, {"ids": row, "mask": np.ones_like(row)})
        vector: np.ndarray = rows[0][0]
        return vector


def load_embedder(
    cache: Path, threads: int | None = None, precisions: Sequence[str] = ("int8", "fp32")
) -> MiniLM:
    """The embedder, its graph taken from `cache` or built there; RagError if none of `precisions` works.

    Any number of processes may call this on one cache: each builds in its own folder and the first to finish wins. Many
    texts are embedded by `threads` threads (as many as there are cores, at most 8).
    """
    threads = threads or min(8, os.cpu_count() or 1)
    for precision in precisions:
        folder = _graph_folder(Path(cache), precision)
        embedder = MiniLM(folder, precision, threads)
        if _agreement(embedder, folder) >= MIN_AGREEMENT:
            return embedder
    raise RagError(
        f"The embedding model gives wrong vectors on this machine. Delete {cache} and try again; "
        "if it happens again, reinstall onnxruntime."
    )


def _agreement(embedder: MiniLM, folder: Path) -> float:
    """The lowest cosine between what this machine computes and the fp32 rows stored at build time."""
    reference = np.load(folder / "reference.npy", allow_pickle=False)
    return float((embedder(PROBES) * reference).sum(axis=1).min())


def _graph_folder(cache: Path, precision: str) -> Path:
    name = f"minilm-{WEIGHTS_SHA256[:8]}-{GRAPH_VERSION}-{precision}"
    return built_folder(cache, name, ("rag.search.minilm_onnx", precision))


def built_folder(cache: Path, name: str, module_and_arguments: Sequence[str]) -> Path:
    """The folder `name` of the cache with a graph in it; a subprocess builds a missing graph.

    The module is run as `python -m MODULE FOLDER ARGUMENTS` and writes model.onnx, and SHA256 of it last.
    """
    folder = cache / name
    if _whole(folder):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    try:
        _build_aside(aside, module_and_arguments)
        if folder.exists() and not _whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            os.rename(aside, folder)
        except OSError:  # another process was first
            if not _whole(folder):
                raise RagError(f"Could not write the embedding model to {folder}. Is it writable?") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _build_aside(folder: Path, module_and_arguments: Sequence[str]) -> None:
    module, *arguments = module_and_arguments
    command = [sys.executable, "-m", module, str(folder), *arguments]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_SECONDS, env=environment, check=False
    )
    if process.returncode != 0:
        last = (process.stderr.strip().splitlines() or ["no output"])[-1]
        if "No space left" in last:
            raise RagError(
                f"No space left on the disk for the embedding model: {folder.parent} needs about 150 MB. "
                "Free some space, or choose a folder on a larger disk, and try again."
            )
        raise RagError(f"Could not build the embedding model: {last.removeprefix('rag.errors.RagError: ')}")


def _whole(folder: Path) -> bool:
    mark = folder / "SHA256"
    if not mark.is_file():
        return False
    return hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest() == mark.read_text("ascii").strip()


class CachedEmbedder:
    """Wraps an embedder with an LRU cache of at most `most` texts (1.5 KB each). Thread-safe."""

    def __init__(self, embed: Embedder, most: int = 4096) -> None:
        self.name, self.dim, self.cache = embed.name, embed.dim, embed.cache
        self._embed, self._most = embed, most
        self._rows: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """As the embedder's own."""
        with self._lock:
            rows = {text: self._rows[text] for text in texts if text in self._rows}
            for text in rows:
                self._rows.move_to_end(text)
        new = [text for text in dict.fromkeys(texts) if text not in rows]
        rows.update(zip(new, self._embed(new), strict=True))
        with self._lock:
            self._rows.update((text, rows[text]) for text in new)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)
        return np.stack([rows[text] for text in texts]) if texts else self._embed([])
