"""Held-out rows are only ever scored: poisoning them changes no choice that the measurement makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.evaluation.baselines import LOGISTIC, ROLES, CheapMethods, score_baselines
from finetune.evaluation.learning_curve import sizes, slice_score
from finetune.evaluation.predictions import Predictions
from finetune.evaluation.sample import Sample, cut_rows
from finetune.measurement.findings import MeasureContext, Request
from finetune.measurement.run import Budget, Measurement
from finetune.progress import silent
from tests.finetune.measurement.measuring import PRICES, CountingEmbedder, sample_rows, tickets

pytestmark = pytest.mark.integration

Ladder = tuple[list[Predictions], Predictions]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return cut_rows(
        tickets(sample_rows()).rows, 7, CountingEmbedder(), silent(), tmp_path_factory.mktemp("s")
    )


@pytest.fixture(scope="module")
def decoy(clean: Sample) -> Sample:
    """The same sample, its held-out rows with other texts, embeddings and labels."""
    rng, test = np.random.default_rng(5), clean.once.test
    labels, features, rows = clean.labels.copy(), clean.features.copy(), list(clean.rows)
    labels[test] = rng.permutation(labels[test])
    features[test] = rng.permutation(features[test])
    for at in test:
        rows[at] = replace(rows[at], text="leak leak leak", label=clean.names[labels[at]])
    return replace(clean, labels=labels, features=features, rows=tuple(rows))


@pytest.fixture(scope="module")
def ladders(clean: Sample, decoy: Sample) -> list[Ladder]:
    """The cheap systems of both samples, each with the one that was chosen."""
    return [score_baselines(sample, CheapMethods(sample), "accuracy", silent()) for sample in (clean, decoy)]


def test_the_method_is_chosen_without_held_out_rows(
    clean: Sample, decoy: Sample, ladders: list[Ladder]
) -> None:
    """Choosing scores and the chosen system are the same to the last bit; only held-out scores move."""
    calls = []
    for sample, (systems, best) in zip((clean, decoy), ladders, strict=True):
        right = float((systems[-1].labels == sample.truth).mean())
        calls.append((best.name, [system.choosing_score for system in systems], right))
    assert calls[0][:2] == calls[1][:2]
    assert calls[0][2] > calls[1][2] + 0.2


@pytest.mark.parametrize("target", [0.6, 0.8, 0.99])
def test_whether_a_pilot_runs_is_decided_without_held_out_rows(
    target: float, clean: Sample, decoy: Sample, ladders: list[Ladder], tmp_path: Path
) -> None:
    """The gate of the pilot says the same thing; here without time, so that it only says it."""
    gates = []
    for sample, (_, best) in zip((clean, decoy), ladders, strict=True):
        context = MeasureContext(tmp_path, PRICES, lambda _: None, lambda: None)
        survey = Measurement(sample, Request(target), context, silent(), Budget(lambda: 0.0, 0.0), "", 0.01)
        gates.append(survey._pilot(CheapMethods(sample), best, best, ()))
    assert gates[0] == gates[1]
    assert gates[0][1] is not None


def test_the_pilots_models_never_see_held_out_rows(clean: Sample, decoy: Sample) -> None:
    """Trained on poisoned data, a slice predicts choosing rows exactly as before."""
    fold, share = clean.once, sizes(clean.train_rows)[2] / clean.train_rows
    for method in ROLES:
        before, after = (
            CheapMethods(sample).predict(method, fold, fold.dev, share, (7, 0, 0))
            for sample in (clean, decoy)
        )
        assert (before == after).all()


def test_nested_slices_grow_by_adding_rows(clean: Sample) -> None:
    """A slice of a seed is a prefix of the next: the score function is deterministic and the full size ignores
    the seed."""
    score = slice_score(clean, CheapMethods(clean), LOGISTIC, "accuracy", 7)
    assert score(100, 1) == score(100, 1)
    assert score(clean.train_rows, 0) == score(clean.train_rows, 1)


def test_the_curve_ends_in_the_methods_own_score(clean: Sample, ladders: list[Ladder]) -> None:
    """One implementation per method: the last point of the curve is the figure in the table of alternatives."""
    cheap = CheapMethods(clean)
    for system in ladders[0][0]:
        last = slice_score(clean, cheap, system.name, "accuracy", 7)(clean.train_rows, 0)
        assert last == float((system.labels == clean.truth).mean()), system.name


def test_no_row_is_in_two_parts_of_the_split(clean: Sample) -> None:
    """Training, choosing and held-out rows are disjoint and no text stands on two sides."""
    fold = clean.once
    sides = [set(map(int, side)) for side in (fold.train, fold.dev, fold.test)]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    texts = [{clean.rows[at].text for at in side} for side in sides]
    assert not (texts[0] & texts[2])
    assert not (texts[1] & texts[2])
