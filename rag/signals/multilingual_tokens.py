"""A small network over the multilingual encoder's tokens: each label has its own attention over them, and each quantity its kind.

Trained by `python -m rag.evaluation.train_multilingual_heads` (rag/evaluation/multilingual_network.py is the same network in torch);
numpy alone, 3 CPU-ms a message. Covers the ten languages of the encoder. Reads the first 128 tokens of a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import RagError
from rag.signals.multilingual import TextEncoding, layer_norm
from rag.signals.quantities import Quantity

MAX_TOKENS = 128
BLOCK_HEADS = 4  # of the self-attention


class TokenHeads:
    """`heads(encoding, row)` gives the probabilities by head and label, `kinds` those of each quantity by kind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _weights(self) -> Mapping[str, np.ndarray]:
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                return {
                    name: archive[name] if name == "about" else archive[name].astype(np.float32)
                    for name in archive.files
                }
        except (OSError, ValueError) as error:
            raise RagError(f"Cannot read {self._path}: {error}. Restore it with git.") from error

    @cached_property
    def _about(self) -> Mapping[str, Any]:
        """The labels by head, the heads of one label, and the kinds, as `save_token_heads` wrote them."""
        return dict(json.loads(bytes(self._weights["about"]).decode()))

    @property
    def kind_names(self) -> Sequence[str]:
        """What a quantity may count, in the order of `kinds`."""
        return tuple(self._about["kinds"])

    def states(self, encoding: TextEncoding) -> np.ndarray:
        """(tokens, 256): the tokens after the projection and one block of self-attention."""
        w = self._weights
        rows = encoding.tokens[:MAX_TOKENS] @ w["project.weight"].T + w["project.bias"]
        rows = layer_norm(rows, w["norm.weight"], w["norm.bias"]) + w["place.weight"][: len(rows)]
        view = layer_norm(rows, w["block.norm1.weight"], w["block.norm1.bias"])
        rows = rows + self._attend(view)
        view = layer_norm(rows, w["block.norm2.weight"], w["block.norm2.bias"])
        inner = np.maximum(view @ w["block.linear1.weight"].T + w["block.linear1.bias"], 0)
        return np.asarray(rows + inner @ w["block.linear2.weight"].T + w["block.linear2.bias"])

    def _attend(self, view: np.ndarray) -> np.ndarray:
        w, (length, width) = self._weights, view.shape
        parts = view @ w["block.self_attn.in_proj_weight"].T + w["block.self_attn.in_proj_bias"]
        split = parts.reshape(length, 3, BLOCK_HEADS, width // BLOCK_HEADS).transpose(1, 2, 0, 3)
        shares = softmax(split[0] @ split[1].transpose(0, 2, 1) / np.sqrt(width // BLOCK_HEADS))
        blend = (shares @ split[2]).transpose(1, 0, 2).reshape(length, width)
        return np.asarray(blend @ w["block.self_attn.out_proj.weight"].T + w["block.self_attn.out_proj.bias"])

    def __call__(self, states: np.ndarray, row: np.ndarray) -> dict[str, dict[str, float]]:
        """`row` is the message's feature row of rag/signals/multilingual_heads.py."""
        w = self._weights
        shares = softmax((states @ w["attention.weight"].T).T)
        logits = (shares * (states @ w["evidence.weight"].T).T).sum(axis=1)
        logits = logits + w["whole.weight"] @ row + w["whole.bias"]
        probabilities, start = {}, 0
        for head, labels in self._about["heads"].items():
            part = logits[start : start + len(labels)]
            values = softmax(part) if head in self._about["exclusive"] else 1 / (1 + np.exp(-part))
            probabilities[head] = dict(zip(labels, map(float, values), strict=True))
            start += len(labels)
        return probabilities

    def kinds(self, states: np.ndarray, encoding: TextEncoding, quantities: Sequence[Quantity]) -> np.ndarray:
        """(quantities, kinds): probabilities by kind; all zero for a quantity beyond the tokens that are read."""
        logits = states @ self._weights["kind.weight"].T + self._weights["kind.bias"]
        rows = np.zeros((len(quantities), logits.shape[1]), dtype=np.float32)
        for number, (first, last) in enumerate(quantity_places(encoding, quantities)):
            if last > first:
                rows[number] = softmax(logits[first:last].mean(axis=0))
        return rows


def quantity_places(encoding: TextEncoding, quantities: Sequence[Quantity]) -> list[tuple[int, int]]:
    """The token range (first, last + 1) of each quantity; (0, 0) beyond MAX_TOKENS."""
    places = []
    for quantity in quantities:
        inside = [
            n
            for n, (a, b) in enumerate(encoding.offsets[:MAX_TOKENS])
            if b > a and a < quantity.end and b > quantity.start
        ]
        places.append((inside[0], inside[-1] + 1) if inside else (0, 0))
    return places


def softmax(logits: np.ndarray) -> np.ndarray:
    """Shares over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def save_token_heads(
    arrays: Mapping[str, np.ndarray],
    heads: Mapping[str, Sequence[str]],
    exclusive: Sequence[str],
    kinds: Sequence[str],
    path: Path,
) -> None:
    """Writes the weights as float16 with their labels; no pickle."""
    about = {"heads": {head: list(labels) for head, labels in heads.items()}, "exclusive": sorted(exclusive), "kinds": list(kinds)}  # fmt: skip
    halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    np.savez_compressed(
        path, allow_pickle=False, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **halves
    )
