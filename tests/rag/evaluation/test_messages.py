"""The labelled messages: checked when read, kept apart from every evaluation question, folds that hold an author out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.errors import RagError
from rag.evaluation.gold import gold_signals
from rag.evaluation.messages import FOLDS, FOLDS_OF_FAMILIES, LabelledMessage, fold_of, read_messages

HERE = Path(__file__).parent
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
RUN = 4  # words in a row that no training message may share with an evaluation question


@pytest.fixture(scope="module")
def messages() -> list[LabelledMessage]:
    return read_messages()


def write_row(tmp_path: Path, row: dict[str, Any]) -> Path:
    (tmp_path / "reading").mkdir()
    for name in ("prototypes.yaml", "scenarios.yaml"):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    (tmp_path / "reading" / "author_x.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return tmp_path


def test_nearly_nine_thousand_messages_of_several_hands(messages: list[LabelledMessage]) -> None:
    """Two own files and nine authors; ten languages; no message twice among the authors."""
    assert len(messages) > 8900
    assert {m.author for m in messages} == {"prototypes", "scenarios", *(f"author_{x}" for x in "abcdefghi")}
    assert len({m.lang for m in messages}) == 10
    texts = [" ".join(m.text.lower().split()) for m in messages if m.author.startswith("author")]
    assert len(texts) == len(set(texts))


def test_no_author_shares_four_words_in_a_row_with_an_evaluation_question(
    messages: list[LabelledMessage],
) -> None:
    """Otherwise the evaluation would measure memory."""
    question_runs = {run for path in HERE.rglob("*.jsonl") for text in texts_of(path) for run in runs(text)}
    assert question_runs
    for message in messages:
        if message.author.startswith("author"):
            assert not runs(message.text) & question_runs, message.text


def texts_of(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield from (str(row[name]) for name in ("question",) if name in row)
        for turn in [*row.get("context", []), *row.get("turns", [])]:
            yield str(turn.get("text") or turn.get("say"))


def runs(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return {tuple(words[n : n + RUN]) for n in range(len(words) - RUN + 1)}


def test_a_label_or_number_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    """An unknown task, and a number that does not stand in the text."""
    data = write_row(tmp_path, {"text": "sort mails", "topic": "decision", "task": "sorting"})
    with pytest.raises(RagError, match=r"author_x\.jsonl, line 1: task='sorting' is not a label"):
        read_messages(data)
    row = {"text": "900 mails", "topic": "decision", "numbers": [["90 0", "examples"]]}
    (data / "reading" / "author_x.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(RagError, match="the number '90 0' does not stand in the text"):
        read_messages(data)


def test_gold_signals_carry_units(tmp_path: Path) -> None:
    """A volume a day becomes calls a month, errors become the share that is right, flags become their signals."""
    row = {
        "text": "40 of 160 replies were wrong, 2k chats a day, legal has not agreed, tone is off",
        "topic": "decision", "task": "reply", "baseline": "tried_fail", "gaps": ["style"], "flags": ["no_consent"],
        "numbers": [["40 of 160", "score"], ["2k", "volume_day"]],
    }  # fmt: skip
    signals = gold_signals(read_messages(write_row(tmp_path, row))[0])
    assert (signals.score, signals.eval_n, signals.volume_month) == (75.0, 160, 60_000)
    assert (signals.consent, signals.gaps, signals.task) == (False, ("style",), "reply")


def test_each_fold_holds_whole_authors_out(messages: list[LabelledMessage]) -> None:
    """Only the two authors of other languages are split, and then by family."""
    for fold in FOLDS:
        out = {m.author for m in messages if fold_of(m) == fold}
        inside = {m.author for m in messages if fold_of(m) != fold}
        assert out & inside <= FOLDS_OF_FAMILIES.keys()
    for author, folds in FOLDS_OF_FAMILIES.items():
        families = [{m.family for m in messages if m.author == author and fold_of(m) == f} for f in folds]
        assert all(families)
        assert not families[0] & families[1]
