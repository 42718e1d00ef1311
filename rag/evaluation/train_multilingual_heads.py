"""Trains the linear heads over the multilingual encoder: python -m rag.evaluation.train_multilingual_heads

`--fold N` trains without the authors of that fold and writes their probabilities (JSONL) in place of the weights, for
rag/evaluation/compare_readers.py. Two CPU-minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.evaluation.messages import FOLDS, LabelledMessage, fold_of, read_messages
from rag.evaluation.train_signal_classifier import fit
from rag.signals.classifier import save_heads, signature
from rag.signals.lexicon import load_lexicon
from rag.signals.multilingual import MultilingualEncoder
from rag.signals.multilingual_heads import HEADS, multilingual_features


def rows_of(messages: Sequence[LabelledMessage], encode: MultilingualEncoder) -> np.ndarray:
    """The feature rows of the messages."""
    lexicon = load_lexicon()
    return np.stack([multilingual_features(one.text, encode, lexicon) for one in messages])


def main() -> int:
    """Train the heads, or measure them on authors whom they never read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fold", type=int, choices=FOLDS)
    parser.add_argument("--out", type=Path, default=HEADS)
    options = parser.parse_args()
    messages, encode = read_messages(), MultilingualEncoder()
    rows = rows_of(messages, encode)
    inside = [n for n, one in enumerate(messages) if options.fold is None or fold_of(one) != options.fold]
    heads = fit(rows[inside], [messages[n] for n in inside])
    if options.fold is None:
        aside = options.out.with_suffix(".tmp")
        save_heads(heads, aside, signature(load_lexicon(), encode.name))
        os.replace(aside, options.out)
        sys.stdout.write(
            f"{len(messages)} messages -> {options.out} ({options.out.stat().st_size:,} bytes)\n"
        )
        return 0
    lines = [
        json.dumps({"text": one.text, "heads": heads(rows[n])}, ensure_ascii=False)
        for n, one in enumerate(messages)
        if fold_of(one) == options.fold
    ]
    options.out.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
