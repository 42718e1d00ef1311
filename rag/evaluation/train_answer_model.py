"""Trains the answerability model from rag/data/answering: python -m rag.evaluation.train_answer_model

MiniLM's lower layers stay as packaged and read question and piece together; the upper ones and three heads are trained.
`--onward N` goes on from the weights at hand instead: all pairs of passages by hand and each N-th of the others. `--fold N`
trains without a fifth of the fields, `--without FILE` without the passages of one hand, and prints how well it tells
their answers. `--half` multiplies in bfloat16: twice as fast where the processor can. Needs the train extra.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rag.answer.answer_model import WEIGHTS
from rag.evaluation.answer_lines import HEADS, STRANGER, UNKNOWN, AnswerPair
from rag.evaluation.answer_pairs import make_pairs
from rag.evaluation.answer_passages import read_sections
from rag.evaluation.network_training import LEARNING_RATE, fit_network, padded
from rag.evaluation.reader_network import Encoded, Network, encode_pairs, load_trained, weights_of
from rag.signals.tuned_graph import ReaderWeights, load_weights, save_weights

FIXED_LAYERS = 2  # of six; the lower ones stay as packaged, their output is computed once
EPOCHS, BATCH = 2, 32
HEAD_WEIGHTS = (1.0, 0.3, 0.3)  # whether it answers is what counts; the other two say why not
FOLDS = 5
ONWARD_RATE = 0.25  # of the learning rate, where training goes on from weights that are good already


@dataclass(frozen=True)
class Options:
    """How to train: passes, the encoder's learning rate, from MiniLM or `onward` from `start`, in half precision or not."""

    epochs: int
    rate: float
    onward: bool
    start: Path
    half: bool


def train(
    pairs: Sequence[AnswerPair],
    texts: Sequence[Encoded],
    options: Options,
    seed: int = 7,
) -> Network:
    """The network after `options.epochs` passes, from MiniLM or onward from the weights at hand.

    The same seed and data give the same weights on one machine.
    """
    torch.manual_seed(seed)
    gold = torch.tensor([pair.labels for pair in pairs], dtype=torch.float32)
    weights = torch.tensor(HEAD_WEIGHTS)

    def loss_of_batch(group: list[int], logits: torch.Tensor, _tokens: torch.Tensor) -> torch.Tensor:
        want = gold[group]
        each = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), want.clamp(min=0), reduction="none"
        )
        return (each * weights * (want != UNKNOWN)).sum() / len(group)

    network = Network(FIXED_LAYERS, len(HEADS), 1)
    if options.onward:
        load_trained(network, load_weights(options.start).arrays, FIXED_LAYERS)
    with half_precision(options.half):
        return fit_network(network, texts, loss_of_batch, options.epochs, BATCH, seed, options.rate)


def half_precision(active: bool) -> torch.autocast:
    """Products in bfloat16. No cache of weights: it would hold the first batch's for as long as the context lasts."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=active, cache_enabled=False)


def predict(network: Network, texts: Sequence[Encoded]) -> np.ndarray:
    """(pairs, HEADS) logits."""
    order = sorted(range(len(texts)), key=lambda n: len(texts[n].hidden))
    logits = np.zeros((len(texts), len(HEADS)), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            logits[batch] = network(*padded([texts[n] for n in batch]))[0].numpy()
    return logits


def fold_of(pair: AnswerPair, groups: Sequence[str]) -> int:
    """The fold of a pair's field, 0 to FOLDS - 1."""
    return groups.index(pair.group) % FOLDS


def for_going_on(pairs: Sequence[AnswerPair], every: int) -> list[AnswerPair]:
    """Each pair of the passages by hand, and each `every`-th of the others."""
    by_hand = [pair for pair in pairs if is_by_hand(pair)]
    return [*by_hand, *[pair for pair in pairs if not is_by_hand(pair)][::every]]


def is_by_hand(pair: AnswerPair) -> bool:
    """Whether somebody wrote the question for the passage; strangers are put together by chance."""
    return pair.group.startswith("passages") and pair.labels != STRANGER


