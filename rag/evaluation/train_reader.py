"""Trains the second reader from the labelled messages: python -m rag.evaluation.train_reader

`--fold N` trains without the authors of that fold and writes their predictions (JSONL) in place of the weights, for
rag/evaluation/compare_readers.py. `--start FILE` goes on from weights in place of the packaged MiniLM: one pass, in which the
authors whom FILE never read (`--fresh`) come twice. Needs the train extra; three CPU-minutes a pass, and one for the fixed layers once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rag.evaluation.messages import EACH, EXCLUSIVE, FOLDS, KINDS, LabelledMessage, fold_of, read_messages
from rag.evaluation.network_training import LEARNING_RATE, Course, Loss, fit_network, padded
from rag.evaluation.reader_network import Encoded, Network, encode_lower, load_trained, weights_of
from rag.signals.quantities import find_quantities
from rag.signals.tuned_graph import WEIGHTS, ReaderWeights, load_weights, save_weights

FIXED_LAYERS = 3  # of six: the lower ones stay as packaged, their output is computed once
EPOCHS, EPOCHS_ON = 3, 1  # from the packaged MiniLM, and on from trained weights
BATCH = 16
NUMBER_WEIGHT = 0.5  # of the loss of the number kinds beside that of the heads
UNLABELLED = -100
HEADS = {**EXCLUSIVE, **EACH}
PLACE = {head: slice(start, start + len(HEADS[head])) for head, start in zip(
    HEADS, np.cumsum([0, *[len(labels) for labels in HEADS.values()]]), strict=False)}  # fmt: skip
LABELS = sum(len(labels) for labels in HEADS.values())


def quantity_kinds(message: LabelledMessage) -> list[int]:
    """The kind of each quantity of the text; "other" where nothing is labelled, UNLABELLED where nobody labelled."""
    quantities = find_quantities(message.text)
    if message.numbers is None:
        return [UNLABELLED] * len(quantities)
    kinds = []
    for one in quantities:
        exact = [n for n in message.numbers if (n.start, n.end) == (one.start, one.end)]
        near = [n for n in message.numbers if n.start < one.end and one.start < n.end]
        if one.is_share and not exact:
            near = [n for n in near if n.start <= one.start and n.end >= one.end]
        kinds.append(KINDS.index((exact or near)[0].kind) if (exact or near) else KINDS.index("other"))
    return kinds


def targets(messages: Sequence[LabelledMessage]) -> tuple[torch.Tensor, torch.Tensor]:
    """(gold, mask), each (messages, labels) of 0/1: heads other than topic are known for decisions alone."""
    gold = torch.zeros((len(messages), LABELS))
    mask = torch.zeros((len(messages), LABELS))
    for row, message in enumerate(messages):
        for head, labels in HEADS.items():
            start = PLACE[head].start
            for number, label in enumerate(labels):
                gold[row, start + number] = float(label in message.labels[head])
                mask[row, start + number] = float(
                    (head == "topic" or message.is_decision) and message.labelled(label)
                )
    return gold, mask


def loss_of(logits: torch.Tensor, gold: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the exclusive heads plus binary cross-entropy of the others, over what is known."""
    total = logits.new_zeros(())
    for head in HEADS:
        part, want, use = logits[:, PLACE[head]], gold[:, PLACE[head]], mask[:, PLACE[head]]
        if head in EXCLUSIVE:
            rows = use[:, 0] > 0
            if rows.any():
                total = total + nn.functional.cross_entropy(part[rows], want[rows].argmax(dim=1))
        else:
            each = nn.functional.binary_cross_entropy_with_logits(part, want, reduction="none")
            total = total + 3 * (each * use).sum() / use.sum().clamp(min=1)
    return total


def kind_logits(token_logits: torch.Tensor, texts: Sequence[Encoded]) -> torch.Tensor:
    """The mean logits over the tokens of each quantity of the batch, in order: (quantities, kinds)."""
    rows = [
        token_logits[row, max(a, 0) : max(b, 1)].mean(dim=0)
        for row, one in enumerate(texts)
        for a, b in one.quantities
    ]
    return torch.stack(rows) if rows else token_logits.new_zeros((0, len(KINDS)))


