"""The promised error rate: thresholds that keep it, and alarms that ring when it breaks and not before."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation.promise import (
    audit_share,
    exceeds_promise,
    loosest_threshold,
    sequence,
    threshold_with_reserve,
    upper_bound,
)


@pytest.mark.parametrize(("checks", "percent"), [(75, 3.9), (150, 2.0), (300, 1.0)])
def test_no_mistake_among_few_proves_little(checks: int, percent: float) -> None:
    """The exact bounds of 0 mistakes."""
    assert round(100 * upper_bound(0, checks), 1) == percent


def test_the_loosest_confidence_under_the_promise_is_taken() -> None:
    """208 right above 0.5 and 100 wrong below: everything above is answered, and nothing below."""
    confidence = np.concatenate([np.linspace(0.5, 1, 208), np.linspace(0.1, 0.4, 100)])
    right = np.arange(308) < 208
    limit = loosest_threshold(confidence, right, 0.05)
    assert limit.value is not None
    assert limit.admits(0.5)
    assert not limit.admits(0.2)
    assert limit.upper < 0.05


def test_without_a_safe_confidence_it_abstains_and_says_so() -> None:
    """Too few rows, or mistakes at the very top: no answer stands alone."""
    few = loosest_threshold(np.ones(10), np.ones(10, dtype=bool), 0.05)
    wrong = loosest_threshold(np.linspace(0, 1, 500), np.arange(500) % 2 == 0, 0.05)
    for limit in (few, wrong, loosest_threshold(np.zeros(0), np.zeros(0), 0.05)):
        assert limit.value is None
        assert not limit.admits(1.0)
    assert "abstains on everything" in few.describe(0.05)


def test_equal_confidences_are_answered_together() -> None:
    """A threshold cannot part rows of one confidence: 300 equal ones with 100 mistakes are not answered."""
    assert loosest_threshold(np.ones(300), np.arange(300) % 3 != 0, 0.1).value is None


def test_the_promise_is_kept_on_new_tickets() -> None:
    """With calibrated confidences, fresh tickets above the threshold break the promise in few of 200 draws."""
    rng = np.random.default_rng(0)
    breaks = 0
    for _ in range(200):
        confidence, new = rng.uniform(0.3, 1, 400), rng.uniform(0.3, 1, 4000)
        limit = loosest_threshold(confidence, rng.uniform(size=400) < confidence, 0.1)
        if limit.value is not None:
            answers = new[new >= limit.value]
            breaks += float((1 - answers).mean()) > 0.1
    assert breaks <= 20


def test_a_threshold_is_not_picked_by_luck() -> None:
    """Confidences that tell nothing and 11% wrong: any threshold breaks a promise of 10%, and at most 5% of 400 draws set one.

    Taking the loosest of all that pass set one in 11% of them.
    """
    rng = np.random.default_rng(3)
    limits = (loosest_threshold(rng.uniform(size=400), rng.uniform(size=400) < 0.89, 0.1) for _ in range(400))
    assert np.mean([limit.value is not None for limit in limits]) <= 0.05


def test_the_first_failure_ends_the_sequence() -> None:
    """Many mistakes among the surest are not made good by right answers below them, and the sequence knows no answer."""
    right = np.concatenate([np.arange(70) % 7 != 0, np.ones(430, dtype=bool)])
    assert loosest_threshold(np.linspace(1, 0, 500), right, 0.1).value is None
    assert sequence(75, 0.1).tolist() == [29, 46, 61, 75]
    assert sequence(200, 0.1)[0] == 61
    assert sequence(20, 0.1).tolist() == [20]


def test_labels_raise_the_alarm_when_the_promise_is_broken_and_rarely_before() -> None:
    """20 wrong of 75 ring at a promise of 10%, 8 do not; a kept promise rings at most once in a hundred."""
    assert exceeds_promise(20, 75, 0.1)
    assert not exceeds_promise(8, 75, 0.1)
    assert not exceeds_promise(0, 0, 0.1)
    rng = np.random.default_rng(1)
    assert np.mean([exceeds_promise(int(wrong), 75, 0.1) for wrong in rng.binomial(75, 0.1, 2000)]) <= 0.015


def test_enough_answers_are_shown_to_people() -> None:
    """5% of many, at least 75 a month for a promise of 10%, all of few."""
    assert audit_share(10_000, 0.1) == 0.05
    assert audit_share(1_500, 0.1) == pytest.approx(0.1)
    assert audit_share(40, 0.1) == 1.0
    assert audit_share(3_000, 0.05) == pytest.approx(0.1)


def test_a_reserve_is_kept_where_a_threshold_keeps_it_and_given_up_where_none_does() -> None:
    """2 late mistakes of 120 rows: half of 10% is kept by the 93 surest rows, a fifth by none, and then the whole counts."""
    confidence, right = np.linspace(1.0, 0.5, 120), np.ones(120, dtype=bool)
    right[[100, 110]] = False
    whole = loosest_threshold(confidence, right, 0.1)
    assert whole.answers == 120
    assert threshold_with_reserve(confidence, right, 0.1, 0.5).answers == 93
    assert threshold_with_reserve(confidence, right, 0.1, 0.8) == whole
