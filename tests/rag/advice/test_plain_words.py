"""What a correction puts in the place of what was before, and what plain words say that no reader knows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.advice.plain_words import permission, replaced_counts, replaced_gaps, with_plain_words
from rag.signals.schema import Signals

NOTHING = Signals.model_validate({"topic": "decision"})


@given(before=st.integers(10, 90_000), after=st.integers(10, 90_000))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize(
    "text", ["sorry, {after} not {before}", "typo: {after}, not {before}", "nicht {before} sondern {after}"]
)
def test_a_negated_number_is_replaced_by_the_correct_one(text: str, before: int, after: int) -> None:
    """Whatever the figures, and only where that number was before."""
    old = Signals.model_validate({"topic": "decision", "examples": before, "eval_n": before + 1})
    assert replaced_counts(old, NOTHING, text.format(before=before, after=after)) == {"examples": after}


def test_a_loose_number_replaces_what_it_can_only_mean() -> None:
    """A shift by one digit, and a new size of the only count that is near."""
    old = Signals.model_validate({"topic": "decision", "kb_tokens": 190_000})
    assert replaced_counts(old, NOTHING, "with the annex it will be 260k") == {"kb_tokens": 260_000}
    old = Signals.model_validate({"topic": "decision", "examples": 24})
    assert replaced_counts(old, NOTHING, "I forgot two zeros: 2400") == {"examples": 2400}
    assert replaced_counts(old, NOTHING, "we are 12 people in Lyon") == {}
    assert replaced_counts(old, NOTHING, "reviewers reject 35% now") == {}


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("no, it's the facts, not the tone", ("knowledge",)),
        ("es ist der Stil, nicht die Kosten", ("style",)),
        ("it's the tone", None),
        ("not the tone", None),
    ],
)
def test_a_negated_gap_is_replaced_by_the_named_one(text: str, gaps: tuple[str, ...] | None) -> None:
    """Only where one is named in the place of the other."""
    assert replaced_gaps(text) == gaps


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("the union has signed off on it, everyone agreed", True),
        ("our DPO approved the training last week", True),
        ("Patients consented and the ethics board signed", True),
        ("der Betriebsrat hat zugestimmt", True),
        ("ya nos autorizaron", True),
        ("客户已同意", True),
        ("legal has not agreed", False),
        ("there's no legal basis for that", False),
        ("Legal no ha dado permiso", False),
        ("once legal agreed we could start", None),
        ("we sort letters into 9 folders", None),
    ],
)
def test_permission_is_read_from_whoever_may_give_it(text: str, answer: bool | None) -> None:
    """Given, refused, or not told."""
    assert permission(text) is answer


def test_everybody_may_read_everything_clears_the_access_limit() -> None:
    """And quoting that is no longer needed is no bound."""
    reading = with_plain_words(NOTHING, "all branches may see everything, and no quoting needed")
    assert (reading.acl, reading.citations) == (False, False)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("should we pre-train something?", "foundation"),
        ("is our own language model worth it?", "foundation"),
        ("lohnt es sich, selbst vorzutrainieren?", "foundation"),
        ("is a pre-trained model enough?", None),
        ("which base model do you take?", None),
    ],
)
def test_whoever_asks_to_pretrain_asks_for_a_model_of_their_own(text: str, task: str | None) -> None:
    """A model that was pre-trained by others is none of one's own; a task that was read stands."""
    assert with_plain_words(NOTHING, text).task == task
    sorting = NOTHING.model_copy(update={"task": "classify"})
    assert with_plain_words(sorting, text).task == "classify"


@pytest.mark.parametrize(
    "text",
    [
        "The big one costs a fortune; the mini model is good enough, we measured it.",
        "smaller versions scored just as well on our 300 cases, the bill bites",
        "das kleinere Modell reicht völlig, nur die Rechnung stört",
        "小模型够用,就是现在的账单太高",
    ],
)
def test_a_cheaper_tier_that_suffices_settles_the_cost(text: str) -> None:
    """The prompt on that tier is good enough, so that the price is no gap any more."""
    new = with_plain_words(NOTHING.model_copy(update={"gaps": ("cost",), "task": "summarise"}), text)
    assert (new.cheaper_tier_tried, new.baseline, new.gaps) == (True, "tried_ok", ())
    assert str(advise(new, load_table()).verdict) == "prompt"


@pytest.mark.parametrize(
    "text",
    [
        "the smaller one is not good enough",
        "cheaper models were clearly worse",
        "is a small model good enough?",
    ],
)
def test_a_cheaper_tier_that_fails_or_is_asked_about_settles_nothing(text: str) -> None:
    """Denied, or a question."""
    new = with_plain_words(NOTHING.model_copy(update={"gaps": ("cost",)}), text)
    assert (new.baseline != "tried_ok", new.gaps) == (True, ("cost",))
