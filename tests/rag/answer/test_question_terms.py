"""The words that a question asks for, at the shape in which passages hold them."""

from __future__ import annotations

from rag.answer.question_terms import read_question, stems


def test_a_level_is_found_under_its_short_name() -> None:
    """P1 stands in "Priority 1", Q3 in "quarter 3"; a year is no level."""
    assert "p1" in stems("Priority 1 means that nobody can work")
    assert "q3" in stems("in quarter 3")
    assert "r2024" not in stems("revenue 2024")


def test_define_asks_for_the_word_after_it() -> None:
    """As "explain" and "what is" do."""
    assert set(read_question("define overfitting").words) == set(read_question("what is overfitting").words)
