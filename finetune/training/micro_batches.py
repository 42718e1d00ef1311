"""Micro-batches: splits a training step so that memory does not grow with the length of the texts.

The gradients of the micro-batches are summed, so the effective batch is the recipe's. The memory of one was measured
(docs/performance.md).
"""

from __future__ import annotations

import math
from typing import Any

MICRO_BATCH_TOKENS = (
    2_800  # weighted tokens (see `weight`) of one micro-batch for a network of MiniLM's size: about 1.2 GB
)
HALF_ATTENTION = 400  # in a text of this many tokens attention takes as much memory as everything else
MINILM_WIDTH = 6 * 384  # layers x hidden size; memory per token grows with it


def attention_factor(length: float) -> float:
    """Memory factor of attention for a token in a row of `length` tokens."""
    return 1 + length / HALF_ATTENTION


def weight(length: int) -> float:
    """The weight of a row of `length` tokens: its tokens plus a quadratic term for attention."""
    return length * attention_factor(length)


def micro_batch_tokens(model: Any, device: str) -> float:
    """The weighted tokens of one micro-batch for `model`; unbounded on a GPU, where a failed batch is halved."""
    if device != "cpu":
        return math.inf
    config: Any = next((part.config for part in model.modules() if hasattr(part, "config")), None)
    sizes = config.get_text_config() if hasattr(config, "get_text_config") else config
    layers, hidden = (getattr(sizes, name, 0) or 0 for name in ("num_hidden_layers", "hidden_size"))
    return MICRO_BATCH_TOKENS * min(1.0, MINILM_WIDTH / max(1, layers * hidden))


def split_batch(batch: dict[str, Any], room: float) -> list[dict[str, Any]]:
    """The batch split in order into micro-batches of similar size, at least one row each."""
    ids = batch.get("input_ids")
    if ids is None or ids.dim() < 2 or room == math.inf:
        return [batch]
    at_once = max(1, int(room / weight(ids.shape[1])))
    count = math.ceil(ids.shape[0] / at_once)
    if count == 1:
        return [batch]
    parts = {name: value.tensor_split(count) for name, value in batch.items()}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
