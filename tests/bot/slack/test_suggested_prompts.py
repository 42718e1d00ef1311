"""What a stranger is offered to press or to type: each answer is right to its own numbers, read without a language model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bot.factories import PRICES
from bot.slack.features.questions import HELP
from bot.slack.ui.prompts import PROMPTS
from rag.adviser import Adviser
from rag.index import Index
from rag.reply import Reply, Verdict
from rag.search.embedding import MiniLM

pytestmark = pytest.mark.integration

BY_TITLE = {prompt["title"]: prompt["message"] for prompt in PROMPTS}
EXAMPLES = re.findall(r"`/should-i-train (.+?)`", HELP)


@pytest.fixture(scope="module")
def adviser(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[Adviser]:
    import yaml

    with Index.open(tmp_path_factory.mktemp("prompts"), embed) as index:
        index.ensure_guide()
        yield Adviser(index, embed, yaml.safe_load(PRICES.read_text(encoding="utf-8")))


def everything(reply: Reply) -> str:
    """All that the card says of a reply, in one text."""
    parts = [reply.headline, reply.next_step, reply.cost_line, *reply.would_change]
    return "\n".join([*map(str, parts), *(claim.text for claim in reply.why)])


def test_each_offer_is_a_question_that_this_file_judges() -> None:
    """A new suggested prompt or example needs its own test here."""
    assert set(BY_TITLE) == {
        "Fine-tune on our articles?",
        "Route tickets to queues",
        "Make replies sound like us",
        "Our own foundation model",
    }
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("question", [*BY_TITLE.values(), *EXAMPLES])
def test_an_offer_gets_a_verdict_at_once(adviser: Adviser, question: str) -> None:
    """No "one thing is missing", no question back, a next step with a bar, sources, and nothing taken for granted."""
    reply = adviser.ask(question)
    assert reply.verdict not in (Verdict.NEED_MORE_INFO, Verdict.OFF_TOPIC, Verdict.GUIDE_ANSWER)
    assert reply.choice is None
    assert "it passes" in reply.next_step
    assert reply.citations


@pytest.mark.parametrize("question", [BY_TITLE["Fine-tune on our articles?"], EXAMPLES[0]])
def test_articles_that_change_weekly_are_retrieved(adviser: Adviser, question: str) -> None:
    """Facts that change are no matter of weights; the step indexes the documents."""
    reply = adviser.ask(question)
    assert reply.verdict is Verdict.RAG
    assert "stale" in reply.headline
    assert reply.next_step.startswith("Index the documents")


@pytest.mark.parametrize("question", [BY_TITLE["Route tickets to queues"], EXAMPLES[1]])
def test_six_thousand_labels_in_eight_queues_are_used(adviser: Adviser, question: str) -> None:
    """750 a queue: the step trains a small classifier beside the prompt; nobody is told to collect labels first."""
    reply = adviser.ask(question)
    assert reply.verdict is Verdict.PROMPT
    assert "6,000 labelled items" in reply.next_step
    assert "40,000 calls" in str(reply.cost_line)
    assert "labelled examples per class exist" not in everything(reply)
    assert "they train a small classifier later" not in everything(reply)


def test_nine_hundred_replies_are_enough_for_a_pilot_after_the_prompt(adviser: Adviser) -> None:
    """A voice starts in the prompt; 900 approved replies are told to be enough for a pilot if it fails."""
    reply = adviser.ask(BY_TITLE["Make replies sound like us"])
    assert reply.verdict is Verdict.PROMPT
    assert "style guide" in reply.next_step
    assert "your examples are enough for a tuning pilot" in reply.next_step


@pytest.mark.parametrize(
    "question",
    [
        BY_TITLE["Our own foundation model"],
        "Should we train a support model from scratch?",
        "Sollen wir ein eigenes Sprachmodell für den Kundendienst vortrainieren?",
    ],
)
def test_a_model_of_ones_own_is_told_what_it_would_take(adviser: Adviser, question: str) -> None:
    """Not a foundation model, and why: the size of a lab; what to do instead: one workflow, one prompt, measured."""
    reply = adviser.ask(question)
    assert reply.verdict is Verdict.PROMPT
    if reply.language == "en":
        assert reply.choice is None
        assert "training from scratch is for labs" in reply.headline
        assert "512 A100" in everything(reply)
        assert reply.next_step.startswith("Pick the one workflow")
        assert any("foundation model" in change for change in reply.would_change)
