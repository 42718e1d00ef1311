"""Trains the heads over the multilingual encoder: python -m rag.evaluation.train_multilingual_heads

The linear heads and the network over tokens. `--fold N --out FOLDER` trains without the authors of that fold and
writes what the heads read in their messages (FOLDER/predictions.jsonl), for rag/evaluation/compare_readers.py. Needs the train
extra; four CPU-minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from rag.evaluation.messages import EXCLUSIVE, FOLDS, KINDS, LabelledMessage, fold_of, read_messages
from rag.evaluation.multilingual_network import TokenNetwork, token_arrays, train_tokens
from rag.evaluation.reader_network import Encoded
from rag.evaluation.train_reader import HEADS as LABELS_OF
from rag.evaluation.train_signal_classifier import fit
from rag.signals.classifier import Heads, save_heads, signature
from rag.signals.lexicon import load_lexicon
from rag.signals.multilingual import MultilingualEncoder
from rag.signals.multilingual_heads import (
    FOLDER,
    HEADS_FILE,
    TOKENS_FILE,
    MultilingualHeads,
    multilingual_features,
)
from rag.signals.multilingual_tokens import MAX_TOKENS, quantity_places, save_token_heads
from rag.signals.quantities import find_quantities


def inputs_of(
    messages: Sequence[LabelledMessage], encoder: MultilingualEncoder
) -> tuple[list[Encoded], np.ndarray]:
    """The tokens of the messages with the places of their quantities, and the feature rows (messages, width)."""
    lexicon, texts, features = load_lexicon(), [], []
    for one in messages:
        encoding = encoder.read(one.text)
        places = tuple(quantity_places(encoding, find_quantities(one.text)))
        texts.append(Encoded(encoding.tokens[:MAX_TOKENS].astype(np.float16), places))
        features.append(multilingual_features(one.text, encoding, lexicon))
    return texts, np.stack(features)


def save(heads: Heads, network: TokenNetwork, folder: Path) -> None:
    """Both files of weights, each written aside and put in place whole."""
    aside = folder / "aside.npz"
    save_heads(heads, aside, signature(load_lexicon(), MultilingualEncoder.name))
    os.replace(aside, folder / HEADS_FILE)
    save_token_heads(token_arrays(network), LABELS_OF, tuple(EXCLUSIVE), KINDS, aside)
    os.replace(aside, folder / TOKENS_FILE)


def predictions_json(messages: Sequence[LabelledMessage], folder: Path) -> Iterator[str]:
    """One line a message: what the weights in `folder` read in it."""
    heads = MultilingualHeads(folder)
    for one in messages:
        reading = heads(one.text, find_quantities(one.text))
        kinds = np.round(reading.kinds, 4).tolist()
        yield json.dumps(
            {"text": one.text, "heads": reading.probabilities, "kinds": kinds}, ensure_ascii=False
        )


def main() -> int:
    """Train the heads, or measure them on authors whom they never read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fold", type=int, choices=FOLDS)
    parser.add_argument(
        "--out",
        type=Path,
        default=FOLDER,
        help="a folder for the weights, and with --fold for predictions.jsonl",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    messages = read_messages()
    texts, features = inputs_of(messages, MultilingualEncoder())
    inside = [n for n, one in enumerate(messages) if options.fold is None or fold_of(one) != options.fold]
    use = [messages[n] for n in inside]
    network = train_tokens(use, [texts[n] for n in inside], features[inside])
    heads = fit(features[inside], use)
    options.out.mkdir(parents=True, exist_ok=True)
    save(heads, network, options.out)
    if options.fold is not None:
        out = [one for one in messages if fold_of(one) == options.fold]
        lines = "".join(line + "\n" for line in predictions_json(out, options.out))
        (options.out / "predictions.jsonl").write_text(lines, encoding="utf-8")
    sys.stdout.write(f"{len(inside)} of {len(messages)} messages -> {options.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
