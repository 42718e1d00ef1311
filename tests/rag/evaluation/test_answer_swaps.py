"""A word of question and line is swapped for another of its kind."""

from __future__ import annotations

import random

import pytest

from rag.evaluation.answer_swaps import Swap, find_swap


@pytest.mark.parametrize(
    ("question", "text", "words"),
    [
        ("who feeds the seals on monday", "Monday: the seals are fed by the trainee.", {"monday"}),
        ("what does plan 40 cost", "The plan 40 costs 12 euros.", {"40"}),
        ("where is hollis", "Her deputy Hollis sits in room 3.", {"hollis"}),
        ("rent in May and June", "The rent of June is 80.", {"june"}),
        ("who feeds the seals", "They are fed by the trainee.", set()),
    ],
)
def test_what_stands_in_both_is_found(question: str, text: str, words: set[str]) -> None:
    """A day, a month, a number, a name; not the words that tell what is asked."""
    swaps = [find_swap(question, text, random.Random(seed)) for seed in range(20)]
    assert {swap.word for swap in swaps if swap} == words
    for swap in filter(None, swaps):
        assert swap(question) != question
        assert swap.other.lower() in swap(text).lower()
        assert swap.word not in swap(text).lower()


def test_the_case_of_the_place_is_kept() -> None:
    """In a question typed in small letters, too."""
    swap = Swap("monday", "friday")
    assert swap("on monday") == "on friday"
    assert swap("Monday: closed") == "Friday: closed"
    assert swap("mondays") == "mondays"
