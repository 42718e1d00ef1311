"""Trains the head for "merely to learn from it": python -m rag.evaluation.train_learning

From rag/data/learning/*.jsonl and, as others, the labelled messages about anything but a foundation model. Prints what a five-fold
cross-validation finds; `--check` writes nothing. Needs the train extra; two CPU-minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from rag.errors import RagError
from rag.evaluation.messages import DATA, read_messages
from rag.search.embedding import load_embedder
from rag.signals.classifier import Heads, save_heads
from rag.signals.learning import FILE, MIN_PROBABILITY
from rag.signals.multilingual import load_encoder
from rag.signals.two_encoders import encoders_signature, two_encodings

INVERSE_PENALTY = 10.0
OTHERS, FOLDS = 2_500, 5  # messages drawn as others
Row = tuple[str, str, bool]


def read_rows(folder: Path = DATA / "learning") -> list[Row]:
    """(text, language, whether it is merely to learn) of every line; RagError names the bad one."""
    rows = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            if not isinstance(row.get("learning"), bool) or not row.get("text"):
                raise RagError(
                    f"{path}, line {number}: each line has `text`, `lang` and `learning`: true or false."
                )
            rows.append((row["text"], row["lang"], row["learning"]))
    return rows


def other_rows() -> list[Row]:
    """Labelled messages about anything but a foundation model, a fixed draw."""
    messages = [one for one in read_messages() if one.labels["task"] != ("foundation",)]
    numbers = np.random.default_rng(0).choice(len(messages), OTHERS, replace=False)
    return [(messages[n].text, messages[n].lang, False) for n in numbers]


def fit(features: np.ndarray, gold: np.ndarray) -> Heads:
    """One penalised logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=3000).fit(features, gold)
    weights, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    return Heads({"learning": ("learning",)}, {"learning": weights}, {"learning": bias}, frozenset())


def cross_validated(features: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """The probability of each row by heads that never read it."""
    shares, order = np.zeros(len(gold)), np.random.default_rng(7).permutation(len(gold))
    for fold in range(FOLDS):
        outside = order[fold::FOLDS]
        heads = fit(np.delete(features, outside, axis=0), np.delete(gold, outside))
        shares[outside] = [heads(features[n])["learning"]["learning"] for n in outside]
    return shares


def main() -> int:
    """Cross-validate, train on all, write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="cross-validate only, write nothing")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "models")
    options = parser.parse_args()
    embed, encode = load_embedder(options.cache), load_encoder()
    own, others = read_rows(), other_rows()
    features = np.stack([two_encodings(text, lang, embed, encode) for text, lang, _ in [*own, *others]])
    gold = np.array([learning for *_, learning in [*own, *others]])
    is_found = cross_validated(features, gold) >= MIN_PROBABILITY["decision"]
    groups = {
        "to learn, English": [n for n, (_, lang, learning) in enumerate(own) if learning and lang == "en"],
        "to learn, other languages": [
            n for n, (_, lang, learning) in enumerate(own) if learning and lang != "en"
        ],
        "look-alikes": [n for n, (*_, learning) in enumerate(own) if not learning],
        "other messages": list(range(len(own), len(gold))),
    }
    for name, numbers in groups.items():
        sys.stdout.write(f"{name}: {int(is_found[numbers].sum())} of {len(numbers)} taken for it\n")
    if not options.check:
        aside = FILE.with_suffix(".tmp")
        save_heads(fit(features, gold), aside, encoders_signature(embed.name, encode.name))
        os.replace(aside, FILE)
        sys.stdout.write(f"{len(gold)} messages -> {FILE} ({FILE.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
