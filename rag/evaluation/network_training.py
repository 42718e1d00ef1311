"""The training of a network on top of a fixed encoder: batches by length, AdamW with a warm-up, one loop.

The readers and the answerability model differ in their loss and their inputs alone. Needs the train extra.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from rag.evaluation.reader_network import Encoded

LEARNING_RATE = 2e-4  # of the encoder's layers; ten times that for all else
WARMUP_SHARE = 0.06
REPORT_EVERY = 50  # batches
AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)
Loss = Callable[[list[int], torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of a batch: the places of its texts, the label logits, the kind logits by token."""


@dataclass(frozen=True)
class Course:
    """How long and how fast to train: passes over the texts, texts in a batch, the seed of their order, the layers' rate."""

    epochs: int
    size: int
    seed: int
    rate: float = LEARNING_RATE


def batches(
    texts: Sequence[Encoded], random: np.random.Generator, size: int, units: Sequence[Sequence[int]]
) -> Iterator[list[int]]:
    """Texts of about the same length together, about `size` of them, in random order; a unit's texts are never parted."""
    noise = random.uniform(0.85, 1.15, len(units))
    longest = [max(len(texts[n].hidden) for n in unit) for unit in units]
    order = sorted(range(len(units)), key=lambda n: longest[n] * noise[n])
    step = units_in_batch(units, size)
    groups = [order[start : start + step] for start in range(0, len(order), step)]
    for group in random.permutation(len(groups)):
        yield [n for unit in groups[group] for n in units[unit]]


def units_in_batch(units: Sequence[Sequence[int]], size: int) -> int:
    """How many units make about `size` texts."""
    return max(1, round(size * len(units) / sum(map(len, units))))


def padded(texts: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """(batch, length, width) float32 and its mask."""
    longest = max(len(one.hidden) for one in texts)
    vectors = torch.zeros((len(texts), longest, texts[0].hidden.shape[1]))
    mask = torch.zeros((len(texts), longest))
    for row, one in enumerate(texts):
        vectors[row, : len(one.hidden)] = torch.from_numpy(one.hidden.astype(np.float32))
        mask[row, : len(one.hidden)] = 1.0
    return vectors, mask


def optimiser_of(network: nn.Module, steps: int, rate: float) -> tuple[Any, Any]:
    """AdamW, faster for the heads than for the layers, and its schedule: a warm-up, then down to zero at `steps`."""
    upper = [p for name, p in network.named_parameters() if name.startswith("layers.")]
    heads = [p for name, p in network.named_parameters() if not name.startswith("layers.")]
    groups = [{"params": upper, "lr": rate}, {"params": heads, "lr": 10 * rate}]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=0.01)
    warmup = max(1, int(WARMUP_SHARE * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / (steps - warmup)))
    )
    return optimiser, schedule


def fit_network(
    network: AnyNetwork,
    texts: Sequence[Encoded],
    loss_of: Loss,
    course: Course,
    features: np.ndarray | None = None,
    units: Sequence[Sequence[int]] | None = None,
) -> AnyNetwork:
    """The network after the course; progress goes to standard error.

    `features`, (texts, width), is a further input for networks that also read the message as a whole. The places in one
    of `units` come in one batch; without them each text stands for itself.
    """
    random = np.random.default_rng(course.seed)
    units = units or [[n] for n in range(len(texts))]
    steps = course.epochs * -(-len(units) // units_in_batch(units, course.size))
    optimiser, schedule = optimiser_of(network.train(), steps, course.rate)
    for epoch in range(course.epochs):
        total, count, began = 0.0, 0, time.process_time()
        for number, group in enumerate(batches(texts, random, course.size, units), start=1):
            whole = [] if features is None else [torch.from_numpy(features[group])]
            loss = loss_of(group, *network(*padded([texts[n] for n in group]), *whole))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total, count = total + float(loss.detach()) * len(group), count + len(group)
            if number % REPORT_EVERY == 0:
                _report(f"  {number}", total / count, began)
        _report(f"epoch {epoch + 1}", total / count, began)
    return network.eval()


def _report(place: str, loss: float, began: float) -> None:
    sys.stderr.write(f"{place}: loss {loss:.3f}, {time.process_time() - began:.0f} CPU-s\n")
