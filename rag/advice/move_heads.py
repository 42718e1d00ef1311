"""Classifies what a short message of a thread asks about the verdict, by a softmax over the features of two encoders.

The weights (rag/data/moves.npz, float16) are trained by `python -m rag.evaluation.train_moves`. The English encoder's numbers are
zero for other languages.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rag.signals.classifier import Heads, load_heads
from rag.signals.two_encoders import encoders_signature

FILE = Path(__file__).parents[1] / "data" / "moves.npz"
NONE = "none"
MIN_PROBABILITY = 0.4  # of a move; below it the message is read for signals, like any other


class MoveHeads:
    """`likeliest(row)` names the move of a row of features, NONE for something else."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    @classmethod
    def load(cls, embedder: str, encoder: str, path: Path = FILE) -> MoveHeads:
        """The packaged weights; RagError where they are missing or were trained with other encoders."""
        return cls(load_heads(encoders_signature(embedder, encoder), path))

    def likeliest(self, row: np.ndarray) -> str:
        """A move only where it has MIN_PROBABILITY."""
        shares = self._heads(row)["move"]
        best = max(shares, key=lambda name: shares[name])
        return best if shares[best] >= MIN_PROBABILITY else NONE
