"""When the embedded answer is given and when it is refused: paraphrases, near misses, names, closed documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from rag.answer.answer_model import LOGITS
from rag.answer.answerability import FEATURES, features, shares_of_words
from rag.answer.extractive import Answer, compose
from rag.answer.factual import NEAREST, answer_from_documents
from rag.answer.pieces import split_pieces
from rag.answer.question_terms import read_question
from rag.evaluation.retrieval import EVERYONE, add_samples, answers, read_rows
from rag.index import Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import Passage, retrieve

pytestmark = pytest.mark.integration

QUESTIONS = Path(__file__).parents[3] / "benchmarks" / "answers.yaml"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("samples"), embed) as index:
        add_samples(index)
        yield index


def answer_to(index: Index, question: str) -> Answer:
    passages = retrieve(index, question, EVERYONE)
    return compose(question, passages, index.embed)


def test_a_paraphrased_question_is_answered_with_a_note(embed: MiniLM) -> None:
    """Where no word is shared and an answer is given all the same, a note says that meaning alone found it."""
    text = "Staff receive thirty days of paid vacation in each calendar year."
    passages = [Passage("1", "d", "Handbook", "Handbook", text, None, 0.5)]
    answer = compose("How much annual holiday do employees get?", passages, embed, min_log_odds=-20)
    assert answer.claims[0].text == text
    assert answer.note == NEAREST


def test_an_answer_in_the_same_words_carries_no_note(samples: Index) -> None:
    """The usual case stays plain."""
    answer = answer_to(samples, "What does the Team plan cost per seat?")
    assert "29 euros" in answer.claims[0].text
    assert answer.note is None


@pytest.mark.parametrize("question", ["Can I pay with PayPal?", "Is there an integration with SAP?"])
def test_a_name_that_the_passage_lacks_speaks_against_it(samples: Index, question: str) -> None:
    """What is said of other ways to pay is no answer about this one."""
    assert not answer_to(samples, question).claims


def test_labelled_questions_stay_as_answered_as_they_were_measured(samples: Index) -> None:
    """Paraphrases are answered and near misses refused as docs/quality.md says; the weights were fitted on these rows too.

    A question at the threshold falls either way with the processor's int8 kernel, so each floor lies one or two
    questions below what was measured (VNNI, int8): .264, .531, .917, .833, .939, .917 in this order.
    """
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    unseen = [{"kind": "unseen", **row} for row in questions["unseen_paraphrases"]]
    unseen += [{"kind": "unseen near", "question": question} for question in questions["unseen_near_misses"]]
    figures = answers(samples, [*read_rows(), *unseen])
    assert figures["paraphrase"]["right_source_cited"] >= 0.22
    assert figures["unseen"]["right_source_cited"] >= 0.46
    assert figures["near_miss"]["refused"] >= 0.875
    assert figures["unseen near"]["refused"] >= 0.79
    assert figures["plain"]["right_source_cited"] >= 0.89
    assert figures["identifier"]["right_source_cited"] >= 0.87


def test_a_row_answers_with_its_column_and_caption(tmp_path: Path, embed: MiniLM) -> None:
    """Near-identical tables differ by their caption; the cell asked for is given, a year that is not there is not."""
    tables = "".join(
        f"<table><caption>Revenue {year} by region</caption><tr><th>Region</th><th>Road</th><th>Rail</th></tr>"
        f"<tr><td>Iberia</td><td>{year - 1930}.5</td><td>{year - 1990}.1</td></tr>"
        f"<tr><td>Baltic States</td><td>{year - 1950}.5</td><td>{year - 1980}.1</td></tr></table>"
        for year in (2021, 2022)
    )
    (tmp_path / "report.html").write_text(f"<h1>Annual report</h1><h2>Revenue</h2><p>By region.</p>{tables}")
    with Index.open(tmp_path / "index", embed) as index:
        index.add([tmp_path / "report.html"], EVERYONE)
        first = answer_to(index, "rail revenue in Iberia in 2022").claims
        assert first[0].text == "Revenue 2022 by region: Iberia: Rail: 32.1"
        assert answer_to(index, "rail revenue in Iberia in 2019").claims == ()


def test_questions_inside_documents_are_no_answers() -> None:
    """A chat's question and a heading are never a piece; what follows knows the sentence before it."""
    text = "[09:05] Ana: And the budget?\n[09:07] Ben: 186,000 euros without the phones."
    pieces = split_pieces(Passage("1", "d", "chat", "chat", text, None, 0.5))
    assert [piece.text for piece in pieces] == ["[09:07] Ben: 186,000 euros without the phones."]
    assert "budget" in pieces[0].before


