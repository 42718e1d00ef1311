"""Frozen sentence embeddings on the training machine: the packaged MiniLM, or any encoder, mean-pooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from finetune.catalog import MINILM, MULTILINGUAL
from finetune.data.languages import encoder_for
from finetune.device import mixed_precision, pick_device
from finetune.errors import CorruptModel

if TYPE_CHECKING:
    import torch

MAX_LENGTH = 256
TOKENS_PER_BATCH = 4096


class Embedder(Protocol):
    """A frozen encoder at work: `key` is its name in finetune/catalog.py, `dim` the columns of its rows."""

    key: str
    dim: int

    def __call__(self, texts: Sequence[str], check: Callable[[], None] = ...) -> np.ndarray: ...


def open_embedder(key: str) -> Embedder:
    """The frozen encoder of this name; BaseModelError where its package is missing, CorruptModel for an unknown name."""
    if key == MULTILINGUAL:
        from finetune.training.multilingual import MultilingualEmbedder

        return MultilingualEmbedder()
    if key != MINILM:
        raise CorruptModel(
            f"This model stands on the encoder `{key[:60]}`, which this version does not know."
        )
    return FrozenEmbedder()


def embedder_for(texts: Sequence[str]) -> Embedder:
    """The frozen encoder that these texts ask for: for the same texts the same one, in a measurement and a fine-tune."""
    return open_embedder(encoder_for(texts))


class FrozenEmbedder:
    """Texts to unit rows with the packaged MiniLM; loads once, keeps no gradients."""

    key = MINILM
    name = "all-MiniLM-L6-v2"

    def __init__(self, device: str | None = None) -> None:
        from finetune.training.base_models import load_encoder

        self.encoder, self.tokenizer = load_encoder("minilm")
        self.device = device or pick_device()
        self.encoder.to(self.device).eval()
        self.dim = int(self.encoder.config.hidden_size)

    def __call__(self, texts: Sequence[str], check: Callable[[], None] = lambda: None) -> np.ndarray:
        """(n, dim) float32 unit rows in the order of `texts`; `check` is called between batches."""
        return embed(self.encoder, self.tokenizer, texts, check=check)


def embed(
    encoder: Any,
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int = MAX_LENGTH,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Mean-pooled unit rows, (n, hidden) float32; sorted by length so that batches carry little padding."""
    import torch

    ids = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if len(texts) else []
    rows = np.zeros((len(ids), int(encoder.config.hidden_size)), dtype=np.float32)
    device = next(encoder.parameters()).device
    with torch.inference_mode(), mixed_precision(str(device.type)):
        for batch in length_batches([len(row) for row in ids], TOKENS_PER_BATCH):
            check()
            inputs = tokenizer.pad({"input_ids": [ids[i] for i in batch]}, return_tensors="pt").to(device)
            states = encoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            rows[batch] = unit(mean_pool(states[0].float(), inputs["attention_mask"])).cpu().numpy()
    return rows


def length_batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Row numbers in batches of like length, each at most `tokens` with its padding (or one row)."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batches: list[list[int]] = []
    for row in order:
        if batches and (len(batches[-1]) + 1) * lengths[row] <= tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def mean_pool(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(batch, length, hidden) and a 0/1 mask to (batch, hidden), padding left out."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Rows of length one."""
    import torch

    return torch.nn.functional.normalize(rows, dim=-1)
