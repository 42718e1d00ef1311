"""Trains the answerability model from rag/data/answering: python -m rag.evaluation.train_answer_model

MiniLM's lower layers stay as packaged and read question and piece together; the upper ones and three heads are trained.
`--onward N` goes on from the weights at hand instead: all pairs of passages by hand, drawn `--draws` times, and each N-th of
the others. A question's pairs come in one batch, where its answer must also stand above what is none. `--fold N` trains without a fifth of the fields, `--without FILE` without the passages of one hand, and prints how well it tells
their answers. `--half` multiplies in bfloat16: twice as fast where the processor can. Needs the train extra.
"""

from __future__ import annotations

import argparse
import random
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
from rag.evaluation.answer_passages import (
    Section,
    is_for_fitting,
    pairs_of_passages,
    passage_files,
    sections_with_contrasts,
)
from rag.evaluation.network_training import LEARNING_RATE, Course, fit_network, padded
from rag.evaluation.reader_network import Encoded, Network, encode_pairs, load_trained, weights_of
from rag.signals.tuned_graph import ReaderWeights, load_weights, save_weights

FIXED_LAYERS = 2  # of six; the lower ones stay as packaged, their output is computed once
EPOCHS, BATCH = 2, 32
HEAD_WEIGHTS = (1.0, 0.3, 0.3)  # whether it answers is what counts; the other two say why not
WEIGHT_OF_ORDER = 0.5  # of the loss where a question's answer does not stand far above what is none
FOLDS = 5
FIRST_SEED_AGAIN = 6
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
    units = units_of(pairs)
    owner = torch.zeros(len(pairs), dtype=torch.long)
    for number, unit in enumerate(units):
        owner[unit] = number

    def loss_of_batch(group: list[int], logits: torch.Tensor, _tokens: torch.Tensor) -> torch.Tensor:
        want = gold[group]
        each = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), want.clamp(min=0), reduction="none"
        )
        order = loss_of_order(logits[:, 0].float(), want[:, 0], owner[group])
        return ((each * weights * (want != UNKNOWN)).sum() + WEIGHT_OF_ORDER * order) / len(group)

    network = Network(FIXED_LAYERS, len(HEADS), 1)
    if options.onward:
        load_trained(network, load_weights(options.start).arrays, FIXED_LAYERS)
    with half_precision(options.half):
        course = Course(options.epochs, BATCH, seed, options.rate)
        return fit_network(network, texts, loss_of_batch, course, units=units)


def units_of(pairs: Sequence[AnswerPair]) -> list[list[int]]:
    """The places of the pairs of each question."""
    units: dict[tuple[str, str], list[int]] = {}
    for place, pair in enumerate(pairs):
        units.setdefault((pair.question, pair.group), []).append(place)
    return list(units.values())


def loss_of_order(logits: torch.Tensor, answers: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """How far what answers stands from being above what does not, summed over all such two of one question (`owner`)."""
    above = logits[:, None] - logits[None]
    both = (owner[:, None] == owner) & (answers[:, None] == 1) & (answers[None] == 0)
    return nn.functional.softplus(-above[both]).sum()


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


def drawn_again(times: int, without: frozenset[str]) -> list[AnswerPair]:
    """The pairs of the passages by hand drawn `times` more: typed otherwise, with other lines that are no answers."""
    files = [path for path in passage_files() if path.stem not in without and not is_for_fitting(path)]
    chances = [random.Random(FIRST_SEED_AGAIN + number) for number in range(times)]
    return [pair for chance in chances for path in files for pair in pairs_of_passages(path, chance)]


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
    """How the passages of a hand are told from its near misses, each by the logit of its section's likeliest line.

    Where a near miss has a line that would answer it, that line must stand above all lines of the section.
    """
    questions = [
        (text, number, [*section.texts, *contrast_of(section, text)])
        for section in sections_with_contrasts(path)
        for text, number in section.questions
    ]
    logits = predict(
        network, encode_pairs([(text, line) for text, _, lines in questions for line in lines], FIXED_LAYERS)
    )[:, 0]
    parts = np.split(logits, np.cumsum([len(lines) for *_, lines in questions])[:-1])
    rows = [(part, number) for part, (_, number, _) in zip(parts, questions, strict=True)]
    good = np.asarray([part.max() for part, number in rows if number])
    near = np.asarray([part[:-1].max() for part, number in rows if not number])
    first = [int(part.argmax()) == number - 1 for part, number in rows if number]
    above = [part[-1] > part[:-1].max() for part, number in rows if not number]
    return (
        f"{path.stem}: area under the curve {(good[:, None] > near).mean():.3f}, answered at a tenth of near misses"
        f" {(good > np.quantile(near, 0.9)).mean():.3f}, at a fifth {(good > np.quantile(near, 0.8)).mean():.3f},"
        f" right line first {np.mean(first):.3f}, what would answer above all lines {np.mean(above):.3f}\n"
    )


def contrast_of(section: Section, question: str) -> list[str]:
    """The line that would answer a near miss of the section, as the model reads it; none of an answered question."""
    line = section.contrasts.get(question)
    return [section.text_of(line, section.lines[0])] if line else []


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
    parser.add_argument("--draws", type=int, default=1, help="of the passages by hand, when going on")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="the weights at hand")
    parser.add_argument("--share", type=float, default=0.5, help="of the new weights, when going on")
    parser.add_argument("--half", action="store_true", help="multiply in bfloat16")
    options = parser.parse_args()
    torch.set_num_threads(1)
    without = frozenset(path.stem for path in options.without)
    pairs = make_pairs(without=without)
    groups = sorted({pair.group for pair in pairs})
    inside = [p for p in pairs if options.fold is None or fold_of(p, groups) != options.fold][
        :: options.every
    ]
    if options.onward:
        inside = for_going_on(inside, options.onward)
        inside = list(dict.fromkeys([*inside, *drawn_again(options.draws - 1, without)]))
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