def mixed(weights: ReaderWeights, start: ReaderWeights, share: float) -> ReaderWeights:
    """`share` of the trained weights and the rest of those they started from: learns less of one style, loses less of others."""
    arrays = {
        name: share * array + (1 - share) * start.arrays[name] for name, array in weights.arrays.items()
    }
    return replace(weights, arrays=arrays)


def shipped_weights(network: Network) -> ReaderWeights:
    """The trained part of the network under BERT's names."""
    return ReaderWeights(weights_of(network, FIXED_LAYERS), {"pair": HEADS}, frozenset(), ("none",))


def report_on_hand(network: Network, path: Path) -> str:
    """How the passages of a hand are told from its near misses, each by the logit of its section's likeliest line."""
    questions = [
        (text, number, section.texts) for section in read_sections(path) for text, number in section.questions
    ]
    logits = predict(
        network, encode_pairs([(text, line) for text, _, lines in questions for line in lines], FIXED_LAYERS)
    )[:, 0]
    parts = np.split(logits, np.cumsum([len(lines) for *_, lines in questions])[:-1])
    has_answer = np.asarray([number > 0 for _, number, _ in questions])
    best = np.asarray([part.max() for part in parts])
    first = [
        int(part.argmax()) == number - 1
        for part, (_, number, _) in zip(parts, questions, strict=True)
        if number
    ]
    good, near = best[has_answer], best[~has_answer]
    return (
        f"{path.stem}: area under the curve {(good[:, None] > near).mean():.3f}, answered at a tenth of near misses"
        f" {(good > np.quantile(near, 0.9)).mean():.3f}, at a fifth {(good > np.quantile(near, 0.8)).mean():.3f},"
        f" right line first {np.mean(first):.3f}\n"
    )


def main() -> int:
    """Train the answerability model, or measure it on fields that it never read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--fold", type=int, choices=range(FOLDS), help="train without its fields and measure on them"
    )
    parser.add_argument(
        "--without", type=Path, action="append", default=[], help="a file of passages, to measure on instead"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rate", type=float, help="of the encoder's layers")
    parser.add_argument("--every", type=int, default=1, help="of the pairs, take each n-th")
    parser.add_argument("--onward", type=int, help="go on from the weights at hand, with each n-th old pair")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="the weights at hand")
    parser.add_argument("--share", type=float, default=0.5, help="of the new weights, when going on")
    parser.add_argument("--half", action="store_true", help="multiply in bfloat16")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = make_pairs(without=frozenset(path.stem for path in options.without))
    groups = sorted({pair.group for pair in pairs})
    inside = [p for p in pairs if options.fold is None or fold_of(p, groups) != options.fold][
        :: options.every
    ]
    if options.onward:
        inside = for_going_on(inside, options.onward)
    with half_precision(options.half):
        texts = encode_pairs([(p.question, p.text) for p in inside], FIXED_LAYERS)
    rate = options.rate or LEARNING_RATE * (ONWARD_RATE if options.onward else 1)
    how = Options(options.epochs, rate, bool(options.onward), options.start, options.half)
    network = train(inside, texts, how)
    if options.out or (options.fold is None and not options.without):
        weights = shipped_weights(network)
        if options.onward:
            weights = mixed(weights, load_weights(options.start), options.share)
        save_weights(weights, options.out or WEIGHTS)
    for path in options.without:
        sys.stdout.write(report_on_hand(network, path))
    if options.fold is not None:
        sys.stdout.write(report_on_fields(network, [p for p in pairs if fold_of(p, groups) == options.fold]))
    return 0


def report_on_fields(network: Network, pairs: Sequence[AnswerPair]) -> str:
    """How many answers stand above nine of ten pairs that are none."""
    logits = predict(network, encode_pairs([(p.question, p.text) for p in pairs], FIXED_LAYERS))[:, 0]
    good = np.asarray([p.labels[0] == 1 for p in pairs])
    threshold = np.quantile(logits[~good], 0.9)
    return f"{len(pairs)} pairs; answers above nine of ten others: {(logits[good] > threshold).mean():.3f}\n"


if __name__ == "__main__":
    raise SystemExit(main())
