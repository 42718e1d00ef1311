"""Held-out rows are only ever scored: poisoning them changes no choice that the measurement makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.evaluation import baselines
from finetune.evaluation.baselines import Linear
from finetune.evaluation.sample import Sample, draw
from finetune.measurement.findings import Request
from finetune.measurement.pilot import sizes, slices
from finetune.measurement.run import _tuned
from finetune.progress import silent
from tests.finetune.measuring import CountingEmbedder, sample_rows, tickets


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return draw(tickets(sample_rows()), 7, CountingEmbedder(), silent(), tmp_path_factory.mktemp("s"), 270)


@pytest.fixture(scope="module")
def poisoned(clean: Sample) -> Sample:
    """The same sample, its held-out rows with other texts, embeddings and labels."""
    rng, test = np.random.default_rng(5), clean.folds[0].test
    labels, features, rows = clean.labels.copy(), clean.features.copy(), list(clean.rows)
    labels[test] = rng.permutation(labels[test])
    features[test] = rng.permutation(features[test])
    for at in test:
        rows[at] = replace(rows[at], text="leak leak leak", label=clean.names[labels[at]])
    return replace(clean, labels=labels, features=features, rows=tuple(rows))


def test_the_method_is_chosen_without_held_out_rows(clean: Sample, poisoned: Sample) -> None:
    """Choosing scores and the chosen rung are the same to the last bit; only held-out scores move."""
    seen = []
    for sample in (clean, poisoned):
        rungs, name = baselines.climb(sample, Linear(sample), "accuracy", silent())
        seen.append((name, [made.dev for made in rungs], rungs[-1].accuracy.value))
    assert seen[0][:2] == seen[1][:2]
    assert seen[0][2] > seen[1][2] + 0.2


@pytest.mark.parametrize("target", [0.6, 0.8, 0.99])
def test_whether_a_pilot_runs_is_decided_without_held_out_rows(
    target: float, clean: Sample, poisoned: Sample, tmp_path: Path
) -> None:
    """The LoRA pilot's gate says the same thing; here without time, so that it only says it."""
    told = []
    for sample in (clean, poisoned):
        linear = Linear(sample)
        rungs, name = baselines.climb(sample, linear, "accuracy", silent())
        best = next(made for made in rungs if made.name == name)
        request = Request(target, 0, None, "accuracy", 7)
        told.append(_tuned(sample, linear, best, name, 0.2, request, tmp_path, silent(), lambda: 0.0))
    assert told[0] == told[1]


def test_the_pilots_models_never_see_held_out_rows(clean: Sample, poisoned: Sample) -> None:
    """Trained on poisoned data, a pilot's slice predicts choosing rows exactly as before."""
    fold = clean.folds[0]
    size = sizes(clean.train_rows)[2]
    order = np.random.default_rng([7, 0, 0]).permutation(fold.train)[:size]
    for method in (baselines.NEAREST, baselines.LOGISTIC, baselines.WORDS_SVM):
        before, after = (
            Linear(sample).predict(method, fold, order, fold.dev) for sample in (clean, poisoned)
        )
        assert (before == after).all()


def test_nested_slices_grow_by_adding_rows(clean: Sample) -> None:
    """A slice of a seed is a prefix of the next: the score function is deterministic and the full size ignores
    the seed."""
    linear = Linear(clean)
    score = slices(clean, linear, baselines.LOGISTIC, "accuracy", 7)
    assert score(100, 1) == score(100, 1)
    assert score(clean.train_rows, 0) == score(clean.train_rows, 1)


def test_no_row_stands_on_two_sides(clean: Sample) -> None:
    """Training, choosing and held-out rows are disjoint and no text stands on two sides."""
    fold = clean.folds[0]
    sides = [set(map(int, side)) for side in (fold.train, fold.dev, fold.test)]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    texts = [{clean.rows[at].text for at in side} for side in sides]
    assert not (texts[0] & texts[2])
    assert not (texts[1] & texts[2])