def test_small_talk_is_no_answer() -> None:
    """A greeting between a question and its answer is no piece; an answer of one word beside the name is."""
    text = "Ana: Who signs?\n\nBen: morning all, thanks!\n\nBen: Farid signs.\n\nAna: ok, many thanks"
    pieces = split_pieces(Passage("1", "d", "chat", "chat", text, None, 0.5))
    assert [piece.text for piece in pieces] == ["Ben: Farid signs."]


def test_a_code_of_the_same_shape_in_its_place_speaks_against() -> None:
    """DX-40 is no answer about DX-25, 2021 none about 2019; 6.2 is found in 6.2.0."""
    passage = Passage(
        "1", "d", "Manual", "Manual", "The DX-40 version 6.2.0 extracts 40 litres in 2021.", None, 0.5
    )
    pieces = split_pieces(passage)
    conflict = FEATURES.index("code_conflict")
    for question, expected in (
        ("how much does the DX-25 extract?", 1.0),
        ("how much does the DX-40 extract?", 0.0),
        ("what was extracted in 2019?", 1.0),
        ("what does version 6.2 extract?", 0.0),
    ):
        table = features(question, pieces, np.asarray([0.5]), np.zeros((1, LOGITS)))
        assert table[0, conflict] == expected, question


def test_words_of_a_closed_document_are_not_counted(tmp_path: Path, embed: MiniLM) -> None:
    """Whether an answer comes must not tell that a word stands in a document that the asker may not read."""
    secret = tmp_path / "secret.md"
    secret.write_text("# Plan\n\nProject Zanzibar closes in March of next year, says the board.\n")
    with Index.open(tmp_path / "index", embed) as index:
        index.add([secret], frozenset({"channel:C1"}))
        question = "When does project Zanzibar close?"
        inside = answer_from_documents(index, question, frozenset({"channel:C1"}), embed)
        outside = answer_from_documents(index, question, frozenset({"workspace"}), embed)
    assert "March of next year" in inside.answer.claims[0].text
    assert inside.confidence > 0.5
    assert not outside.answer.claims
    assert outside.confidence == 0.0
    assert "0 documents" in (outside.answer.note or "")


@pytest.mark.parametrize(
    ("question", "expects", "codes"),
    [
        ("what's QL-2150?", "definition", {"ql-2150"}),
        ("Who founded it?", "who", set()),
        ("how many puffin pairs were there in 2020?", "number", {"2020"}),
        ("when was Quillon 6.1.0 released", "when", {"6.1.0"}),
        ("does it work with Okta?", "yes or no", set()),
    ],
)
def test_a_question_tells_what_it_expects(question: str, expects: str, codes: set[str]) -> None:
    """The kind of answer and the codes that it must be about."""
    terms = read_question(question)
    assert terms.expects == expects
    assert terms.codes == codes


def test_the_quick_shares_are_those_of_the_features() -> None:
    """What chooses the pieces to be read is what the score sees of them."""
    passages = [
        Passage(
            "1",
            "d",
            "Handbook",
            "Handbook > Leave",
            "Staff get 25 days of leave. Ask Mira for more.",
            None,
            0.5,
        ),
        Passage("2", "d", "Handbook", "Handbook > Pay", "Pay comes on the 25th of the month.", None, 0.4),
    ]
    pieces = [piece for passage in passages for piece in split_pieces(passage)]
    question = "how many days of leave do staff get?"
    table = features(question, pieces, np.zeros(len(pieces)), np.zeros((len(pieces), LOGITS)))
    columns = [FEATURES.index(name) for name in ("words_in_piece", "words_near", "passage_rank")]
    assert np.allclose(shares_of_words(question, pieces), table[:, columns])
