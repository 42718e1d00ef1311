"""Features of a short text from both encoders, for small trained heads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

ENGLISH_DIM = 384
Encode = Callable[[Sequence[str]], np.ndarray]


def two_encodings(text: str, lang: str, embed: Encode, encode: Encode) -> np.ndarray:
    """(384 + 512,) float32: the meaning in the English encoder (zero for another language) and in the multilingual one."""
    english = embed([text])[0] if lang == "en" else np.zeros(ENGLISH_DIM, np.float32)
    return np.concatenate([english, encode([text])[0]]).astype(np.float32)


def encoders_signature(embedder: str, encoder: str) -> str:
    """The signature that the weights must have been trained with; it ignores the model's precision."""
    return json.dumps([embedder.split("-")[0], encoder])
