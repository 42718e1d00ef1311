"""The second reader as a torch network: MiniLM's lower layers as packaged, the upper ones and the heads trained.

`encode_lower` runs the fixed part once per message; `Network` is what is trained on top. Each label has its own
attention over the tokens, so that three words of a long message are enough. Needs the train extra (torch, transformers).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rag.search.minilm_onnx import DIM, LAYERS, load_tokenizer, packaged_model
from rag.signals.quantities import find_quantities

MAX_TRAINED_TOKENS = 160  # of a message; the longest of the data has 220, one in a hundred more than 160


@dataclass(frozen=True)
class Encoded:
    """One message: the fixed layers' output (tokens, 384) as float16, and the token range of each quantity in it."""

    hidden: np.ndarray
    quantities: tuple[tuple[int, int], ...]


def encode_lower(texts: Sequence[str], fixed_layers: int, cache: Path | None = None) -> list[Encoded]:
    """Every text through the embeddings and the first `fixed_layers` layers; `cache` (a folder) keeps the result."""
    digest = hashlib.sha256(
        "\0".join([*texts, str(fixed_layers), str(MAX_TRAINED_TOKENS)]).encode()
    ).hexdigest()[:16]
    file = cache / f"lower-{digest}.npz" if cache else None
    tokenizer = load_tokenizer(packaged_model() / "tokenizer.json")
    encodings = [tokenizer.encode(text) for text in texts]
    lengths = [min(len(one.ids), MAX_TRAINED_TOKENS) for one in encodings]
    if file is not None and file.is_file():
        rows = np.load(file)["rows"]
    else:
        rows = np.concatenate(
            _run_lower([one.ids[:n] for one, n in zip(encodings, lengths, strict=True)], fixed_layers)
        )
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, rows=rows)
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    return [
        Encoded(part, tuple(quantity_tokens(text, one.offsets, n)))
        for text, one, part, n in zip(texts, encodings, parts, lengths, strict=True)
    ]


def encode_pairs(pairs: Sequence[tuple[str, str]], fixed_layers: int) -> list[Encoded]:
    """Every question with its text through the first `fixed_layers` layers, read together; no quantities."""
    tokenizer = load_tokenizer(packaged_model() / "tokenizer.json")
    ids = [tokenizer.encode(*pair).ids[:MAX_TRAINED_TOKENS] for pair in pairs]
    return [Encoded(row, ()) for row in _run_lower(ids, fixed_layers)]


def quantity_tokens(text: str, offsets: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """The token range (first, last + 1) of each quantity of the text, in order; (0, 0) where it was cut off."""
    ranges = []
    for quantity in find_quantities(text):
        inside = [
            n
            for n, (a, b) in enumerate(offsets[:length])
            if b > a and a < quantity.end and b > quantity.start
        ]
        ranges.append((inside[0], inside[-1] + 1) if inside else (0, 0))
    return ranges


def bert(layers: slice) -> Any:
    """The packaged encoder with only these layers."""
    from transformers import BertModel

    model = BertModel.from_pretrained(
        str(packaged_model()), add_pooling_layer=False, attn_implementation="sdpa"
    )
    model.encoder.layer = model.encoder.layer[layers]
    return model


def _run_lower(ids: Sequence[Sequence[int]], fixed_layers: int) -> list[np.ndarray]:
    model = bert(slice(0, fixed_layers)).eval()
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    rows: list[np.ndarray] = [np.empty(0)] * len(ids)
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            longest = max(len(ids[n]) for n in batch)
            padded = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, n in enumerate(batch):
                padded[row, : len(ids[n])] = torch.tensor(ids[n])
                mask[row, : len(ids[n])] = 1
            hidden = model(input_ids=padded, attention_mask=mask).last_hidden_state.half().numpy()
            for row, n in enumerate(batch):
                rows[n] = hidden[row, : len(ids[n])]
    return rows


class Network(nn.Module):
    """The upper layers and the heads. `labels` is the number of labels of all heads together, `kinds` of numbers."""

    def __init__(self, fixed_layers: int, labels: int, kinds: int) -> None:
        super().__init__()
        self.layers = bert(slice(fixed_layers, LAYERS)).encoder.layer
        self.attention = nn.Linear(DIM, labels, bias=False)
        self.evidence = nn.Linear(DIM, labels)
        self.kind = nn.Linear(DIM, kinds)
        nn.init.zeros_(self.attention.weight)
        nn.init.normal_(self.evidence.weight, std=0.02)
        nn.init.zeros_(self.evidence.bias)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, length, 384) and (batch, length) of 0/1 -> label logits (batch, labels), kind logits per token."""
        bias = (1.0 - mask[:, None, None, :]) * torch.finfo(torch.float32).min
        for layer in self.layers:
            hidden = layer(hidden, bias)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        scores = self.attention(hidden).masked_fill(mask[:, :, None] == 0, -1e9)
        shares = torch.softmax(scores, dim=1)
        evidence = nn.functional.linear(hidden, self.evidence.weight)
        return (shares * evidence).sum(dim=1) + self.evidence.bias, self.kind(hidden)


def weights_of(network: Network, fixed_layers: int) -> dict[str, np.ndarray]:
    """The trained part of the network under BERT's names; its first layer is BERT's number `fixed_layers`."""
    arrays = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("layers."):
            _, number, rest = name.split(".", 2)
            name = f"encoder.layer.{int(number) + fixed_layers}.{rest}"
        arrays[name] = tensor.numpy()
    return arrays


def load_trained(network: Network, arrays: Mapping[str, np.ndarray], fixed_layers: int) -> None:
    """Puts what `weights_of` gave into the network."""
    state = {}
    for name, array in arrays.items():
        if name.startswith("encoder.layer."):
            number, rest = name.removeprefix("encoder.layer.").split(".", 1)
            name = f"layers.{int(number) - fixed_layers}.{rest}"
        state[name] = torch.from_numpy(np.asarray(array, dtype=np.float32))
    network.load_state_dict(state)
