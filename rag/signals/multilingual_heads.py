"""What a message of any of ten languages says, as probabilities by label: two readers over the multilingual encoder.

Linear heads over the sentence, and a small network over its tokens (rag/signals/multilingual_tokens.py), trained together by
`python -m rag.evaluation.train_multilingual_heads` on all of rag/data/reading. Their probabilities are mixed with the tuned
reader's (rag/signals/tuned.py), which reads English better and the nine others worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.signals.classifier import features, load_heads, signature
from rag.signals.lexicon import Lexicon, load_lexicon
from rag.signals.multilingual import TextEncoding, load_encoder
from rag.signals.multilingual_tokens import TokenHeads
from rag.signals.quantities import Quantity

FOLDER = Path(__file__).parents[1] / "data"
HEADS_FILE, TOKENS_FILE = "multilingual_heads.npz", "multilingual_tokens.npz"
NO_VECTOR = np.empty(0, dtype=np.float32)
TOKEN_SHARE = 0.55  # of the weight, for the network over tokens beside the linear heads
Probabilities = Mapping[str, Mapping[str, float]]


def multilingual_features(text: str, encoding: TextEncoding, lexicon: Lexicon) -> np.ndarray:
    """One row: meaning, cues, shape, kinds of numbers; float32."""
    return np.concatenate([encoding.vector, features(text, NO_VECTOR, lexicon.find(text), lexicon)])


@dataclass(frozen=True)
class MultilingualReading:
    """Probabilities by head and label, and by kind (one of `kind_names`) for each quantity: (quantities, kinds)."""

    probabilities: Probabilities
    kinds: np.ndarray
    kind_names: Sequence[str]


class MultilingualHeads:
    """`heads(text, quantities)` reads a text; safe to call from several threads. The weights lie in `folder`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._encoder, self._lexicon = load_encoder(), load_lexicon()
        self._tokens = TokenHeads(folder / TOKENS_FILE)
        self._heads = load_heads(signature(self._lexicon, self._encoder.name), folder / HEADS_FILE)

    def __call__(self, text: str, quantities: Sequence[Quantity] = ()) -> MultilingualReading:
        """What the text says, and what each of its quantities counts."""
        encoding = self._encoder.read(text)
        row = multilingual_features(text, encoding, self._lexicon)
        states = self._tokens.states(encoding)
        probabilities = mix(self._heads(row), self._tokens(states, row), TOKEN_SHARE)
        kinds = self._tokens.kinds(states, encoding, quantities)
        return MultilingualReading(probabilities, kinds, self._tokens.kind_names)


def mix(one: Probabilities, other: Probabilities, share: float) -> dict[str, dict[str, float]]:
    """The probabilities of two readers, `share` of the weight on the second."""
    return {
        head: {label: (1 - share) * p + share * other[head][label] for label, p in labels.items()}
        for head, labels in one.items()
    }
