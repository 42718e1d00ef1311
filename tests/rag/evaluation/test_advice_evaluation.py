"""The evaluation of advice: at first sight, with one tap, and over whole conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.advice.moves import Move, MoveReader
from rag.errors import RagError
from rag.evaluation.advice import NoMoves, evaluate, read_rows
from rag.evaluation.readers import load_reader
from rag.search.embedding import load_embedder
from rag.signals.schema import Signals

GOLD = {
    "topic": "decision",
    "task": "reply",
    "gaps": ["style"],
    "baseline": "tried_fail",
    "examples": 3000,
    "eval_n": 300,
}


def file_of(tmp_path: Path, *rows: dict[str, object]) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def reader_of(**changes: object) -> Signals:
    return Signals.model_validate({**GOLD, "gaps": ("style",), **changes})


def test_one_wrong_signal_is_wrong_at_first_sight_and_right_with_one_tap(tmp_path: Path) -> None:
    """The corrected signal is named; a row without a gold reading has no taps."""
    row = {"id": "r", "question": "q", "accept": ["fine_tune"], "gold": GOLD}
    bare = {"id": "b", "question": "q", "accept": ["fine_tune"]}
    result = evaluate(
        read_rows(file_of(tmp_path, row, bare)), lambda text: reader_of(baseline="not_tried"), taps=True
    )
    assert (result.right, result.right_with_tap) == (0, 1)
    assert result.outcomes[0].tap == "baseline"
    assert result.outcomes[1].tap is None


def test_what_is_right_at_first_sight_needs_no_tap(tmp_path: Path) -> None:
    """Both figures count it."""
    row = {"id": "r", "question": "q", "accept": ["fine_tune"], "gold": GOLD}
    result = evaluate(read_rows(file_of(tmp_path, row)), lambda text: reader_of(), taps=True)
    assert result.to_json() == {
        "n": 1, "right": 1, "right_with_tap": 1, "rows": [{"id": "r", "got": "fine_tune"}],
    }  # fmt: skip


class OnlyWhy(NoMoves):
    """Knows one move."""

    def __call__(self, text: str) -> Move | None:
        return "why" if text == "why?" else None


def test_every_scored_turn_of_a_conversation_counts(tmp_path: Path) -> None:
    """Verdicts by `accept`, questions about the verdict by `answer_kind`."""
    turns = [
        {"say": "q", "accept": ["fine_tune"], "gold": GOLD},
        {"say": "why?", "answer_kind": "why", "gold": {"gaps": None}},
    ]
    result = evaluate(
        read_rows(file_of(tmp_path, {"id": "c", "turns": turns})),
        lambda text: reader_of(),
        OnlyWhy(),
    )
    assert [(outcome.id, outcome.right) for outcome in result.outcomes] == [("c.1", True), ("c.2", True)]


def test_a_row_that_cannot_be_scored_is_named(tmp_path: Path) -> None:
    """By file and line, with what it needs."""
    with pytest.raises(RagError, match=r"rows\.jsonl, line 1: each row needs `question`"):
        read_rows(file_of(tmp_path, {"question": "q"}))
    with pytest.raises(RagError, match="line 1"):
        read_rows(file_of(tmp_path, {"question": "q", "accept": ["rag"], "gold": {"task": "sorting"}}))


@pytest.mark.integration
def test_threads_of_a_hand_that_nobody_trained_on(tmp_path: Path) -> None:
    """The turns of the fourth set: two thirds were read right before moves had trained heads, 77% since."""
    embed = load_embedder(tmp_path)
    rows = read_rows(Path(__file__).parent / "conversations_fourth.jsonl")
    result = evaluate(rows, load_reader(embed, tmp_path), MoveReader(embed))
    assert result.right / len(result.outcomes) >= 0.73
