"""Trains the reader of moves in a thread: python -m rag.evaluation.train_moves

From rag/data/moves.yaml and rag/data/moves/*.jsonl (one file an author). Prints, for each author left out, how many moves and how many
other messages are read right, in English and in other languages, beside the nearest sentence's reading; `--check` writes nothing. Needs the
train extra; a CPU-minute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from rag.advice.move_heads import FILE, NONE, MoveHeads
from rag.advice.moves import MAX_WORDS, MOVES, Move, MoveReader, read_lines
from rag.errors import RagError
from rag.evaluation.messages import read_messages
from rag.search.embedding import Embedder, load_embedder
from rag.signals.classifier import Heads, save_heads
from rag.signals.language import language_of
from rag.signals.multilingual import MultilingualEncoder, load_encoder
from rag.signals.two_encoders import encoders_signature, two_encodings

AUTHORS = MOVES.parent / "moves"
INVERSE_PENALTY = 10.0  # chosen by leaving authors out
MESSAGES, MAX_LETTERS = "messages", 30  # letters of a short message without spaces
LABELS = (NONE, *get_args(Move))


@dataclass(frozen=True)
class LabelledMove:
    """A short message of a thread, what it asks about the verdict (NONE: something else), its language and author."""

    text: str
    move: str
    lang: str
    author: str


def read_moves(core: Path = MOVES, folder: Path = AUTHORS) -> list[LabelledMove]:
    """All labelled lines; what moves.yaml has for services counts as NONE. RagError names the bad line."""
    rows = [
        LabelledMove(text, name if name in LABELS else NONE, language_of(text), core.stem)
        for name, text in read_lines(core)
    ]
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            if row.get("move") not in LABELS or not row.get("text"):
                raise RagError(
                    f"{path}, line {number}: each line has `text`, `lang` and a `move` of {', '.join(LABELS)}."
                )
            rows.append(LabelledMove(row["text"], row["move"], row["lang"], path.stem))
    return rows


def short_messages() -> list[LabelledMove]:
    """The readers' own short messages without figures, as NONE: a new case, fact or question of fact asks nothing about the verdict.

    Not the small talk among them: thanks are a move in a thread.
    """
    texts = (
        (one.text, one.lang)
        for one in read_messages()
        if one.labels["topic"][0] in ("decision", "guide", "document")
    )
    short = (
        (text, lang) for text, lang in texts if len(text.split()) <= MAX_WORDS and not re.search(r"\d", text)
    )
    return [
        LabelledMove(text, NONE, lang, MESSAGES)
        for text, lang in short
        if lang not in ("ja", "zh") or len(text) <= MAX_LETTERS
    ]


def rows_of(moves: Sequence[LabelledMove], embed: Embedder, encode: MultilingualEncoder) -> np.ndarray:
    """A row of features for each line."""
    return np.stack([two_encodings(one.text, one.lang, embed, encode) for one in moves])


def fit(rows: np.ndarray, moves: Sequence[LabelledMove]) -> Heads:
    """One softmax over LABELS, penalised."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=3000).fit(rows, [one.move for one in moves])
    order = [list(model.classes_).index(label) for label in LABELS]
    weights, bias = model.coef_[order].T.astype(np.float32), model.intercept_[order].astype(np.float32)
    return Heads({"move": LABELS}, {"move": weights}, {"move": bias}, frozenset({"move"}))


def shares_right(moves: Sequence[LabelledMove], readings: Sequence[str]) -> str:
    """`en moves 82% others 95%; other languages ...`: the lines read right, by whether they are a move."""
    parts = []
    pairs = list(zip(moves, readings, strict=True))
    for name, group in (
        ("en", [pair for pair in pairs if pair[0].lang == "en"]),
        ("other languages", [pair for pair in pairs if pair[0].lang != "en"]),
    ):
        for kind in ("moves", "others"):
            part = [(one.move, reading) for one, reading in group if (one.move != NONE) == (kind == "moves")]
            right = sum(move == reading for move, reading in part)
            parts.append(f"{name} {kind} {right}/{len(part)} ({100 * right / max(1, len(part)):.1f}%)")
    return "; ".join(parts)


def main() -> int:
    """Leave each author out, then train on all and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="leave authors out only, write nothing")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "models")
    options = parser.parse_args()
    embed, encode, moves = load_embedder(options.cache), load_encoder(), [*read_moves(), *short_messages()]
    rows, reader = rows_of(moves, embed, encode), MoveReader(embed)
    for author in sorted({one.author for one in moves} - {MOVES.stem, MESSAGES}):
        outside = [n for n, one in enumerate(moves) if one.author == author]
        nearest = [reader.nearest(moves[n].text) for n in outside]
        sys.stdout.write(
            f"{author}\n  nearest of moves.yaml: {shares_right([moves[n] for n in outside], nearest)}\n"
        )
        inside = [n for n, one in enumerate(moves) if one.author != author]
        heads = MoveHeads(fit(rows[inside], [moves[n] for n in inside]))
        by_heads = [heads.likeliest(rows[n]) for n in outside]
        sys.stdout.write(f"  trained without it: {shares_right([moves[n] for n in outside], by_heads)}\n")
    if not options.check:
        aside = FILE.with_suffix(".tmp")
        save_heads(fit(rows, moves), aside, encoders_signature(embed.name, encode.name))
        os.replace(aside, FILE)
        sys.stdout.write(f"{len(moves)} lines -> {FILE} ({FILE.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
