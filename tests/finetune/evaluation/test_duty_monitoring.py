"""What a model on duty is judged by: random checks only, a threshold on fresh labels, news in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finetune.evaluation.duty_monitoring import Observation, checks_of, figures_of, new_words, recalibrate


def stream(count: int, error: float) -> list[Observation]:
    """Answered tickets, every second one checked, wrong at a rate."""
    rng = np.random.default_rng(count)
    values = rng.beta(9, 1.5, count)
    return [
        Observation(float(values[at]), True, rng.random() > 0.04, at % 2 == 0, bool(rng.random() > error))
        for at in range(count)
    ]


def test_only_random_checks_count_as_errors() -> None:
    """People's own corrections say nothing of the rate; an untouched ticket is not a confirmed one."""
    corrections = [Observation(0.9, True, True, False, False)] * 50
    others = [Observation(0.9, True, True, True, None)] * 50
    checks = [Observation(0.9, True, True, True, True)] * 40
    figures = figures_of([*corrections, *others, *checks])
    assert (figures.tickets, figures.checks, figures.wrong) == (140, 40, 0)
    assert figures.error.high < 0.1


def test_a_late_label_is_counted_after_earlier_ones() -> None:
    """People judge out of order: a bet holds over all looks only where what was looked at stays as it was."""
    rows = [
        Observation(0.9, True, True, True, at % 7 != 3, word_at=float((at * 31) % 60)) for at in range(60)
    ]
    order = sorted(rows, key=lambda one: one.word_at)
    for count in (20, 40, 60):
        by_now = [replace(one, right=one.right if one.word_at < count else None) for one in rows]
        assert checks_of(by_now) == [one.right for one in order[:count]]


@pytest.mark.parametrize(("error", "answers"), [(0.0, True), (0.5, False)])
def test_the_threshold_is_set_anew_on_random_labels(error: float, answers: bool) -> None:
    """With enough of them; where no confidence is safe it abstains."""
    assert recalibrate(stream(100, error), 0.1) is None
    fresh = recalibrate(stream(400, error), 0.1)
    assert fresh is not None
    assert (fresh.value is not None) is answers


def test_each_kind_of_event_has_its_own_message() -> None:
    """The words of the far tickets that the others hardly have."""
    far = ["Mahnung zur Rechnung erhalten", "die Mahnung ist falsch", "noch eine Mahnung bitte"]
    assert new_words(far, ["please reset my password", "where is my parcel"] * 20)[0] == "mahnung"
    assert new_words(far[:1], ["please reset my password"]) == []
