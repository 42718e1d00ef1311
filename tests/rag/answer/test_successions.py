"""Who came before somebody is not who came after."""

from __future__ import annotations

import pytest

from rag.answer.pieces import Piece
from rag.answer.successions import lacks_other_person
from rag.search.retrieval import Passage

FROM_LEE = "Moss took over as chair from Lee in May."
BY_MOSS = "Lee was succeeded by Moss."


def piece(text: str) -> Piece:
    return Piece(Passage("1", "d", "Minutes", "Minutes", text, None, 0.5), text)


@pytest.mark.parametrize("text", [FROM_LEE, BY_MOSS])
@pytest.mark.parametrize(
    ("question", "lacks"),
    [
        ("Whom did Moss follow as chair?", False),
        ("Whom did Lee follow as chair?", True),
        ("From whom did Moss take over?", False),
        ("From whom did Lee take over?", True),
        ("who took over as chair from Lee", False),
        ("who took over as chair from Moss", True),
    ],
)
def test_the_direction_counts(question: str, lacks: bool, text: str) -> None:
    """A name that stands on the other side of the verb answers the opposite question."""
    assert lacks_other_person(question, piece(text)) is lacks


def test_a_predecessor_is_told_of_in_the_past() -> None:
    """A sentence about the present holder alone names none."""
    assert lacks_other_person("Who was chair before Moss?", piece("The chair is Moss."))
    assert not lacks_other_person("Who was chair before Moss?", piece("Until May Lee had the chair."))
    assert not lacks_other_person("Who is chair?", piece("The chair is Moss."))
