"""The alarms of a model on duty: two that see what the other does not, the same whatever the looks, and few false ones."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.alarms import DOUBTED_WEALTH, Alarms
from finetune.evaluation.sequential_tests import (
    JUMPS,
    MAX_WEALTH,
    SIDES,
    RateTest,
    run_change_test,
    run_rate_test,
    state_to_json,
)

BEFORE = np.random.default_rng(3).beta(9, 1.5, 600).tolist()
Ticket = tuple[float, bool]


def after(events: Sequence[Ticket | bool], promise: float = 0.1) -> Alarms:
    """The alarms after these events: a ticket is a pair, a word on an answer is true or false."""
    alarms = Alarms.begin(promise, BEFORE)
    take_all(alarms, events)
    return alarms


def take_all(alarms: Alarms, events: Sequence[Ticket | bool]) -> None:
    """Bets on each."""
    for event in events:
        if isinstance(event, bool):
            alarms.add_check(event)
        else:
            alarms.add_ticket(*event)


def stream(count: int, error: float, confidences: np.ndarray | None = None) -> list[Ticket | bool]:
    """Tickets, few of them far, with people's word on every second one, wrong at a rate."""
    rng = np.random.default_rng(count)
    values = rng.beta(9, 1.5, count) if confidences is None else confidences
    events: list[Ticket | bool] = []
    for at in range(count):
        events.append((float(values[at]), bool(rng.random() > 0.04)))
        if at % 2 == 0:
            events.append(bool(rng.random() > error))
    return events


