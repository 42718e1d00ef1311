"""Label noise: wrong labels that were planted are found, clean ones mostly left alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.data.reading import read_tickets
from finetune.data.ticket import DatasetError, Ticket, Tickets
from finetune.evaluation import label_noise
from finetune.evaluation.label_noise import find_label_noise

pytestmark = pytest.mark.integration

SAMPLE = Path(__file__).parents[3] / "finetune" / "samples" / "tickets.csv"


@pytest.fixture(scope="module")
def spoilt() -> tuple[Tickets, set[int]]:
    """The sample with 5% of its labels replaced by another, and which rows those are."""
    tickets = read_tickets(SAMPLE)
    draw, names = random.Random(3), [name for name, _ in tickets.classes]
    wrong = set(draw.sample(range(len(tickets)), 33))
    rows = [
        replace(row, label=draw.choice([name for name in names if name != row.label])) if at in wrong else row
        for at, row in enumerate(tickets.rows)
    ]
    return replace(tickets, rows=tuple(rows)), wrong


def test_planted_wrong_labels_are_found(spoilt: tuple[Tickets, set[int]]) -> None:
    """With MiniLM most of the planted errors are suspects, and they stand at the top of the list."""
    tickets, wrong = spoilt
    noise = find_label_noise(tickets)
    rows = [suspect.row for suspect in noise.suspects]
    assert noise.row_count == 658
    assert len(wrong & set(rows)) >= 0.7 * len(wrong)
    assert len(wrong & set(rows[:33])) >= 0.6 * 33
    assert len(rows) < 80
    top = noise.suspects[0]
    assert top.given != top.suggested
    assert top.given_share < top.suggested_share
    card = noise.to_card()
    assert card["suspects"] == len(rows)
    assert card["share"] == round(len(rows) / 658, 4)
    assert "text" not in str(card)


def by_word(texts: object) -> np.ndarray:
    """A toy embedding: one axis per queue's word."""
    words = ("cat", "dog")
    return np.array([[float(word in text) for word in words] for text in texts])  # type: ignore[attr-defined]


def some_rows(labels: list[str]) -> Tickets:
    letters = "abcdefghijklmnopqrstuvwxyz"
    draw = random.Random(1)
    rows = []
    for at, label in enumerate(labels):
        filler = " ".join("".join(draw.choices(letters, k=5)) for _ in range(8))
        rows.append(Ticket(str(at), f"{'cat' if at % 2 else 'dog'} {filler}", label))
    return Tickets(tuple(rows), "triage")


def test_the_suggestion_is_the_other_queue() -> None:
    """One wrong label among clear ones is the only suspect, with what it should be."""
    labels = ["dog", "cat"] * 30
    labels[8] = "cat"
    [suspect] = find_label_noise(some_rows(labels), by_word).suspects
    assert (suspect.row, suspect.given, suspect.suggested) == (8, "cat", "dog")


def test_two_labels_of_one_kind_of_ticket_overlap() -> None:
    """Tickets of one kind with a label drawn at random; the labels of clear ones overlap with nothing."""
    draw = random.Random(5)
    labels = ["dog" if at % 2 == 0 else draw.choice(["cat", "kitten"]) for at in range(120)]
    noise = find_label_noise(some_rows(labels), by_word_and_noise)
    (overlap,) = noise.overlaps
    assert {overlap.first, overlap.second} == {"cat", "kitten"}
    assert 0.3 <= overlap.share <= 0.7
    assert noise.to_check().overlaps == (overlap,)


def by_word_and_noise(texts: Sequence[str]) -> np.ndarray:
    """The toy embedding with an axis that says nothing."""
    extra = np.random.default_rng(0).normal(size=(len(texts), 6))
    return np.hstack([3 * by_word(texts), extra])


def test_of_many_labels_a_random_sample_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first ones, and it is said of how many; below the limit nothing is drawn, whatever is too rare to check."""
    monkeypatch.setattr(label_noise, "MAX_CHECKED_ROWS", 40)
    labels = ["dog", "cat"] * 30
    labels[58] = "cat"
    noise = find_label_noise(some_rows(labels), by_word)
    assert (noise.row_count, noise.total, noise.to_card()["of"]) == (40, 60, 60)
    assert find_label_noise(some_rows(labels), by_word) == noise
    monkeypatch.setattr(label_noise, "MAX_CHECKED_ROWS", 100)
    assert find_label_noise(some_rows(labels + ["bird"] * 3), by_word).total == 60


def test_a_copy_with_the_same_wrong_label_does_not_support_it() -> None:
    """Near-copies are judged together: doubling a wrong row does not make it right."""
    labels = ["dog", "cat"] * 30
    labels[8] = "cat"
    tickets = some_rows(labels)
    twice = replace(tickets, rows=(*tickets.rows, replace(tickets.rows[8], id="copy")))
    assert {suspect.row for suspect in find_label_noise(twice, by_word).suspects} == {8, 60}


def test_small_queues_are_left_unchecked() -> None:
    """Queues of under five rows are not judged; without two larger ones there is nothing to check."""
    labels = ["dog", "cat"] * 30 + ["bird"] * 3
    assert find_label_noise(some_rows(labels), by_word).row_count == 60
    with pytest.raises(DatasetError, match="two queues of 5"):
        find_label_noise(some_rows(["dog"] * 30 + ["cat"] * 3), by_word)


def test_the_same_seed_gives_the_same_suspects(spoilt: tuple[Tickets, set[int]]) -> None:
    """Deterministic, whatever the process did before."""
    tickets, _ = spoilt
    random_rows = np.random.default_rng(0).normal(size=(len(tickets), 16))
    first, second = (find_label_noise(tickets, lambda texts: random_rows[: len(texts)]) for _ in range(2))
    assert first == second
