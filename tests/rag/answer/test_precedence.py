"""Which piece speaks first: the opening of the entry that is asked for, and a rule where a rule is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from rag.advice.conversation import Thread
from rag.advice.decision_table import load_table
from rag.advice.moves import Service
from rag.advice.turns import turn_of
from rag.answer.pieces import Piece, split_pieces
from rag.answer.precedence import ENTRY, NO_RULE, asks_for_a_rule, with_precedence
from rag.search.retrieval import Passage


def pieces_under(heading: str, text: str) -> list[Piece]:
    return split_pieces(Passage("1", "d", "Words", f"Words > {heading}", text, None, 0.5))


ENTRIES = [
    *pieces_under(
        "Feature flag",
        "A feature flag is a switch that turns code on. Remove each feature flag within a month.",
    ),
    *pieces_under("Flag day", "A flag day is a change that everybody makes at once. Avoid a flag day."),
    *pieces_under("How many flags may be open?", "Ten are open at most. Each open flag has an owner."),
]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("what is a feature flag?", "A feature flag is a switch"),
        ("What's a flag day", "A flag day is a change"),
        ("explain feature flags", "A feature flag is a switch"),
        ("how many open flags may there be?", "Ten are open at most"),
    ],
)
def test_the_opening_of_the_entry_that_is_asked_for_speaks_first(question: str, first: str) -> None:
    """A later sentence with more of the words does not outvote it, and a low score does not keep it back."""
    for least, highest in ((-1.0, 3.0), (-6.0, -4.0)):
        values = with_precedence(question, ENTRIES, np.linspace(least, highest, len(ENTRIES)))
        assert ENTRIES[int(values.argmax())].text.startswith(first)
        assert values.max() == pytest.approx(max(highest, ENTRY))


@pytest.mark.parametrize(
    "question", ["when is a feature flag removed?", "what is a flag?", "who owns a flag?"]
)
def test_another_question_keeps_the_fitted_order(question: str) -> None:
    """An entry with other words than the question has no precedence."""
    odds = np.linspace(-1.0, 1.0, len(ENTRIES))
    assert np.array_equal(with_precedence(question, ENTRIES, odds), odds)


def test_a_piece_that_allows_and_forbids_nothing_falls_behind_a_rule() -> None:
    """Asked what we may do, a price that names the same provider is no answer."""
    pieces = pieces_under(
        "Photos",
        "Photos of visitors go to Lumen for 2 euros a roll.\nPhotos of visitors must not leave the house.",
    )
    values = with_precedence("may we send photos of visitors to Lumen?", pieces, np.asarray([1.0, 0.0]))
    assert values.tolist() == [1.0 - NO_RULE, 0.0]
    priced = with_precedence("what do photos of visitors cost at Lumen?", pieces, np.asarray([1.0, 0.0]))
    assert priced.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("may we bring dogs?", True),
        ("are visitors allowed in the lab?", True),
        ("is it permitted to park here?", True),
        ("may our agents give refunds?", True),
        ("what happened in May?", False),
        ("can I pay with PayPal?", False),
        ("how large may an attachment be?", False),
    ],
)
def test_a_question_of_a_rule_is_one_of_what_somebody_may_do(question: str, rule: bool) -> None:
    """The month, and what is possible, are no rules."""
    assert asks_for_a_rule(question) == rule


class Privacy:
    """Takes every message for a question about what the bot does with data."""

    def __call__(self, text: str) -> None:
        return None

    def service(self, text: str) -> Service:
        return "privacy"


@pytest.mark.parametrize(
    ("question", "turn"),
    [
        ("are we allowed to send chats to a provider?", None),
        ("may we give our recordings to a vendor?", None),
        ("do you send our chats to a provider?", "privacy"),
    ],
)
def test_what_a_team_may_do_is_no_question_about_the_bot(question: str, turn: Service | None) -> None:
    """The rule is in the team's documents, however near the words are."""
    assert turn_of(Thread(), question, Privacy(), load_table()) == turn
