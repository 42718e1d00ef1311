"""What people ask first: the guide's words and basics, and the team's own rule before any price."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from rag.advice.document_questions import RequiredMatch, required_match
from rag.adviser import Adviser
from rag.index import Index
from rag.reply import Reply, Verdict
from rag.search.embedding import MiniLM
from tests.rag.advice.test_adviser import PRICES

pytestmark = pytest.mark.integration

EVERYONE = frozenset({"workspace"})
HANDBOOK = """# Data handbook

## Tickets

Customer tickets may not be given to OpenAI or any other outside provider without the consent of the data office.

## Refunds

Our refund limit is 200 euros per customer and month.
"""
PRICE_NOTES = """# Price notes

OpenAI takes 0.10 dollars for a million tokens of the tickets that we send to its small model.
"""


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Adviser]:
    with Index.open(tmp_path_factory.mktemp("guide"), embed) as index:
        index.ensure_guide()
        yield Adviser(index, embed, PRICES)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Adviser]:
    folder = tmp_path_factory.mktemp("team")
    (folder / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    (folder / "prices.md").write_text(PRICE_NOTES, encoding="utf-8")
    with Index.open(folder / "index", embed) as index:
        index.ensure_guide()
        index.add([folder / "handbook.md", folder / "prices.md"], EVERYONE)
        yield Adviser(index, embed, PRICES)


def first_claim(reply: Reply) -> str:
    return reply.why[0].text if reply.why else ""


@pytest.mark.parametrize(
    ("question", "held"),
    [
        ("what is LoRA?", "low-rank adaptation"),
        ("what is macro-F1?", "mean of the F1 scores of all classes"),
        ("what is a held-out set?", "put aside before training"),
        ("what is a learning rate?", "how far each training step moves the weights"),
        ("what is batch size?", "how many examples a model reads"),
        ("what is an epoch?", "one pass of training"),
        ("what is overfitting?", "by heart"),
        ("define overfitting", "by heart"),
        ("do we need a GPU", "No GPU is needed for a prompt"),
        ("which learning rate should we start with", "2e-5 to 5e-5"),
        ("how many labelled tickets do we need?", "from 50 for each class"),
    ],
)
def test_the_guide_answers_what_people_ask_first(guide: Adviser, question: str, held: str) -> None:
    """A definition answers "what is", from the guide, with its source."""
    reply = guide.ask(question)
    assert reply.verdict is Verdict.GUIDE_ANSWER
    assert held in first_claim(reply)
    assert reply.citations


@pytest.mark.parametrize(
    ("verdict", "bar"),
    [(Verdict.NEED_MORE_INFO, RequiredMatch.ENTRY), (Verdict.OFF_TOPIC, RequiredMatch.SURE)],
)
def test_advice_outside_the_trade_is_looked_up_like_any_question(
    verdict: Verdict, bar: RequiredMatch
) -> None:
    """Only what may be a case of training waits for an entry with that heading; "who should I ask" is a handbook's."""
    decision = SimpleNamespace(advice=SimpleNamespace(verdict=verdict))
    assert required_match("who should I ask for a new badge?", decision, []) is bar


@pytest.mark.parametrize("question", ["should we train a model?", "do we need to fine-tune?"])
def test_the_question_of_a_verdict_is_the_tables(guide: Adviser, question: str) -> None:
    """A section of the guide with that very heading does not stand in for a verdict."""
    assert guide.ask(question).verdict is not Verdict.GUIDE_ANSWER


@pytest.mark.parametrize(
    "question",
    ["may we send tickets to OpenAI?", "are we allowed to send customer tickets to OpenAI?"],
)
def test_the_teams_rule_comes_before_any_price(team: Adviser, question: str) -> None:
    """The handbook's sentence, not what a price list says of the same provider."""
    assert "without the consent of the data office" in first_claim(team.ask(question))


def test_without_a_rule_of_their_own_the_guide_says_whom_to_ask(guide: Adviser) -> None:
    """No price and no verdict: the rule is the team's to give."""
    assert "your own data rules" in first_claim(guide.ask("may we send tickets to OpenAI?"))


def test_a_limit_in_the_handbook_is_answered_from_it(team: Adviser) -> None:
    """What the team wrote down is what it gets."""
    assert "200 euros" in first_claim(team.ask("What is our refund limit?"))