@st.composite
def streams(draw: st.DrawFn) -> list[Ticket | bool]:
    """Streams that change somewhere: errors, far tickets, confidences, or none of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, shift = draw(st.integers(0, 400)), draw(st.integers(0, 400))
    error, far, shape = (
        draw(st.sampled_from(values)) for values in ((0.05, 0.1, 0.5), (0.05, 0.4), (9.0, 3.0, 40.0))
    )
    events: list[Ticket | bool] = []
    for at in range(count):
        if rng.random() < 0.4:
            events.append(bool(rng.random() > (error if at >= shift else 0.05)))
        else:
            value = rng.beta(shape if at >= shift else 9.0, 1.5)
            events.append((float(value), bool(rng.random() > (far if at >= shift else 0.05))))
    return events


@settings(deadline=None, max_examples=60)
@given(streams(), st.lists(st.integers(0, 400), max_size=12))
def test_any_looks_give_the_alarm_of_the_whole_stream(events: list[Ticket | bool], cuts: list[int]) -> None:
    """Between two looks the bets lie in the ledger as JSON; the alarm, its words and all figures are those without any look."""
    alarms, rang_at = Alarms.begin(0.1, BEFORE), None
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    for begin, end in pairwise(edges):
        alarms = Alarms.from_json(json.loads(json.dumps(alarms.to_json(), allow_nan=False)))
        for at in range(begin, end):
            take_all(alarms, events[at : at + 1])
            rang_at = at if rang_at is None and alarms.alarm else rang_at
    assert alarms.to_json() == after(events).to_json()
    if rang_at is not None:
        assert after(events[: rang_at + 1]).alarm == alarms.alarm
        assert after(events[:rang_at]).alarm == ""


@given(st.lists(st.booleans(), max_size=300), st.sampled_from([0.02, 0.1, 0.5]))
def test_the_rate_tests_wealth_equals_the_explicit_sum(events: list[bool], rate: float) -> None:
    """Every start has its share of the wealth and multiplies it by the likelihood ratio of each event since."""
    test, largest = run_rate_test(events, rate), 1.0
    rates = [min(ratio * rate, (1 + rate) / 2) for ratio in (1.5, 2.5, 4.0)]
    parts: list[list[float]] = []
    for at, event in enumerate(events):
        if at % 5 == 0:
            parts.append([1 / ((at // 5 + 1) * (at // 5 + 2))] * 3)
        steps = [one / rate if event else (1 - one) / (1 - rate) for one in rates]
        parts = [[wealth * step for wealth, step in zip(part, steps, strict=True)] for part in parts]
        waiting = 1 - sum(1 / (n * (n + 1)) for n in range(1, len(parts) + 1))
        largest = max(largest, sum(map(sum, parts)) / 3 + waiting) if largest < MAX_WEALTH else largest
    assert test.largest == pytest.approx(largest, rel=1e-9)
    loud = events[len(events) - test.since :]
    assert test.part(0) == (sum(loud), len(loud))
    assert test.part(10)[1] >= min(10, len(events))


def test_confidences_in_steps_cost_no_evidence() -> None:
    """The wealth on log-odds in steps beside that on every digit: on the same draws, the same alarm at nearly the same ticket."""
    rng = np.random.default_rng(8)
    values = [*rng.beta(9, 1.5, 300), *rng.beta(5, 1.5, 200)]
    earlier, draws = sorted(BEFORE), np.random.default_rng(0).random(len(values))
    bets, exact = [1 / 3] * 3, []
    for value, draw in zip(values, draws, strict=True):
        low, high = bisect_left(earlier, value), bisect_right(earlier, value)
        rank = (low + draw * (high - low + 1)) / (len(earlier) + 1)
        insort(earlier, value)
        even = sum(bets) * JUMPS / 3
        bets = [
            (part * (1 - JUMPS) + even) * (1 + side * (rank - 0.5))
            for part, side in zip(bets, SIDES, strict=True)
        ]
        exact.append(sum(bets))
    ring = next(at for at, one in enumerate(exact) if one >= 200)
    step = next(
        at for at in range(len(values)) if run_change_test(BEFORE, values[: at + 1]).is_significant(1 / 200)
    )
    assert abs(ring - step) <= 5
    assert math.log(run_change_test(BEFORE, values).largest) == pytest.approx(math.log(max(exact)), abs=1.0)


def test_the_rate_tests_wealth_stays_finite() -> None:
    """50,000 wrong answers in a row are no infinity, which neither JSON nor PostgreSQL would take."""
    test = RateTest(0.1)
    for _ in range(50_000):
        test.update(True)
    assert math.isfinite(test.largest)
    assert json.loads(json.dumps(state_to_json(test), allow_nan=False)) == state_to_json(test)
    assert test.part(10) == (50_000, 50_000)


def test_labels_raise_the_alarm_where_confidences_show_no_change() -> None:
    """The same confidences, a third of the answers wrong."""
    loud = after(stream(300, 0.33))
    assert "promise is broken" in loud.alarm
    assert loud.is_of_labels
    assert after(stream(300, 0.05)).alarm == ""


def test_changed_tickets_ring_before_any_label() -> None:
    """Other confidences, or tickets near none of the training ones, without a single label."""
    other = [(float(value), True) for value in np.random.default_rng(1).beta(3, 3, 150)]
    assert "confidences" in after(other).alarm
    same = np.random.default_rng(2).beta(9, 1.5, 150)
    far = after([(float(value), at % 4 != 0) for at, value in enumerate(same)])
    assert "near none" in far.alarm
    assert not far.is_of_labels


def test_few_events_ring_no_alarm() -> None:
    """Whatever the first ones look like."""
    assert after(stream(12, 1.0)).alarm == ""


def test_a_changed_label_counts_as_if_it_were_the_first() -> None:
    """Four answers called wrong by mistake: with their words set right the bets are those of a model that was never wrong."""
    alarms = after([True] * 10 + [False] * 4)
    assert alarms.is_in_doubt
    alarms.recompute_checks([True] * 14)
    assert alarms.to_json() == after([True] * 14).to_json()
    assert not alarms.is_in_doubt


def test_a_warning_precedes_the_alarm_and_ends_by_itself() -> None:
    """Three wrong answers among few are a doubt and no alarm; right ones settle it. Other tickets are doubted long before they ring."""
    alarms = after([True] * 12 + [False] * 3)
    assert (alarms.is_in_doubt, alarms.alarm) == (True, "")
    take_all(alarms, [True] * 5)
    assert alarms.is_in_doubt, "it ends later than it begins, so that it does not flicker"
    take_all(alarms, [True] * 10)
    assert not alarms.is_in_doubt
    values = np.random.default_rng(1).beta(3, 3, 150)
    looks = [after([(float(one), True) for one in values[:at]]) for at in range(150)]
    first = next(look for look in looks if look.is_in_doubt)
    assert first.change.wealth >= DOUBTED_WEALTH
    assert first.change.count < next(look for look in looks if look.alarm).change.count


def test_alarms_are_false_in_few_streams_however_often_they_are_looked_at() -> None:
    """At the promised rate itself, and on confidences like those before, the largest wealth of 200 streams is significant in at most 5%."""
    rng = np.random.default_rng(5)
    rates = [run_rate_test((rng.random(400) < 0.1).tolist(), 0.1).is_significant(0.05) for _ in range(200)]
    changes = [
        run_change_test(rng.random(100).tolist(), rng.random(300).tolist(), seed).is_significant(0.05)
        for seed in range(200)
    ]
    assert sum(rates) <= 10
    assert sum(changes) <= 10


def test_a_change_after_a_long_quiet_time_is_seen_soon() -> None:
    """Wealth that was lost while nothing happened does not hold up the bets that start later."""
    rng = np.random.default_rng(6)
    quiet = (rng.random(300) < 0.04).tolist()
    test = run_rate_test([*quiet, *(rng.random(60) < 0.35).tolist()], 0.1)
    assert test.is_significant(0.02)
    assert 40 <= test.since <= 80
    before, changed = rng.random(100).tolist(), [*rng.random(300).tolist(), *(0.6 * rng.random(100)).tolist()]
    assert run_change_test(before, changed).is_significant(0.02)