def train(
    messages: Sequence[LabelledMessage],
    texts: Sequence[Encoded],
    start: ReaderWeights | None = None,
    seed: int = 7,
) -> Network:
    """The trained network, from `start` on where it is given; the same seed and data give the same weights on one machine."""
    torch.manual_seed(seed)
    network = Network(FIXED_LAYERS, LABELS, len(KINDS))
    if start is None:
        return fit_network(network, texts, reading_loss(messages, texts), Course(EPOCHS, BATCH, seed))
    load_trained(network, start.arrays, FIXED_LAYERS)
    loss = reading_loss(messages, texts)
    return fit_network(network, texts, loss, Course(EPOCHS_ON, BATCH, seed, LEARNING_RATE / 2))


def reading_loss(messages: Sequence[LabelledMessage], texts: Sequence[Encoded]) -> Loss:
    """The loss of a batch of these messages: the heads', and that of what the numbers count."""
    gold, mask = targets(messages)
    kinds = [quantity_kinds(message) for message in messages]

    def loss_of_batch(group: list[int], logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        loss = loss_of(logits, gold[group], mask[group])
        truth = torch.tensor([kind for n in group for kind in kinds[n]], dtype=torch.long)
        if not (truth != UNLABELLED).any():
            return loss
        by_quantity = kind_logits(tokens, [texts[n] for n in group])
        return loss + NUMBER_WEIGHT * nn.functional.cross_entropy(by_quantity, truth, ignore_index=UNLABELLED)

    return loss_of_batch


def predict(network: Network, texts: Sequence[Encoded]) -> tuple[np.ndarray, list[np.ndarray]]:
    """(probabilities (messages, labels), those of the quantities of each message (quantities, kinds))."""
    shares = np.zeros((len(texts), LABELS), dtype=np.float32)
    kinds: list[np.ndarray] = []
    with torch.inference_mode():
        for row, one in enumerate(texts):
            logits, tokens = network(*padded([one]))
            for head in HEADS:
                part = logits[0, PLACE[head]]
                shares[row, PLACE[head]] = (part.softmax(0) if head in EXCLUSIVE else part.sigmoid()).numpy()
            kinds.append(kind_logits(tokens, [one]).softmax(dim=1).numpy())
    return shares, kinds


def predictions_json(
    messages: Sequence[LabelledMessage], shares: np.ndarray, kinds: Sequence[np.ndarray]
) -> Iterator[Mapping[str, Any]]:
    """One plain object a message: its text, the probabilities by head and label, those of its quantities by KINDS."""
    for message, row, kind_row in zip(messages, shares, kinds, strict=True):
        heads = {
            head: dict(zip(labels, (round(float(p), 4) for p in row[PLACE[head]]), strict=True))
            for head, labels in HEADS.items()
        }
        yield {"text": message.text, "heads": heads, "kinds": np.round(kind_row, 4).tolist()}


def shipped_weights(network: Network) -> ReaderWeights:
    """The trained part of the network under BERT's names, with its labels."""
    return ReaderWeights(weights_of(network, FIXED_LAYERS), HEADS, frozenset(EXCLUSIVE), KINDS)


def main() -> int:
    """Train the second reader, or measure it on an author that it never read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--fold", type=int, choices=FOLDS, help="train without its authors, write their predictions"
    )
    parser.add_argument(
        "--out", type=Path, default=WEIGHTS, help="the weights (.npz) or the predictions (.jsonl)"
    )
    parser.add_argument("--start", type=Path, help="weights (.npz) to go on from")
    parser.add_argument("--fresh", nargs="*", default=[], help="the authors whom those weights never read")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".trainwise" / "reader")
    options = parser.parse_args()
    torch.set_num_threads(1)
    messages = read_messages()
    texts = encode_lower([message.text for message in messages], FIXED_LAYERS, options.cache)
    inside = [n for n, m in enumerate(messages) if options.fold is None or fold_of(m) != options.fold]
    inside += [n for n in inside if messages[n].author in options.fresh]
    start = load_weights(options.start) if options.start else None
    network = train([messages[n] for n in inside], [texts[n] for n in inside], start)
    if options.fold is None:
        save_weights(shipped_weights(network), options.out)
        return 0
    out = [n for n in range(len(messages)) if fold_of(messages[n]) == options.fold]
    shares, kinds = predict(network, [texts[n] for n in out])
    lines = predictions_json([messages[n] for n in out], shares, kinds)
    options.out.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
