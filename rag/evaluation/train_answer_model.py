"""Trains the answerability model from rag/data/answering: python -m rag.evaluation.train_answer_model

MiniLM's lower layers stay as packaged and read question and piece together; the upper ones and three heads are trained.
`--fold N` trains without a fifth of the fields and prints how well it tells their answers. `--onward N` goes on from the
weights at hand instead: all pairs of passages by hand and each N-th of the others, once. Needs the train extra.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rag.answer.answer_model import WEIGHTS
from rag.evaluation.answer_lines import HEADS, STRANGER, UNKNOWN, AnswerPair
from rag.evaluation.answer_pairs import make_pairs, passage_titles
from rag.evaluation.network_training import LEARNING_RATE, fit_network, padded
from rag.evaluation.reader_network import Encoded, Network, encode_pairs, load_trained, weights_of
from rag.signals.tuned_graph import ReaderWeights, load_weights, save_weights

FIXED_LAYERS = 2  # of six; the lower ones stay as packaged, their output is computed once
EPOCHS, BATCH = 2, 32
HEAD_WEIGHTS = (1.0, 0.3, 0.3)  # whether it answers is what counts; the other two say why not
FOLDS = 5
ONWARD_RATE = 0.25  # of the learning rate, where training goes on from weights that are good already


def train(
    pairs: Sequence[AnswerPair], texts: Sequence[Encoded], epochs: int, seed: int = 7, onward: bool = False
) -> Network:
    """The network after `epochs` passes, from MiniLM or `onward` from the weights at hand.

    The same seed and data give the same weights on one machine.
    """
    torch.manual_seed(seed)
    gold = torch.tensor([pair.labels for pair in pairs], dtype=torch.float32)
    weights = torch.tensor(HEAD_WEIGHTS)

    def loss_of_batch(group: list[int], logits: torch.Tensor, _tokens: torch.Tensor) -> torch.Tensor:
        want = gold[group]
        each = nn.functional.binary_cross_entropy_with_logits(logits, want.clamp(min=0), reduction="none")
        return (each * weights * (want != UNKNOWN)).sum() / len(group)

    network = Network(FIXED_LAYERS, len(HEADS), 1)
    if onward:
        load_trained(network, load_weights(WEIGHTS).arrays, FIXED_LAYERS)
    rate = LEARNING_RATE * (ONWARD_RATE if onward else 1)
    return fit_network(network, texts, loss_of_batch, epochs, BATCH, seed, rate)


def predict(network: Network, texts: Sequence[Encoded]) -> np.ndarray:
    """(pairs, HEADS) logits."""
    with torch.inference_mode():
        return np.concatenate([network(*padded([one]))[0].numpy() for one in texts])


def fold_of(pair: AnswerPair, groups: Sequence[str]) -> int:
    """The fold of a pair's field, 0 to FOLDS - 1."""
    return groups.index(pair.group) % FOLDS


def for_going_on(pairs: Sequence[AnswerPair], every: int) -> list[AnswerPair]:
    """Each pair of the passages by hand in its first spelling, and each `every`-th of the others."""
    by_hand: dict[tuple[str, str], AnswerPair] = {}
    others, titles = [], passage_titles()
    for pair in pairs:
        if pair.group in titles and pair.labels != STRANGER:
            by_hand.setdefault((pair.question.lower().rstrip("?"), pair.text), pair)
        else:
            others.append(pair)
    return [*by_hand.values(), *others[::every]]


def shipped_weights(network: Network) -> ReaderWeights:
    """The trained part of the network under BERT's names."""
    return ReaderWeights(weights_of(network, FIXED_LAYERS), {"pair": HEADS}, frozenset(), ("none",))


def main() -> int:
    """Train the answerability model, or measure it on fields that it never read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--fold", type=int, choices=range(FOLDS), help="train without its fields and measure on them"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--every", type=int, default=1, help="of the pairs, take each n-th")
    parser.add_argument("--onward", type=int, help="go on from the weights at hand, with each n-th old pair")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = make_pairs()
    groups = sorted({pair.group for pair in pairs})
    inside = [p for p in pairs if options.fold is None or fold_of(p, groups) != options.fold][
        :: options.every
    ]
    if options.onward:
        inside = for_going_on(inside, options.onward)
    texts = encode_pairs([(p.question, p.text) for p in inside], FIXED_LAYERS)
    network = train(inside, texts, options.epochs, onward=bool(options.onward))
    if options.fold is None:
        save_weights(shipped_weights(network), options.out)
        return 0
    out = [p for p in pairs if fold_of(p, groups) == options.fold]
    logits = predict(network, encode_pairs([(p.question, p.text) for p in out], FIXED_LAYERS))[:, 0]
    good = np.asarray([p.labels[0] == 1 for p in out])
    threshold = np.quantile(logits[~good], 0.9)
    sys.stdout.write(
        f"{len(out)} pairs; answers above nine of ten others: {(logits[good] > threshold).mean():.3f}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
