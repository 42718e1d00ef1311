"""Detects that somebody wants a model only to learn from it or for fun, by a trained head over the message's embedding.

The weights (rag/data/learning.npz, float16) are trained by `python -m rag.evaluation.train_learning`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from rag.search.embedding import Embedder
from rag.signals.classifier import Heads, load_heads
from rag.signals.language import language_of
from rag.signals.multilingual import load_encoder
from rag.signals.schema import Signals
from rag.signals.two_encoders import encoders_signature, two_encodings

FILE = Path(__file__).parents[1] / "data" / "learning.npz"
MIN_PROBABILITY = {
    None: 0.9,
    "decision": 0.9,
    "guide": 0.98,
}  # by topic; chosen on questions that had been seen


class LearningHead:
    """`head(text)` is the probability that the model is wanted to learn from; the weights are read at first use."""

    def __init__(self, embed: Embedder, path: Path = FILE) -> None:
        self._embed, self._path, self._encode = embed, path, load_encoder()

    def __call__(self, text: str) -> float:
        row = two_encodings(text, language_of(text), self._embed, self._encode)
        return self._heads(row)["learning"]["learning"]

    @cached_property
    def _heads(self) -> Heads:
        return load_heads(encoders_signature(self._embed.name, self._encode.name), self._path)

    def with_learning(self, signals: Signals, text: str) -> Signals:
        """The signals with `learning` set where it is likely; such a model is built from scratch unless the text has examples of a task."""
        least = MIN_PROBABILITY.get(signals.topic)
        if least is None or signals.learning is not None or self(text) < least:
            return signals
        values = {
            "topic": "decision",
            "learning": True,
            "quotes": {**signals.quotes, "learning": text.strip()[:90]},
        }
        if signals.examples is None and signals.per_class is None:
            values["task"] = "foundation"
        return signals.model_copy(update=values)
