"""The training of a network on top of a fixed encoder: batches by length, AdamW with a warm-up, one loop.

The readers and the answerability model differ in their loss and their inputs alone. Needs the train extra.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
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


def batches(texts: Sequence[Encoded], random: np.random.Generator, size: int) -> Iterator[list[int]]:
    """Texts of about the same length together, in random order."""
    noise = random.uniform(0.85, 1.15, len(texts))
    order = sorted(range(len(texts)), key=lambda n: len(texts[n].hidden) * noise[n])
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    yield from (groups[n] for n in random.permutation(len(groups)))


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
    epochs: int,
    size: int,
    seed: int,
    rate: float = LEARNING_RATE,
    features: np.ndarray | None = None,
) -> AnyNetwork:
    """The network after `epochs` passes in batches of `size`; progress goes to standard error.

    `features`, (texts, width), is a further input for networks that also read the message as a whole.
    """
    random = np.random.default_rng(seed)
    optimiser, schedule = optimiser_of(network.train(), epochs * -(-len(texts) // size), rate)
    for epoch in range(epochs):
        total, began = 0.0, time.process_time()
        for number, group in enumerate(batches(texts, random, size), start=1):
            whole = [] if features is None else [torch.from_numpy(features[group])]
            loss = loss_of(group, *network(*padded([texts[n] for n in group]), *whole))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(group)
            if number % REPORT_EVERY == 0:
                _report(f"  {number}", total / (number * size), began)
        _report(f"epoch {epoch + 1}", total / len(texts), began)
    return network.eval()


def _report(place: str, loss: float, began: float) -> None:
    sys.stderr.write(f"{place}: loss {loss:.3f}, {time.process_time() - began:.0f} CPU-s\n")
