"""The card of a model on duty shows its outcome beside the forecast."""

from __future__ import annotations

import pytest

from bot.slack.duty_outcome import accuracy_line, hours_line
from finetune.evaluation.duty_monitoring import DutyFigures, Observation
from finetune.evaluation.statistics import wilson
from finetune.measurement.business import Alternative, business_case, workload_of
from finetune.reports.parts import Interval

WORK = workload_of(3_000, 4.0, None, 0.1, {"labelling": {"usd_per_hour": 30.0}})
TUNED = business_case(WORK, [Alternative("LoRA", "tuned", Interval(0.62, 0.58, 0.66))]).lines[0]
MONTH_S = 30 * 86_400.0


def figures(answers: int, checks: int, wrong: int) -> DutyFigures:
    return DutyFigures(answers + 20, answers, checks, wrong, wilson(wrong, checks))


def test_forecast_and_outcome_count_hours_the_same_way() -> None:
    """A month exactly as forecast shows the same hours for both, less the wrong answers."""
    answers = round(0.62 * 3_000)
    line = hours_line(figures(answers, 100, 0), WORK, TUNED, MONTH_S, is_live=True)
    assert f"saved {TUNED.hours:,.1f} so far" in line
    assert f"{TUNED.hours:,.0f} a month at this pace" in line
    assert f"forecast were {TUNED.hours:,.0f} for 3,000 tickets a month, 62% of them answered alone" in line


@pytest.mark.parametrize(("checks", "wrong", "hours"), [(100, 20, "2.7"), (0, 0, "3.0")])
def test_wrong_answers_save_nothing(checks: int, wrong: int, hours: str) -> None:
    """Checked answers give the error rate; without checks the line assumes the accepted rate and says so."""
    line = hours_line(figures(50, checks, wrong), WORK, None, MONTH_S, is_live=False)
    assert f"would have saved {hours} so far" in line
    assert ("if 10% of them are wrong" in line) == (not checks)
    assert "none were forecast" in line


def test_only_tickets_drawn_at_random_count_for_accuracy() -> None:
    """Corrections that people chose are a biased sample; with few checks there is no line."""
    random_rows = [Observation(0.9, True, is_audit=True, right=n % 4 != 0) for n in range(40)]
    picks = [Observation(0.9, True, right=False) for _ in range(40)]
    line = accuracy_line([*random_rows, *picks], 0.83)
    assert line.startswith("Accuracy: 75% (60% to 86%) of 40 tickets")
    assert "its report said 83%" in line
    assert accuracy_line(random_rows[:5], 0.83) == ""
    assert accuracy_line(random_rows, None) == ""
