"""How many of a step's rows pass through the network at once, so that memory does not grow with the length of the texts.

The gradients of the passes add up to the step's own: the batch that a recipe names stays the batch that is learned from.
What a pass takes was measured (docs/performance.md).
"""

from __future__ import annotations

import math
from typing import Any

PASS_TOKENS = (
    2_800  # tokens at once through a network of MiniLM's size, each weighed by `weight`: about 1.2 GB
)
HALF_ATTENTION = 400  # a token of a text of so many takes as much for attention as for all else
MINILM_WIDTH = 6 * 384  # layers x hidden: a deeper or wider network keeps as much more for each token


def attention_factor(length: float) -> float:
    """What a token of a row of so many takes with its attention, against one without."""
    return 1 + length / HALF_ATTENTION


def weight(length: int) -> float:
    """What one row of so many tokens takes: its tokens, and the square of them for attention."""
    return length * attention_factor(length)


def room_for(model: Any, device: str) -> float:
    """The tokens that may pass through `model` at once; no bound on a GPU, where a batch that fails is halved."""
    if device != "cpu":
        return math.inf
    config: Any = next((part.config for part in model.modules() if hasattr(part, "config")), None)
    sizes = config.get_text_config() if hasattr(config, "get_text_config") else config
    layers, hidden = (getattr(sizes, name, 0) or 0 for name in ("num_hidden_layers", "hidden_size"))
    return PASS_TOKENS * min(1.0, MINILM_WIDTH / max(1, layers * hidden))


def split_batch(batch: dict[str, Any], room: float) -> list[dict[str, Any]]:
    """The batch in its order as parts that have room, of about as many rows each; one row at least."""
    ids = batch.get("input_ids")
    if ids is None or ids.dim() < 2 or room == math.inf:
        return [batch]
    at_once = max(1, int(room / weight(ids.shape[1])))
    count = math.ceil(ids.shape[0] / at_once)
    if count == 1:
        return [batch]
    parts = {name: value.tensor_split(count) for name, value in batch.items()}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
