"""An amount per hour, mile or person is another one than per trip, and its unit is looked for in piece, columns and heading."""

from __future__ import annotations

import pytest

from rag.answer.pieces import Piece
from rag.answer.rates import lacks_rate
from rag.search.retrieval import Passage


def piece(text: str, before: str = "", heading: str = "Prices") -> Piece:
    return Piece(Passage("1", "d", "Prices", heading, text, None, 0.5), text, before=before)


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        (
            "price per hour of the court",
            "The court is 14 euros an hour.",
            "The court is 60 euros for the day.",
        ),
        (
            "how much do you pay per mile",
            "Mileage is 48 cents.",
            "Within three miles delivery is 4 euros a trip.",
        ),
        ("what does parking cost an hour", "Sixty minutes are 1.80.", "Parking is 9 until closing."),
        ("hourly rate of a fitter", "Fitters take 60 an hour.", "A fitter takes 400 a shift."),
        ("what does lunch cost per person", "Lunch is 9 each.", "Lunch for the table is 40."),
        (
            "how many calls per minute are allowed",
            "At most 120 calls in 60 seconds.",
            "At most 5,000 calls are allowed.",
        ),
    ],
)
def test_another_unit_is_no_answer(question: str, answer: str, other: str) -> None:
    """The unit may stand there in other words; as a mere distance or span it does not count."""
    assert not lacks_rate(question, piece(answer))
    assert lacks_rate(question, piece(other))


def test_a_row_has_the_units_of_its_columns_and_heading() -> None:
    """ "per day" stands in a column, a cell or the heading of a table."""
    question = "price per day of the kayak"
    assert not lacks_rate(question, piece("| Kayak | 30 |", "| Boat | Day |"))
    assert not lacks_rate(question, piece("| Kayak | 30 | day |", "| Boat | Price | Unit |"))
    assert not lacks_rate(question, piece("| Kayak | 30 |", "| Boat | Price |", heading="Prices per day"))
    assert lacks_rate(question, piece("| Kayak | 30 |", "| Boat | Week |"))


@pytest.mark.parametrize(
    "question", ["how long is an hour at the pool", "what do I pay for half an hour", "what percent do I pay"]
)
def test_no_rate_is_asked_for(question: str) -> None:
    """A span of time alone is no rate."""
    assert not lacks_rate(question, piece("Nothing of the kind."))
