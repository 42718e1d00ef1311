"""Batches of a training: of about one length, each text once in a pass, what belongs together in one batch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra: pip install -e '.[train]'")

import torch

from rag.evaluation.answer_lines import AnswerPair
from rag.evaluation.network_training import batches
from rag.evaluation.reader_network import Encoded
from rag.evaluation.train_answer_model import loss_of_order, units_of

pytestmark = pytest.mark.integration  # torch takes seconds to import
TEXTS = [Encoded(np.zeros((1 + n % 7, 4), dtype=np.float16), ()) for n in range(40)]


def test_a_pass_reads_each_text_once_and_parts_no_unit() -> None:
    """Units of one to three texts."""
    units = [[0, 1, 2], [3], *([n, n + 1] for n in range(4, 40, 2))]
    groups = list(batches(TEXTS, np.random.default_rng(1), 8, units))
    assert sorted(n for group in groups for n in group) == list(range(40))
    assert all(any(set(unit) <= set(group) for group in groups) for unit in units)
    assert max(map(len, groups)) <= 12


def test_the_pairs_of_a_question_are_a_unit() -> None:
    """The same words asked of another document are another question."""
    rows = [("who", "a", "x"), ("when", "b", "x"), ("who", "c", "x"), ("who", "d", "y")]
    pairs = [AnswerPair(question, text, (1, 1, 1), group) for question, text, group in rows]
    assert units_of(pairs) == [[0, 2], [1], [3]]


def test_an_answer_below_what_is_none_costs_most() -> None:
    """Only within one question, and nothing where it has no answer."""
    answers, owner = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]), torch.tensor([0, 0, 1, 1, 2])
    good, bad = torch.tensor([3.0, -3.0, 3.0, -3.0, 9.0]), torch.tensor([-3.0, 3.0, 3.0, -3.0, 9.0])
    assert float(loss_of_order(good, answers, owner)) < 0.01
    assert float(loss_of_order(bad, answers, owner)) > 5
    assert float(loss_of_order(good[4:], answers[4:], owner[4:])) == 0
