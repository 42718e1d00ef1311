"""Penalties on a piece's fitted score: it is about another value, or lacks the type of answer that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.answer.answer_kinds import lacks_answer_type
from rag.answer.contrasts import mismatch
from rag.answer.pieces import Piece
from rag.answer.question_forms import lacks_form

NO_KIND = 4.0  # log-odds, for a piece without the number, price, place, name, unit or "not" that is asked for
OTHER_VALUE = 5.0  # ... and for one of another day or gate; twice that for another row


def penalties(question: str, pieces: Sequence[Piece]) -> np.ndarray:
    """The log-odds to subtract from each piece; 0 for most."""
    return np.asarray(
        [
            OTHER_VALUE * mismatch(question, p)
            + NO_KIND * (lacks_answer_type(question, p) or lacks_form(question, p))
            for p in pieces
        ],
        dtype=float,
    )
