"""A piece that lacks the number, price, place or name that a question asks for is told from one that gives it."""

from __future__ import annotations

import pytest

from rag.answer.answer_kinds import lacks_answer_type
from rag.answer.pieces import Piece
from rag.search.retrieval import Passage


def piece(text: str, before: str = "", heading: str = "Handbook") -> Piece:
    return Piece(Passage("1", "d", "Handbook", heading, text, None, 0.5), text, before=before)


CASES = [
    ("What is the phone number of the desk?", "Call the desk at +353 91 555 0142.", "The desk answers on 3 weekdays."),
    ("What's Kim's email address?", "Write to kim@acme.example.", "Kim answers mail on Mondays."),
    ("What is the door code?", "The door code is 4417B.", "The code is with Gus and me only."),
    ("What is the link to the form?", "It is on https://forms.example/travel.", "The form is in two parts."),
    ("How much does the charger cost?", "The charger is sold for 89 euros.", "The charger weighs 2 kg."),
    ("What does Nordrein charge for cleaning?", "Nordrein gets 400 euros a month.", "The house is cleaned by Nordrein."),
    ("What is the price of delivery?", "Delivery is free inside the city.", "Delivery takes 2 days."),
    ("What does a lost key cost?", "A lost key costs forty-two crowns.", "A lost key is replaced on Thursdays."),
    ("How much is the deposit?", "The deposit is ninety dollars.", "The deposit is handed back in dollars."),
    ("Who leads the circle?", "The circle is led by Mira Tveit.", "The circle meets on Mondays in May."),
    ("Who signs the form?", "Your manager signs the form.", "The form is signed within a week."),
    ("Where does the circle meet?", "The circle meets in the map room.", "The circle meets at 19:00 on Mondays."),
    ("What is the fuel card's code?", "The fuel card's code is 4417.", "Pay with the fuel card; its code is at the desk."),
    ("How many vans are there?", "There are nine vans.", "Only people over 21 may ever drive vans."),
    ("How many users do we have?", "We have 12 users.", "SCIM 2.0 removes users, and each user can turn on a two-step lock."),
    ("How many lockers are there?", "There are 40 lockers.", "A locker takes a coin and the hall has 2 doors, one of them locked."),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "other"), CASES)
def test_the_kind_of_thing_is_looked_for(question: str, answer: str, other: str) -> None:
    """Each in its own form."""
    assert not lacks_answer_type(question, piece(answer))
    assert lacks_answer_type(question, piece(other))


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How do I reset my phone?", "Hold both buttons for ten seconds."),
        ("Who may borrow books?", "Books are lent to members."),
        ("How many days of leave do I get?", "Annual leave is 25 days."),
        ("What does the dashboard show?", "It shows the tickets of the week."),
        ("Where do I set the language?", "Open Settings > Language."),
        ("How many seats are there?", "The hall holds sixty guests."),
        ("How many days of PTO do we get?", "PTO: 25 working days a year."),
        ("How many hours do we have?", "For P1 the SLA is met; at most SLA 4 hours."),
        ("What does the crossing cost?", "A single crossing is 18."),
        ("Who keeps the keys?", "The keys are with the caretaker."),
        ("How long does tuning take and what does it cost?", "Tuning takes two to eight hours."),
    ],
)
def test_other_questions_are_left_to_the_fitted_score(question: str, text: str) -> None:
    """Only what has a form of its own is judged by form."""
    assert not lacks_answer_type(question, piece(text))


def test_money_of_a_row_stands_in_its_header() -> None:
    """A cell with a bare number answers for a price where its table is one of prices."""
    row = piece("| Barge | 125 |", "| Vessel | Fee |")
    assert not lacks_answer_type("What is the fee for a barge?", row)


def test_a_row_of_prices_does_not_count_its_label() -> None:
    """Asked how many huts there are, the price of one is no answer; a column of counts is."""
    assert lacks_answer_type("how many huts are there?", piece("| Hut | 44 |", "| Per night | Low season |"))
    assert not lacks_answer_type("how many huts are there?", piece("| Hut | 12 |", "| Kind | Number |"))
    assert not lacks_answer_type("how many guests fit in a hut?", piece("| Hut | 4 |", "| Kind | Guests |"))


def test_a_name_that_opens_a_sentence_is_one() -> None:
    """Where the passage knows the word as a name; "Brush the shelves" has none."""
    text = "[09:10] Rashid: who does it? Rashid writes the draft."
    passage = Passage("1", "d", "Chat", "Chat", text, None, 0.5)
    assert not lacks_answer_type("Who writes the draft?", Piece(passage, "Rashid writes the draft."))
    assert lacks_answer_type("Who writes the draft?", piece("Brush the draft with wax."))


def test_a_phone_number_may_be_short() -> None:
    """An extension is one, a year is not."""
    assert not lacks_answer_type("What is the phone number of the desk?", piece("Dial 3300 for the desk."))
    assert lacks_answer_type("What is the phone number of the desk?", piece("The desk was opened in 2019."))
