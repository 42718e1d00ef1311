"""What the process that measures a model says when it cannot."""

from __future__ import annotations

import pytest

from finetune.hosted import MissingAnswers
from worker.runtime import local_evaluation

ORDER = {"endpoint": {"key": "secret-key-of-the-test-0123456789"}, "folder": "/nowhere"}


@pytest.mark.parametrize(
    ("error", "words", "is_retryable"),
    [
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "pip install 'trainwise[train]'",
            False,
        ),
        (MissingAnswers("3 of 13 went unanswered (secret-key-of-the-test-0123456789)."), "3 of 13", True),
        (KeyError("spec"), "KeyError", True),
    ],
)
def test_each_failure_has_a_sentence_without_the_key_and_says_whether_to_try_again(
    error: Exception, words: str, is_retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is told to whoever runs the bot; an answer that did not come is asked for again."""

    def fail(order: object) -> object:
        raise error

    monkeypatch.setattr(local_evaluation, "measure", fail)
    answer = local_evaluation.answer(dict(ORDER))
    assert words in answer["error"]
    assert answer["retryable"] is is_retryable
    assert "secret-key" not in answer["error"]
