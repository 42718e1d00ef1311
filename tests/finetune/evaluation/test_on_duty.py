"""What a model on duty is judged by: random checks only, two alarms that see what the other does not, news in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finetune.evaluation.on_duty import Observation, alarm_of, checks_of, figures_of, new_words, recalibrate
from finetune.evaluation.repeated_looks import bet_on_change, bet_on_rate

RNG = np.random.default_rng(3)
BEFORE = RNG.beta(9, 1.5, 600)


def stream(
    count: int, error: float, confidences: np.ndarray | None = None, far: float = 0.04
) -> list[Observation]:
    """Answered tickets, every second one checked, wrong at a rate."""
    rng = np.random.default_rng(count)
    values = rng.beta(9, 1.5, count) if confidences is None else confidences
    return [
        Observation(float(values[at]), True, rng.random() > far, at % 2 == 0, bool(rng.random() > error))
        for at in range(count)
    ]


def test_only_random_checks_count_as_errors() -> None:
    """People's own corrections say nothing of the rate; an untouched ticket is not a confirmed one."""
    corrections = [Observation(0.9, True, True, False, False)] * 50
    others = [Observation(0.9, True, True, True, None)] * 50
    checks = [Observation(0.9, True, True, True, True)] * 40
    figures = figures_of([*corrections, *others, *checks], BEFORE, 0.1)
    assert (figures.tickets, figures.checks, figures.wrong) == (140, 40, 0)
    assert figures.error.high < 0.1


def test_a_late_label_comes_behind_those_that_were_bet_on() -> None:
    """People judge out of order: a bet holds over all looks only where what was looked at stays as it was."""
    rows = [
        Observation(0.9, True, True, True, at % 7 != 3, word_at=float((at * 31) % 60)) for at in range(60)
    ]
    order = sorted(rows, key=lambda one: one.word_at)
    for count in (20, 40, 60):
        by_now = [replace(one, right=one.right if one.word_at < count else None) for one in rows]
        assert checks_of(by_now) == [one.right for one in order[:count]]


def test_labels_ring_where_confidences_see_nothing() -> None:
    """The same confidences, a third of the answers wrong."""
    assert "promise is broken" in alarm_of(stream(300, 0.33), BEFORE, 0.1)
    assert alarm_of(stream(300, 0.05), BEFORE, 0.1) == ""


def test_changed_tickets_ring_before_any_label() -> None:
    """Other confidences, or tickets near none of the training ones, without a single label."""
    other = [Observation(float(value), True) for value in np.random.default_rng(1).beta(3, 3, 150)]
    assert "confidences" in alarm_of(other, BEFORE, 0.1)
    same = np.random.default_rng(2).beta(9, 1.5, 150)
    far = [Observation(float(value), True, is_near=at % 4 != 0) for at, value in enumerate(same)]
    assert "near none" in alarm_of(far, BEFORE, 0.1)


def test_few_tickets_ring_no_alarm() -> None:
    """Whatever the first ones look like."""
    assert alarm_of(stream(12, 1.0), BEFORE, 0.1) == ""


@pytest.mark.parametrize(("error", "answers"), [(0.0, True), (0.5, False)])
def test_the_threshold_is_set_anew_on_random_labels(error: float, answers: bool) -> None:
    """With enough of them; where no confidence is safe it abstains."""
    assert recalibrate(stream(100, error), 0.1) is None
    fresh = recalibrate(stream(400, error), 0.1)
    assert fresh is not None
    assert (fresh.value is not None) is answers


def test_news_are_told_in_their_own_words() -> None:
    """The words of the far tickets that the others hardly have."""
    far = ["Mahnung zur Rechnung erhalten", "die Mahnung ist falsch", "noch eine Mahnung bitte"]
    assert new_words(far, ["please reset my password", "where is my parcel"] * 20)[0] == "mahnung"
    assert new_words(far[:1], ["please reset my password"]) == []


def test_alarms_are_false_in_few_streams_however_often_they_are_looked_at() -> None:
    """At the promised rate itself, and on confidences like those before, the largest wealth of 200 streams rings in at most 5%."""
    rng = np.random.default_rng(5)
    rates = [bet_on_rate((rng.random(400) < 0.1).tolist(), 0.1).rings(0.05) for _ in range(200)]
    changes = [bet_on_change(rng.random(100), rng.random(300), seed).rings(0.05) for seed in range(200)]
    assert sum(rates) <= 10
    assert sum(changes) <= 10


def test_a_change_after_a_long_quiet_time_is_seen_soon() -> None:
    """Wealth that was lost while nothing happened does not hold up the bets that start later."""
    rng = np.random.default_rng(6)
    quiet = (rng.random(300) < 0.04).tolist()
    evidence = bet_on_rate([*quiet, *(rng.random(60) < 0.35).tolist()], 0.1)
    assert evidence.rings(0.02)
    assert 40 <= evidence.since <= 80
    assert bet_on_change(rng.random(100), [*rng.random(300), *(0.6 * rng.random(100))]).rings(0.02)
