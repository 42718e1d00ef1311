"""The triage network: any encoder, mean pooling, and a head that starts where the classes already are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from finetune.training.embedding import mean_pool, unit

SCALE = 20.0  # cosine in [-1, 1] to logits: a tempered start, neither flat nor saturated


class CosineHead(nn.Module):
    """Logits = scale x cosine(row, class vector); the class vectors start at the centroids of their rows."""

    def __init__(self, centroids: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(centroids.clone().float())

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return SCALE * unit(pooled.float()) @ unit(self.weight).T


class LinearHead(nn.Module):
    """The usual head: dropout and one linear layer, from small random weights."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.linear(self.dropout(pooled.float()))


class Classifier(nn.Module):
    """Token ids to class logits; with `labels` also the mean cross entropy."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        logits = self.head(mean_pool(hidden, attention_mask))
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def make_head(kind: str, embeddings: np.ndarray, labels: np.ndarray, classes: int) -> nn.Module:
    """The head named by the recipe; `embeddings` are the untuned encoder's, one unit row per label."""
    if kind == "linear":
        return LinearHead(embeddings.shape[1], classes)
    return CosineHead(torch.from_numpy(centroids(embeddings, labels, classes)))


def centroids(embeddings: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The unit mean of each class's unit rows, (classes, hidden); every class must have a row."""
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(classes)])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def load_head(state: dict[str, Any]) -> nn.Module:
    """The head whose saved tensors these are."""
    if "weight" in state:
        return CosineHead(state["weight"])
    head = LinearHead(state["linear.weight"].shape[1], state["linear.weight"].shape[0])
    head.load_state_dict(state)
    return head
