"""The answer without a language model: on the point, whole sentences, corrections with what they correct."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.advice.facts import facts_of
from rag.answer.evidence import collect_passages, load_phrases
from rag.answer.extractive import MIN_SCORE_TO_BACK, Answer, ScoredPieces
from rag.answer.pieces import sentences_alone
from rag.answer.writer import Writer
from rag.grounding import fault, figures, is_supported, squeeze
from rag.index import Index
from rag.search.embedding import CachedEmbedder
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import SIGNAL_NAMES, Signals

pytestmark = pytest.mark.integration

GUIDE = Path(__file__).parents[3] / "rag" / "guide"


Tell = Callable[..., Answer]


@pytest.fixture(scope="module")
def tell(guide_index: Index) -> Tell:
    """`tell(question, topic=..., ...)`: the answer when the question was read as these signals."""
    table, write = load_table(), Writer(guide_index, guide_index.embed, EmbeddedReader(guide_index.embed))

    def answer(question: str, **signals: Any) -> Answer:
        advice = advise(Signals.model_validate(signals), table)
        return write(question, advice, frozenset({"workspace"}))

    return answer


def text_of(answer: Answer) -> str:
    return "\n".join(claim.text for claim in answer.claims)


def test_a_verdict_is_backed_by_what_decided_it(tell: Tell) -> None:
    """Weekly facts: the rule about facts and the rule about change are quoted, no example from elsewhere."""
    question = "our help center changes every week, should we fine-tune on the articles?"
    answer = tell(question, topic="decision", task="qa", gaps=("knowledge",), volatility="weekly")
    assert "missing, outdated or private facts call for retrieval" in text_of(answer)
    assert "for knowledge that changes, retrieval is the right tool" in text_of(answer)
    assert "clinical" not in text_of(answer)


def test_a_figure_that_is_out_of_date_comes_with_its_correction(tell: Tell) -> None:
    """The hours for Llama 7B carry the dated correction of them, and not that of other models."""
    answer = tell("how long does a fine-tune of llama 7b take on a cloud gpu", topic="guide")
    assert "2-8 hours." in answer.claims[0].text
    assert answer.claims[1].text.startswith("Correction (2026-11): 2-8 hours for Llama 7B")
    assert "first two runs" not in text_of(answer)


def test_a_question_for_a_list_gets_the_whole_list_in_order(tell: Tell) -> None:
    """Six steps asked for, six steps told, in the guide's order."""
    answer = tell("what are the steps from a csv of tickets to something deployed?", topic="guide")
    steps = [claim.text[:7] for claim in answer.claims if claim.text.startswith("Step ")]
    assert steps == [f"Step {n}:" for n in range(1, 7)]


@pytest.mark.parametrize("question", ["what is the vacation policy?", "which vector database is fastest?"])
def test_a_refusal_says_what_was_searched_and_claims_nothing(tell: Tell, question: str) -> None:
    """What the documents do not hold is not answered: the number searched and the nearest sections instead."""
    answer = tell(question, topic="guide")
    assert not answer.claims
    assert not answer.citations
    assert "I searched 4 documents" in (answer.note or "")
    assert "nearest sections" in (answer.note or "")


QUESTIONS = Path(__file__).parents[3] / "benchmarks" / "answers.yaml"


def test_near_misses_are_refused_and_what_the_guide_holds_is_answered(tell: Tell) -> None:
    """Of 20 questions that the guide almost answers at least 14 are refused, of 20 that it answers at most 4."""
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    misses = [question for question in questions["near_misses"] if tell(question, topic="guide").claims]
    gaps = [question for question in questions["held"] if not tell(question, topic="guide").claims]
    assert len(misses) <= 6, misses
    assert len(gaps) <= 4, gaps


def test_an_identifier_that_no_document_holds_is_not_answered_with_another(tell: Tell) -> None:
    """The rent of a B200 is not answered with that of an H100."""
    assert not tell("what is the rent of a B200 gpu per hour?", topic="guide").claims
    assert tell("what is the rent of an H100 gpu per hour?", topic="guide").claims


