"""When the embedded answer is given and when it is refused: paraphrases, near misses, names, closed documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rag.answer.answerability import LEAST, Signs, log_odds, named, unheard
from rag.answer.extractive import NEAREST, Answer, compose
from rag.evaluation.retrieval import EVERYONE, add_samples, answers, read_rows
from rag.index import Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import retrieve

pytestmark = pytest.mark.integration

QUESTIONS = Path(__file__).parents[2] / "benchmarks" / "answers.yaml"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("samples"), embed) as opened:
        add_samples(opened)
        yield opened


def asked(index: Index, question: str) -> Answer:
    passages = retrieve(index, question, EVERYONE)
    return compose(question, passages, index.embed, unheard=unheard(question, index.store, EVERYONE))


def test_a_question_in_wholly_other_words_is_answered_and_says_so(samples: Index) -> None:
    """No word is shared; the answer stands, with a note that meaning alone found it."""
    answer = asked(samples, "Where do I find last year's bills?")
    assert "Archive for ten years" in answer.claims[0].text
    assert answer.note == NEAREST


def test_an_answer_in_the_same_words_carries_no_note(samples: Index) -> None:
    """The usual case stays plain."""
    answer = asked(samples, "What does the Team plan cost per seat?")
    assert "29 euros" in answer.claims[0].text
    assert answer.note is None


@pytest.mark.parametrize("question", ["Can I pay with PayPal?", "Is there an integration with SAP?"])
def test_a_name_that_the_passage_lacks_speaks_against_it(samples: Index, question: str) -> None:
    """What is said of other ways to pay is no answer about this one."""
    assert not asked(samples, question).claims


def test_labelled_questions_stay_as_answered_as_they_were_measured(samples: Index) -> None:
    """Paraphrases are answered and near misses refused as docs/quality.md says, on rows that no weight was fitted on too.

    A near miss at the threshold falls either way with the processor's int8 kernel: refused are .958 and .542
    (AVX2, int8), .917 and .583 (fp32). The floors lie one question of 24 below the lower of the two.
    """
    told = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    unseen = [{"kind": "unseen", **row} for row in told["unseen_paraphrases"]]
    unseen += [{"kind": "unseen near", "question": question} for question in told["unseen_near_misses"]]
    figures = answers(samples, [*read_rows(), *unseen])
    assert figures["paraphrase"]["right_source_cited"] >= 0.35
    assert figures["unseen"]["right_source_cited"] >= 0.6
    assert figures["near_miss"]["refused"] >= 0.875
    assert figures["unseen near"]["refused"] >= 0.5
    assert figures["plain"]["right_source_cited"] >= 0.95
    assert figures["identifier"]["right_source_cited"] >= 0.95


def test_some_shared_words_and_no_more_are_worse_than_none() -> None:
    """A near miss shares the frame of a question and lacks its point."""
    paraphrase = Signs(0.4, 0.4, 0.0, 0.0, 0.0, 0.0, 0.2)
    near_miss = Signs(0.4, 0.4, 0.4, 0.24, 0.0, 0.0, 0.2)
    assert log_odds(paraphrase) > LEAST > log_odds(near_miss)


def test_words_of_a_closed_document_are_not_counted(tmp_path: Path, embed: MiniLM) -> None:
    """Whether a refusal comes must not tell that a word stands in a document that the asker may not read."""
    secret = tmp_path / "secret.md"
    secret.write_text("# Plan\n\nProject Zanzibar closes in March of next year, says the board.\n")
    with Index.open(tmp_path / "index", embed) as index:
        index.add([secret], frozenset({"channel:C1"}))
        assert unheard("zanzibar", index.store, frozenset({"channel:C1"})) == 0
        assert unheard("zanzibar", index.store, frozenset({"workspace"})) == 1


def test_names_are_capitals_inside_a_sentence() -> None:
    """The first word of a sentence and everyday words are none."""
    assert named("Does it work with Okta? How about SAP and I") == ["Okta", "SAP"]
