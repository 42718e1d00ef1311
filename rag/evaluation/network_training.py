"""The training of a network on top of MiniLM's fixed layers: batches by length, AdamW with a warm-up, one loop.

The reader and the answerability model differ in their loss alone. Needs the train extra.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from rag.evaluation.reader_network import Encoded, Network

LEARNING_RATE = 2e-4  # of the encoder's layers; ten times that for the heads
WARMUP_SHARE = 0.06
REPORT_EVERY = 50  # batches
Loss = Callable[[list[int], torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of a batch: the places of its texts, the label logits, the kind logits by token."""


def batches(texts: Sequence[Encoded], random: np.random.Generator, size: int) -> Iterator[list[int]]:
    """Texts of about the same length together, in random order."""
    noise = random.uniform(0.85, 1.15, len(texts))
    order = sorted(range(len(texts)), key=lambda n: len(texts[n].hidden) * noise[n])
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    yield from (groups[n] for n in random.permutation(len(groups)))


def padded(texts: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """(batch, length, 384) float32 and its mask."""
    longest = max(len(one.hidden) for one in texts)
    vectors = torch.zeros((len(texts), longest, texts[0].hidden.shape[1]))
    mask = torch.zeros((len(texts), longest))
    for row, one in enumerate(texts):
        vectors[row, : len(one.hidden)] = torch.from_numpy(one.hidden.astype(np.float32))
        mask[row, : len(one.hidden)] = 1.0
    return vectors, mask


def optimiser_of(network: Network, steps: int) -> tuple[Any, Any]:
    """AdamW, faster for the heads than for the layers, and its schedule: a warm-up, then down to zero at `steps`."""
    upper = list(network.layers.parameters())
    heads = [p for name, p in network.named_parameters() if not name.startswith("layers.")]
    optimiser = torch.optim.AdamW(
        [{"params": upper, "lr": LEARNING_RATE}, {"params": heads, "lr": 10 * LEARNING_RATE}],
        weight_decay=0.01,
    )
    warmup = max(1, int(WARMUP_SHARE * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / (steps - warmup)))
    )
    return optimiser, schedule


def fit_network(
    network: Network, texts: Sequence[Encoded], loss_of: Loss, epochs: int, size: int, seed: int
) -> Network:
    """The network after `epochs` passes in batches of `size`; progress goes to standard error."""
    random = np.random.default_rng(seed)
    optimiser, schedule = optimiser_of(network.train(), epochs * -(-len(texts) // size))
    for epoch in range(epochs):
        total, began = 0.0, time.process_time()
        for number, group in enumerate(batches(texts, random, size), start=1):
            loss = loss_of(group, *network(*padded([texts[n] for n in group])))
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