def test_every_phrase_belongs_to_a_line_and_finds_its_sentence(guide_index: Index) -> None:
    """No phrase for a line that is gone; each finds a piece of the guide that backs it, within what is searched."""
    table, phrases = load_table(), load_phrases()
    ids = {rule.id for rule in (*table.gates, *table.blocks, *table.rules)}
    assert set(phrases.lines) <= ids
    looked_for = [*phrases.lines.values(), *(phrase for _, _, phrase in phrases.situations)]
    embed = CachedEmbedder(guide_index.embed)
    for phrase in looked_for:
        passages = collect_passages(guide_index, "", (phrase,), frozenset({"workspace"}))
        best = ScoredPieces(passages, embed, lambda text: False).nearness(phrase).max()
        assert best >= MIN_SCORE_TO_BACK, phrase
    names = {*SIGNAL_NAMES, *facts_of(Signals())}
    assert all(set(when) <= names for when, _, _ in phrases.situations)


def test_pieces_stand_alone_and_stand_in_their_passage() -> None:
    """A sentence that leans on the one before takes it along; every piece is verbatim text of its source."""
    assert sentences_alone("RAG reads your data. It takes hours.\nThese are cases.") == [
        "RAG reads your data. It takes hours."
    ]
    for path in GUIDE.glob("*.md"):
        text = path.read_text()
        for piece in sentences_alone(text.replace("#", "\n")):
            assert squeeze(piece) in squeeze(text.replace("#", "\n"))


@pytest.mark.parametrize(
    ("claim", "quote", "why"),
    [
        ("It takes 9 hours.", "It takes 2-8 hours on one GPU.", "9"),
        ("It costs 20%.", "It costs 20 dollars in total.", "20%"),
        ("Train on Azure for this.", "Train on a rented GPU for this.", "Azure"),
        ("Use gpt-4o-mini here.", "Use the smallest model here.", "gpt-4o-mini"),
        ("See https://evil.example/x for it.", "See the handbook for it.", "https://evil.example/x"),
        ("Tuning does not need an evaluation.", "Tuning does need an evaluation first.", "not"),
        ("Three seeds are enough here.", "Several seeds are enough here.", "3"),
        ("It is free of charge.", "It is free of charge and quick.", "verbatim"),
        ("It is.", "It is", "short"),
    ],
)
def test_the_gate_names_what_the_quote_does_not_carry(claim: str, quote: str, why: str) -> None:
    """Figures, names, addresses, a lost "not", a quote from nowhere: each is refused with its reason."""
    passage = quote if why != "verbatim" else "Something else stands here."
    assert why in (fault(claim, quote, passage) or "")
    assert is_supported(quote, quote, quote) or why == "short"


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("It takes 2 to 8 hours.", "Note: it takes 2-8 hours on one GPU."),
        ("Hold out between 10% and 20%.", "Hold out 10-20% of the data for testing."),
        ("Around 3.5M requests a month pay for it.", "above about 3.5 million requests a month"),
        ("It is described at https://a.example/x.", "See https://a.example/x for how it works."),
        ("PII in the inputs can leak from a tuned LLM.", "A tuned model can leak personal data in inputs"),
        ("Do not tune below fifty examples.", "below 50 examples do not tune"),
        (
            "Tuning on unknown facts raises hallucination.",
            "tuning on facts it did not know raises hallucination",
        ),
    ],
)
def test_the_gate_lets_a_faithful_rewording_through(claim: str, quote: str) -> None:
    """Other words for the same figures, addresses and negations are no fault."""
    assert fault(claim, quote, f"Before. {quote} After.") is None


def test_figures_are_compared_by_value() -> None:
    """1,200 and 1.2k are one figure; a quote's "10-20%" allows 10%."""
    assert figures("1,200 rows") == figures("1.2k rows") == {"1200"}
    assert figures("between 10% and 20%") <= figures("10-20% of it", every=True)
    assert not figures("10%") <= figures("10 rows", every=True)
