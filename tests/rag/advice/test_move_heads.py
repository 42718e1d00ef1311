"""What a short message of a thread asks about the verdict: trained heads, honest where they do not know, rebuilt from the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.advice.move_heads import FILE, MIN_PROBABILITY, NONE, MoveHeads
from rag.errors import RagError
from rag.signals.classifier import Heads
from rag.signals.two_encoders import ENGLISH_DIM, two_encodings


def fake_encoders() -> tuple[object, object]:
    return (
        lambda texts: np.ones((len(texts), ENGLISH_DIM), np.float32),
        lambda texts: np.full((len(texts), 512), 2.0, np.float32),
    )


def test_the_english_encoder_is_silent_in_other_languages() -> None:
    """Its numbers would be noise there; both speak in English."""
    embed, encode = fake_encoders()
    english = two_encodings("why?", "en", embed, encode)  # type: ignore[arg-type]
    german = two_encodings("warum?", "de", embed, encode)  # type: ignore[arg-type]
    assert english.shape == german.shape == (ENGLISH_DIM + 512,)
    assert english[:ENGLISH_DIM].all()
    assert not german[:ENGLISH_DIM].any()
    assert (german[ENGLISH_DIM:] == 2.0).all()


def heads_of(bias: list[float]) -> MoveHeads:
    """Heads that say the same of every message."""
    labels = (NONE, "why", "cost", "next")
    arrays = {"move": np.zeros((3, len(labels)), np.float32)}
    return MoveHeads(Heads({"move": labels}, arrays, {"move": np.array(bias)}, frozenset({"move"})))


def test_a_doubtful_move_is_none() -> None:
    """A message that is taken for a question about the verdict is not read for what it says, so a move has to be likely."""
    row = np.zeros(3, np.float32)
    assert heads_of([0.0, 5.0, 0.0, 0.0]).likeliest(row) == "why"
    assert heads_of([-1.0, 0.1, 0.0, 0.0]).likeliest(row) == NONE
    assert 1 / 3 < MIN_PROBABILITY < 1


def test_weights_of_other_encoders_are_refused() -> None:
    """They would answer at random."""
    with pytest.raises(RagError, match="Rebuild it"):
        MoveHeads.load("another-model", "use-multilingual-3", FILE)
    with pytest.raises(RagError, match="Cannot read"):
        MoveHeads.load("minilm", "use-multilingual-3", Path("no-such.npz"))
