"""What a question's form demands, a dimension, a colour, a holiday, a "not", is looked for in the piece."""

from __future__ import annotations

import pytest

from rag.answer.pieces import Piece
from rag.answer.question_forms import lacks_form, unmet_forms
from rag.search.retrieval import Passage

HEADER = "| Model | Weight | Top speed |"


def piece(text: str, before: str = "", heading: str = "Handbook") -> Piece:
    return Piece(Passage("1", "d", "Handbook", heading, text, None, 0.5), text, before=before)


@pytest.mark.parametrize(
    ("form", "question", "answer", "other"),
    [
        ("mass", "How heavy is the crate?", "The crate weighs 14 kg.", "The crate holds 14 jars."),
        ("length", "how wide is the gate", "The gate is 3.5 metres wide.", "The gate is shut at nine."),
        ("area", "How many square metres is the hall?", "The hall has 240 m².", "The hall has 240 seats."),
        ("volume", "how many litres does the boiler hold", "It takes 90 litres of water.", "The boiler is cleaned in May."),
        ("energy", "How many kilowatt hours does a wash use?", "A wash needs 0.9 kWh.", "A wash takes 50 minutes."),
        ("heat", "how hot may the oil get", "Oil stays below 180 degrees.", "Oil is changed after ten batches."),
        ("time", "How many weeks is the course?", "The course runs from 2 May to 30 May.", "The course is held in Bergen."),
        ("past", "what did a seat cost last year", "A year ago seats were 14 euros.", "A seat is 15 euros."),
        ("weekend", "is the desk open at the weekend", "On Saturdays the desk opens at ten.", "The desk opens at nine."),
        ("holiday", "When is the dock open on public holidays?", "It is closed on public holidays.", "The dock opens at six."),
        ("make", "What make is the printer?", "We bought a Brother printer.", "The printer stands by the door."),
        ("speed", "How fast does the van go?", "The van does 110 km/h.", "The van seats nine."),
        ("colour", "what colour is the badge", "Badges of guests are orange.", "Badges are handed back at the desk."),
        ("each", "How many visits did each gallery have?", "Both galleries had 900 visits.", "The galleries had 1,800 visits together."),
        ("negation", "Which files may not be sent?", "Payslips may not be sent.", "Files are sent as PDF."),
        ("rate", "What does the courier cost per mile?", "The courier takes 2 dollars a mile.", "The courier takes 9 dollars a trip."),
        ("person", "Who was treasurer before Ida Moe?", "Ida Moe took over as treasurer from Jon Ree.", "The treasurer is Ida Moe."),
    ],
)  # fmt: skip
def test_a_form_is_looked_for(form: str, question: str, answer: str, other: str) -> None:
    """The answer holds it, a piece about the same thing does not."""
    assert unmet_forms(question, piece(answer)) == []
    assert unmet_forms(question, piece(other)) == [form]


def test_a_column_may_name_the_dimension() -> None:
    """A cell is read with the names of its columns."""
    assert not lacks_form("How fast is the S2?", piece("| S2 | 14 | 30 |", HEADER))
    assert lacks_form("How fast is the S2?", piece("| S2 | 14 | 30 |", "| Model | Weight | Seats |"))


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Why is fish not accepted?", "Butter takes on the smell of fish."),
        ("Where is it written that we need not pay?", "Clause 4 says who pays."),
        ("How far ahead can I book?", "Seats can be booked six weeks beforehand."),
        ("What happens if I do not pay?", "Late payers get a letter."),
        ("How long is the hall let?", "The hall is let by the evening."),
        ("Who is on duty on Sunday?", "Ada has the pager this week."),
    ],
)
def test_other_forms_demand_nothing(question: str, text: str) -> None:
    """A reason may be told without the question's "not", a distance in time without metres."""
    assert not lacks_form(question, piece(text))
