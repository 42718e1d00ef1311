"""Linear heads over the multilingual encoder: what a message of any of ten languages says, as probabilities by label.

Trained by `python -m rag.evaluation.train_multilingual_heads` on all of rag/data/reading; its probabilities are mixed with the
tuned reader's (rag/signals/tuned.py), which reads English better and the nine others worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rag.signals.classifier import features, load_heads, signature
from rag.signals.lexicon import Lexicon, load_lexicon
from rag.signals.multilingual import MultilingualEncoder

HEADS = Path(__file__).parents[1] / "data" / "multilingual_heads.npz"
NO_VECTOR = np.empty(0, dtype=np.float32)
Probabilities = Mapping[str, Mapping[str, float]]


def multilingual_features(text: str, encode: MultilingualEncoder, lexicon: Lexicon) -> np.ndarray:
    """One row: meaning, cues, shape, kinds of numbers; float32."""
    return np.concatenate([encode([text])[0], features(text, NO_VECTOR, lexicon.find(text), lexicon)])


class MultilingualHeads:
    """`heads(text)` gives the probabilities by head and label; safe to call from several threads."""

    def __init__(self) -> None:
        self._encode, self._lexicon = MultilingualEncoder(), load_lexicon()
        self._heads = load_heads(signature(self._lexicon, self._encode.name), HEADS)

    def __call__(self, text: str) -> Probabilities:
        """What the text says."""
        return self._heads(multilingual_features(text, self._encode, self._lexicon))


def mix(one: Probabilities, other: Probabilities, share: float) -> dict[str, dict[str, float]]:
    """The probabilities of two readers, `share` of the weight on the second."""
    return {
        head: {label: (1 - share) * p + share * other[head][label] for label, p in labels.items()}
        for head, labels in one.items()
    }
