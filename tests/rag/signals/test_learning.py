"""A model that is wanted merely to learn from: heard in any words, not taken from a firm's ambition or a question of fact."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import RagError
from rag.evaluation.train_learning import other_rows, read_rows
from rag.search.embedding import MiniLM
from rag.signals.learning import LearningHead
from rag.signals.schema import Signals


@pytest.fixture(scope="module")
def head(embed: MiniLM) -> LearningHead:
    return LearningHead(embed)


@pytest.mark.parametrize(
    "text",
    [
        "purely out of curiosity I would build a miniature GPT on my own card, from nothing, no plans to ship it",
        "Im Ruhestand will ich endlich begreifen, wie so ein Sprachmodell entsteht, und selbst ein winziges von null trainieren.",
    ],
)
def test_a_model_to_learn_from_is_built_from_scratch(head: LearningHead, text: str) -> None:
    """Whatever the readers took for the task; the words are quoted."""
    signals = head.with_learning(Signals(topic="decision", task="reply"), text)
    assert (signals.learning, signals.task) == (True, "foundation")
    assert signals.quotes["learning"] in text


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("decision", "The board wants our own GPT, trained from scratch, because a competitor has one."),
        ("decision", "We sort 9,000 refund mails a month into six queues, nothing was tried so far."),
        ("guide", "I am new to this, what is a learning rate?"),
        ("other", "for fun we train on the running track every Friday"),
    ],
)
def test_other_wishes_stay_as_they_were_read(head: LearningHead, topic: str, text: str) -> None:
    signals = Signals(topic=topic)
    assert head.with_learning(signals, text) == signals


def test_a_task_with_examples_stays_that_task(head: LearningHead) -> None:
    """Somebody who tunes a classifier for fun has a task."""
    text = "just as a hobby, to understand how it works, I would train a tiny language model from scratch on one card"
    signals = head.with_learning(Signals(topic="decision", task="classify", examples=900), text)
    assert (signals.learning, signals.task) == (True, "classify")


def test_the_labelled_lines_are_whole(tmp_path: Path) -> None:
    """Half and half, ten languages; a bad line is named; the draw of others is the same each time."""
    rows = read_rows()
    assert len({lang for _, lang, _ in rows}) == 10
    assert 0.4 < sum(learning for *_, learning in rows) / len(rows) < 0.6
    assert other_rows() == other_rows()
    (tmp_path / "author_x.jsonl").write_text('{"text": "hm", "lang": "en"}\n')
    with pytest.raises(RagError, match=r"author_x\.jsonl, line 1"):
        read_rows(tmp_path)
