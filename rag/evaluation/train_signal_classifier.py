"""Trains the linear heads from the labelled messages: python -m rag.evaluation.train_signal_classifier

Prints, for each head, the cross-validated accuracy (exclusive heads) or F1 (others); `--check` trains without writing. How both readers do
on authors whom they never read: rag/evaluation/compare_readers.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.evaluation.messages import EACH, EXCLUSIVE, LabelledMessage, read_messages
from rag.search.embedding import Embedder, load_embedder
from rag.signals.classifier import HEADS, Heads, features, save_heads, signature
from rag.signals.lexicon import Lexicon, load_glossary, load_lexicon

RIDGE = 5e-5  # one penalty for every head; chosen by cross-validation over our own messages


def rows_of(messages: Sequence[LabelledMessage], embed: Embedder, lexicon: Lexicon) -> np.ndarray:
    """The feature rows of the messages."""
    gloss = load_glossary()
    vectors = embed([gloss(sentence.text) for sentence in messages])
    return np.stack(
        [features(s.text, v, lexicon.find(s.text), lexicon) for s, v in zip(messages, vectors, strict=True)]
    )


def fit(rows: np.ndarray, messages: Sequence[LabelledMessage]) -> Heads:
    """Ridge-penalised logistic regressions, one softmax per exclusive head, one sigmoid per other label."""
    from scipy.optimize import minimize

    weights, bias, labels_of = {}, {}, {}
    for head, labels in {**EXCLUSIVE, **EACH}.items():
        if head == "topic":
            use = list(range(len(messages)))
        else:  # the others are read from questions about decisions only
            use = [n for n, s in enumerate(messages) if s.is_decision]
        part = rows[use]
        gold = np.array(
            [[label in messages[n].labels[head] for label in labels] for n in use], dtype=np.float64
        )
        mask = np.array([[messages[n].labelled(label) for label in labels] for n in use], dtype=np.float64)
        size = (part.shape[1] + 1, len(labels))
        optimum = minimize(
            _loss,
            np.zeros(size[0] * size[1]),
            args=(part.astype(np.float64), gold, mask, head in EXCLUSIVE),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300},
        )
        solution = optimum.x.reshape(size)
        weights[head], bias[head], labels_of[head] = solution[:-1], solution[-1], labels
    return Heads(labels_of, weights, bias, frozenset(EXCLUSIVE))


def _loss(
    flat: np.ndarray, rows: np.ndarray, gold: np.ndarray, mask: np.ndarray, softmax: bool
) -> tuple[float, np.ndarray]:
    n = len(rows)
    solution = flat.reshape(rows.shape[1] + 1, gold.shape[1])
    logits = rows @ solution[:-1] + solution[-1]
    if softmax:
        logits = logits - logits.max(axis=1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        value = -np.log(np.maximum((shares * gold).sum(axis=1), 1e-12)).sum() / n
    else:
        shares = 1 / (1 + np.exp(-logits))
        value = (mask * (np.logaddexp(0, logits) - gold * logits)).sum() / n
    error = (shares - gold) * (1.0 if softmax else mask) / n
    slope = np.vstack([rows.T @ error + RIDGE * solution[:-1], error.sum(axis=0, keepdims=True)])
    return value + 0.5 * RIDGE * float((solution[:-1] ** 2).sum()), slope.ravel()


def cross_validate(rows: np.ndarray, messages: Sequence[LabelledMessage], folds: int = 5) -> dict[str, float]:
    """Accuracy of each exclusive head and F1 (micro, at .5) of the others on messages left out."""
    order = np.random.default_rng(7).permutation(len(messages))
    hits: dict[str, list[float]] = {head: [] for head in EXCLUSIVE}
    counts = {head: np.zeros(3) for head in EACH}
    for fold in range(folds):
        out = set(order[fold::folds].tolist())
        inside = [n for n in range(len(messages)) if n not in out]
        heads = fit(rows[inside], [messages[n] for n in inside])
        for n in sorted(out):
            probabilities, truth = heads(rows[n]), messages[n].labels
            for head in EXCLUSIVE:
                if head == "topic" or truth["topic"] == ("decision",):
                    hits[head].append(
                        max(probabilities[head], key=probabilities[head].__getitem__) == truth[head][0]
                    )
            for head in EACH:
                if truth["topic"] == ("decision",):
                    predictions = {label for label, share in probabilities[head].items() if share > 0.5}
                    real = set(truth[head])
                    counts[head] += (
                        len(predictions & real),
                        len(predictions - real),
                        len(real - predictions),
                    )
    scores = {head: float(np.mean(values)) for head, values in hits.items()}
    return scores | {head: float(2 * c[0] / max(2 * c[0] + c[1] + c[2], 1)) for head, c in counts.items()}


def main() -> int:
    """Train, cross-validate, write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="cross-validate only, write nothing")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "models")
    options = parser.parse_args()
    lexicon, messages = load_lexicon(), read_messages()
    embed = load_embedder(options.cache)
    rows = rows_of(messages, embed, lexicon)
    for head, score in cross_validate(rows, messages).items():
        sys.stdout.write(f"{head:10} {score:.3f}\n")
    if not options.check:
        aside = HEADS.with_suffix(".tmp")
        save_heads(fit(rows, messages), aside, signature(lexicon, embed.name))
        os.replace(aside, HEADS)
        sys.stdout.write(f"{len(messages)} messages -> {HEADS} ({HEADS.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
