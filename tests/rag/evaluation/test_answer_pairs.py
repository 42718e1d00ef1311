"""The training pairs of the answerability model: enough, near misses most of them, and none taken from an evaluation."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from rag.evaluation.answer_lines import ANSWERS, OTHER_SUBJECT, AnswerPair
from rag.evaluation.answer_pairs import make_pairs
from rag.evaluation.answer_passages import FOR_FITTING, passage_files, read_contrasts, read_sections
from rag.evaluation.answer_values import Values, fill
from rag.search.tables import cells_of

ROOT = Path(__file__).parents[3]
RUN = 6  # words in a row


@pytest.fixture(scope="module")
def pairs() -> list[AnswerPair]:
    return make_pairs()


def runs(texts: Iterable[str]) -> set[tuple[str, ...]]:
    """Every RUN words in a row."""
    rows = [re.findall(r"\w+", text.lower()) for text in texts]
    return {tuple(row[n : n + RUN]) for row in rows for n in range(len(row) - RUN + 1)}


def test_most_pairs_are_near_misses_of_many_fields(pairs: list[AnswerPair]) -> None:
    """At least 3,000 pairs; a piece that does not answer comes with the same question as one that does."""
    answers = [pair for pair in pairs if pair.labels == ANSWERS]
    questions = {pair.question for pair in answers}
    assert len(answers) >= 3000
    assert len({pair.group for pair in pairs}) >= 60
    others = [pair for pair in pairs if pair.labels != ANSWERS]
    assert sum(pair.question in questions for pair in others) > len(answers)
    assert Counter(pair.labels for pair in pairs)[OTHER_SUBJECT] >= 3000


def test_no_pair_both_answers_and_does_not(pairs: list[AnswerPair]) -> None:
    """The same question with the same text has one label, but for a handful by chance."""
    labels: dict[tuple[str, str], set[int]] = {}
    for pair in pairs:
        labels.setdefault((pair.question, pair.text), set()).add(pair.labels[0])
    assert sum(len(some) > 1 for some in labels.values()) < len(pairs) / 500


def test_the_same_seed_makes_the_same_pairs(pairs: list[AnswerPair]) -> None:
    """A training run can be repeated."""
    assert make_pairs() == pairs


def test_nothing_is_taken_from_an_evaluation(pairs: list[AnswerPair]) -> None:
    """No run of six words stands in a document or question by which answers are judged."""
    folder = ROOT / "benchmarks" / "documents"
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "README"]
    # the documents of these came after the oldest pairs, by other hands
    files += [folder / name / "heldout.jsonl" for name in ("second", "third", "fourth")]
    files += [ROOT / "benchmarks" / "answers.yaml", ROOT / "rag" / "data" / "retrieval_eval.jsonl"]
    files += (ROOT / "rag" / "data").glob("sample-*.md")
    evaluation_runs = runs(line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    training_runs = runs(text for pair in pairs for text in (pair.question, pair.text))
    assert {" ".join(run) for run in evaluation_runs & training_runs} == set()


def test_the_passages_by_hand_are_whole() -> None:
    """Each answer names a line of its section, each row fills its columns, and no question stands twice in a section."""
    for path in passage_files():
        for section in read_sections(path):
            place = f"{path.stem}: {section.title} > {section.heading}"
            assert section.lines, place
            assert all(0 <= number <= len(section.lines) for _, number in section.questions), place
            if section.columns:
                assert {len(cells_of(row)) for row in section.lines} == {len(section.columns)}, place
            questions = [question.lower().rstrip("?") for question, _ in section.questions]
            assert len(set(questions)) == len(questions), place


def test_the_passages_for_fitting_are_in_no_pair(pairs: list[AnswerPair]) -> None:
    """What the score is fitted on has never been read in training, so that its logits there are those of a stranger."""
    hands = {pair.group.partition(":")[0] for pair in pairs}
    assert {path.stem for path in passage_files()} - hands == {FOR_FITTING}


def test_the_passages_of_a_hand_can_be_left_out(pairs: list[AnswerPair]) -> None:
    """A model is measured on the passages of a hand that its training did not read."""
    others = make_pairs(without=frozenset({"passages_products"}))
    assert not any(pair.group.startswith("passages_products:") for pair in others)
    assert len(pairs) - len(others) > 2500


def test_slots_of_one_fact_differ_and_stay() -> None:
    """A slot keeps its value, and another slot of its kind has another."""
    values = Values(random.Random(3))
    assert fill("{n1} {n1}", values).split()[0] == fill("{n1}", values)
    numbers = [fill(f"{{y{n}}}", values) for n in range(1, 9)]
    assert len(set(numbers)) == len(numbers)


def test_a_near_miss_is_also_answered() -> None:
    """Each line that would answer belongs to a near miss of its section, so that a question's words alone say nothing."""
    count = 0
    for path in passage_files():
        contrasts = read_contrasts(path)
        for section in read_sections(path):
            near = {question for question, number in section.questions if not number}
            lines = contrasts.pop((section.title, section.heading), {})
            assert lines.keys() <= near, f"{path.stem}: {section.title} > {section.heading}"
            assert all(lines.values())
            count += len(lines)
        assert contrasts == {}, path.stem
    assert count > 3_000


def test_a_question_has_its_answer_as_often_as_others_have(pairs: list[AnswerPair]) -> None:
    """Where contrasts were written, near misses and answered questions are paired alike: one answer, two that are none."""
    hand = [pair for pair in pairs if pair.group.startswith("passages_products:")]
    answers = {pair.question for pair in hand if pair.labels == ANSWERS}
    assert len(answers) > 0.97 * len({pair.question for pair in hand})
