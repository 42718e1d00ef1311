"""The business case: one function adds up all money, and the share that can be automatic keeps its promise."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation.risk_coverage import automatic_share, automatic_shares, rate_at_most
from finetune.measurement.business import Alternative, business_case, workload_of
from finetune.measurement.report import ways_to_run
from finetune.pricing import money
from finetune.reports.costs import CostPart, ServingPrice, Workload
from finetune.reports.parts import Interval
from tests.finetune.measurement.measuring import PRICES

NOTHING = Alternative("by hand, as today", "nothing", Interval(0.0, 0.0, 0.0))


def test_the_automatic_share_is_the_most_confident_part_that_keeps_the_error_rate() -> None:
    """Nine right, then every other one wrong: the first eleven keep one wrong in ten, the first nine one in twenty."""
    confidence = np.linspace(1, 0, 20)
    right = np.array([True] * 9 + [False] + [True, False] * 5)
    assert automatic_share(confidence, right, 0.1).value == pytest.approx(0.55)  # 1 of 11 is wrong
    assert automatic_share(confidence, right, 0.05).value == pytest.approx(0.45)
    assert automatic_share(confidence, ~np.ones(20, dtype=bool), 0.05).value == 0.0


def test_rows_of_one_confidence_stand_together() -> None:
    """No threshold parts equal confidences: all of them, or none."""
    right = np.array([True] * 8 + [False] * 2)
    assert automatic_share(np.ones(10), right, 0.1).value == 0.0
    assert automatic_share(np.ones(10), right, 0.2).value == 1.0


def test_the_interval_holds_the_share_on_other_rows() -> None:
    """Of 60 samples from one population the interval holds the population's share about 95 times in 100."""
    rng = np.random.default_rng(3)

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.uniform(0.3, 1, rows)
        return confidence, rng.uniform(size=rows) < confidence

    confidence, right = draw(60_000)
    wrong = np.cumsum(~right[np.argsort(-confidence)]) / np.arange(1, 60_001)
    truth = (np.flatnonzero(wrong <= 0.1).max() + 1) / 60_000
    intervals = [automatic_share(*draw(400), 0.1) for _ in range(60)]
    assert np.mean([one.low <= truth <= one.high for one in intervals]) >= 0.85


def test_a_lower_error_rate_never_answers_more() -> None:
    """Shares grow with the error rate; a rate between two that were measured takes the stricter one."""
    rng = np.random.default_rng(1)
    confidence = rng.uniform(size=300)
    shares = [one.value for one in automatic_shares(confidence, rng.uniform(size=300) < confidence).values()]
    assert shares == sorted(shares)
    assert rate_at_most(0.06) == "0.05"
    assert rate_at_most(0.001) == "0.01"


def test_no_bar_stands_for_what_was_not_measured() -> None:
    """Of the ways to run it only the small model, and the one prompt that was scored."""
    lines = business_case(
        Workload(3_000, 4.0, 30.0, 0.05),
        [
            NOTHING,
            Alternative("prompt a", "prompt", Interval(1.0, 1.0, 1.0), 3.0),
            Alternative("prompt b", "prompt", None, 9.0),
        ],
    )
    serving = [("prompt a", "api"), ("prompt b", "api"), ("small model", "cpu"), ("own 8B model", "gpu")]
    cost = CostPart(serving=tuple(ServingPrice(name, kind, 10.0) for name, kind in serving))
    assert [name for name, _ in ways_to_run(cost, lines)] == ["prompt a", "small model"]


def test_money_adds_up() -> None:
    """Net = time not spent by hand - wrong answers - running, for every line; the price per wrong answer counts."""
    work = Workload(3_000, 4.0, 30.0, 0.05, 2.0)
    linear = Alternative("linear", "trained", Interval(0.5, 0.45, 0.55), 73.0, 0.01)
    training = Alternative("fine-tune", "tuned", Interval(0.62, 0.58, 0.66), 73.0, 0.02)
    prompt = Alternative("prompt", "prompt", None, 0.14)
    case = business_case(work, [NOTHING, linear, training, prompt])
    for line in case.lines:
        assert line.net_usd == pytest.approx(line.handling_usd - line.wrong_usd - line.running_usd)
    assert case.lines[2].hours == pytest.approx(0.62 * 3_000 * 4 / 60)
    assert case.lines[2].wrong_usd == pytest.approx(0.62 * 3_000 * 0.05 * 2)
    assert case.best.name == "fine-tune"
    assert case.lines[0].net_usd == 0
    assert case.lines[2].break_even_months == pytest.approx(0.02 / case.lines[2].net_usd)
    assert "62% of the tickets could be answered automatically (58 to 66)" in case.part.sentence


def test_expensive_mistakes_reverse_the_business_case() -> None:
    """Where wrong answers cost more than they save, by hand stays the cheapest and says so."""
    training = Alternative("fine-tune", "tuned", Interval(0.62, 0.58, 0.66), 73.0, 0.02)
    case = business_case(Workload(3_000, 1.0, 30.0, 0.05, 50.0), [NOTHING, training])
    assert case.best.kind == "nothing"
    assert "nothing pays yet" in case.part.sentence


def test_what_was_not_asked_is_assumed_and_named() -> None:
    """Defaults come from the price table, each said."""
    work = workload_of(1_000, None, None, None, PRICES)
    assert len(work.assumed) == 4
    assert work.usd_by_hand == pytest.approx(0.25)
    assert workload_of(1_000, 3.0, 1.0, 0.1, PRICES).assumed == ("$30 an hour of work",)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (1234.0, "$1,234"),
        (3.4, "$3.40"),
        (0.75, "75 cents"),
        (0.01, "1 cent"),
        (0.002, "less than 1 cent"),
        (0, "0 cents"),
        (30, "$30"),
        (0.999, "$1.00"),
        (-0.5, "-50 cents"),
        (-1234.0, "-$1,234"),
    ],
)
def test_small_amounts_are_cents(usd: float, text: str) -> None:
    """Below a dollar in cents, never "$0"."""
    assert money(usd) == text
