"""A piece that speaks of another day, row or number than the question is told from one that answers it."""

from __future__ import annotations

import pytest

from rag.answer.contrasts import mismatch
from rag.answer.pieces import Piece
from rag.search.retrieval import Passage

ROW, HEADER = "| Team | 10 | $35 |", "| Plan | Seats | Price |"


def piece(text: str, before: str = "", heading: str = "Handbook") -> Piece:
    return Piece(Passage("1", "d", "Handbook", heading, text, None, 0.5), text, before=before)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("When does the office close on Mondays?", "The office closes at eight on Fridays."),
        ("When does the winter sale end?", "The winter sale begins on the ninth of December."),
        ("Who guards the south gate?", "Ask the desk about the north gate."),
        ("What is the minimum order?", "The maximum order is 400 pieces."),
        ("How do I install it on Linux?", "On macOS run the installer."),
        ("Who is the deputy head?", "Joran Lunde is the head."),
    ],
)
def test_an_opposite_or_another_of_its_kind_is_strange(question: str, text: str) -> None:
    """And the same question with the piece's own word is not."""
    assert mismatch(question, piece(text)) == 1
    assert mismatch(text, piece(text)) == 0


def test_a_row_of_another_month_is_anothers() -> None:
    """The label decides, not a cell."""
    header = "| Month | Rain | Sun |"
    assert mismatch("How many hours of sun are there in May?", piece("| April | 84 mm | 152 |", header)) == 2
    assert mismatch("How many hours of sun are there in May?", piece("| May | 71 mm | 199 |", header)) == 0


@pytest.mark.parametrize(
    ("question", "text", "heading"),
    [
        ("When does the shop open?", "It opens at nine and closes at five.", "Handbook"),
        ("When does the office close on Mondays?", "From Monday to Friday at eight.", "Handbook"),
        ("When does it end on Mondays?", "On other days than Friday at six.", "Mondays"),
        ("What does a boat cost in July?", "From May to September a boat is 20 euros.", "Handbook"),
        ("Who is Monday?", "He lives on the ground floor.", "Handbook"),
        ("What starts the pump?", "The green button starts the pump.", "Handbook"),
    ],
)
def test_a_piece_with_the_asked_word_has_no_mismatch(question: str, text: str, heading: str) -> None:
    """In any form, beside its opposite, or in the heading above it."""
    assert mismatch(question, piece(text, heading=heading)) == 0


@pytest.mark.parametrize(
    ("question", "strange"),
    [
        ("What is the price of the Team plan with 10 seats?", 0),
        ("What is the price of the Team plan with 20 seats?", 2),
        ("What is the price of the Solo plan?", 2),
        ("Which plan has 10 seats?", 0),
        ("Which plan does Acme have?", 0),
        ("What is the price of the team plan of Acme?", 0),
        ("What does Acme charge for ten seats?", 0),
        ("What is the price of the senior plan?", 2),
        ("What is the price of the cheapest plan?", 0),
        ("What is the price of the team plan?", 0),
    ],
)
def test_a_row_is_another_by_its_label_or_its_count(question: str, strange: int) -> None:
    """A company's name in the question makes no row another's."""
    assert mismatch(question, piece(ROW, HEADER)) == strange


def test_the_date_of_a_meeting_is_not_the_month_of_its_figures() -> None:
    """A month in a heading does not stand for the other one that the sentence names."""
    text = "Letting brought in 1,880 euros in February."
    assert mismatch("What did letting bring in in March?", piece(text, heading="Meeting of 12 March")) == 1
    assert mismatch("What did letting bring in in February?", piece(text, heading="Meeting of 12 March")) == 0


def test_a_count_in_the_columns_is_no_other_row() -> None:
    """ "3 days" names a column of the table, and the other columns count other days."""
    header = "| Set | 1 day | 3 days | 6 days |"
    assert mismatch("3 days with the sport set", piece("| Sport | 31 | 87 | 150 |", header)) == 0
