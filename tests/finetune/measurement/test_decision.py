"""The decision, from every kind of measurement: one choice, one sentence, one figure; pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluation.forecast import Forecast, ForecastPoint
from finetune.measurement.decision import Figures, TrainedModel, decide
from finetune.reports.parts import Interval

ORDER = ("enough", "train", "more_data", "cannot_tell", "undecided", "out_of_reach", "not_worth_it")


def ahead(rows: int, value: float, half: float = 0.015, times: float = 2.0) -> ForecastPoint:
    low, high = max(0.0, value - half), min(1.0, value + half)
    return ForecastPoint(rows, times, value, low, high, low, high, "number")


def measurement(target: float, best: float = 0.88, **more: object) -> Figures:
    fields = {"more": Forecast((ahead(2_000, 0.9), ahead(4_000, 0.92, times=4.0)), None, "rising"), **more}
    return Figures(target, "Linear SVM", best, best - 0.02, best + 0.02, 1_000, 500, 0.1, **fields)  # type: ignore[arg-type]


def test_a_met_target_is_enough() -> None:
    """No training is recommended where a cheap method does."""
    decision = decide(measurement(0.85))
    assert decision.choice == "enough"
    assert decision.headline.startswith("No training needed: with today's cheap method 88 of 100 new tickets")
    assert decision.meets == "small_model"


def test_a_thin_margin_is_told() -> None:
    """Met, but the interval reaches below the target: the sentence says so."""
    assert "thin" in decide(measurement(0.875)).headline
    assert "thin" not in decide(measurement(0.85)).headline


def test_labels_that_say_nothing_end_the_matter() -> None:
    """Shuffled labels: nothing to learn, even if the target is met by the largest class."""
    decision = decide(measurement(0.5, p_chance=0.4))
    assert decision.choice == "not_worth_it"
    assert "nothing to learn" in decision.headline


def test_a_fine_tune_that_meets_the_target_is_recommended_with_gain_price_and_time() -> None:
    """Train: expected score with band, points gained, dollars, time."""
    decision = decide(measurement(0.92, finetune=ahead(1_000, 0.94), training_usd=0.4, training_hours=0.5))
    assert decision.choice == "train"
    assert decision.headline.startswith(
        "Train: 94 of 100 new tickets would go to the right queue; today's cheap method"
    )
    assert "gets 88" in decision.headline
    assert "+6.0 points" in decision.headline
    assert "40 cents" in decision.headline
    assert "30 min" in decision.headline


def test_a_gain_that_leaves_less_money_is_not_worth_it() -> None:
    """The money decides where it was named, and only where even the best case leaves less."""
    model, decisions = {"finetune": ahead(1_000, 0.94)}, []
    for usd, at_most in ((-90.0, -63.0), (-10.0, 40.0), (500.0, 800.0)):
        figures = measurement(0.92, **model, extra_usd=usd, extra_usd_at_most=at_most)
        decisions.append(decide(figures))
    poor, unsure, rich = decisions
    assert poor.choice == "not_worth_it"
    assert poor.deciding_figure.value == -63.0
    assert "$63 a month less" in poor.headline
    assert (unsure.choice, rich.choice) == ("train", "train")


@pytest.mark.parametrize(("low", "choice"), [(0.004, "out_of_reach"), (-0.004, "not_worth_it")])
def test_a_gain_is_certain_where_the_jobs_verdict_says_so(low: float, choice: str) -> None:
    """A fine-tune on all rows was measured: its paired interval alone says whether it gains, as in the job's report."""
    gain = Interval(0.03, low, 0.06)
    figures = measurement(0.99, finetune=ahead(1_000, 0.91), whole_gain=gain)
    decision = decide(figures)
    assert decision.choice == choice
    assert ("no gain for certain" in decision.headline) == (low < 0)


@pytest.mark.parametrize(
    ("gain", "choice", "words"),
    [
        (Interval(0.03, 0.01, 0.05), "train", "+3.0 points for"),
        (
            Interval(0.03, -0.01, 0.07),
            "train",
            "+3.0 points, which may be chance on 500 held-out tickets, for",
        ),
        (Interval(0.008, 0.001, 0.015), "cannot_tell", "+0.8 points (+0.1 to +1.5): hardly a gain"),
    ],
)
def test_a_target_that_is_met_is_told_as_the_jobs_report_will_tell_the_gain(
    gain: Interval, choice: str, words: str
) -> None:
    """Nobody is sent to train what the job's own report then calls chance or not worth it, unwarned."""
    value = 0.88 + gain.value
    figures = measurement(value - 0.005, finetune=ahead(1_000, value, times=1.0), whole_gain=gain)
    decision = decide(figures)
    assert decision.choice == choice
    assert words in decision.headline


def test_the_first_two_sentences_hold_both_facts() -> None:
    """Out of reach, and what training brings and costs anyway: a reader who stops there decides right."""
    gain = Interval(0.03, 0.01, 0.05)
    figures = measurement(0.99, finetune=ahead(1_000, 0.91), whole_gain=gain, training_usd=0.02)
    headline = decide(figures).headline
    first_two = " ".join(headline.split(". ")[:2])
    for fact in ("target of 99 of 100 is out of reach", "+3.0 points", "91 of 100", "gets 88", "2 cents"):
        assert fact in first_two


def test_more_rows_that_would_do_are_asked_for_first() -> None:
    """The smallest size ahead that meets the target, as rows to label, with the classes that need them."""
    decision = decide(measurement(0.895, weak_classes=("refund", "login")))
    assert decision.choice == "more_data"
    assert decision.rows_to_label == 1_000
    assert "refund" in decision.next_step


def test_a_certain_gain_is_told_where_more_tickets_are_asked_for() -> None:
    """Labelling is for the target; what training brings today, and its price, stands in title, headline and next step."""
    gain = Interval(0.04, 0.02, 0.06)
    model = {"finetune": ahead(1_000, 0.92), "whole_gain": gain, "training_usd": 0.02, "training_hours": 0.1}
    ahead_of = {"more": Forecast((ahead(2_000, 0.97),), None)}
    decision = decide(measurement(0.955, **model, **ahead_of))
    assert decision.choice == "more_data"
    assert decision.title == "Label more tickets; training brings +4 points already"
    assert "brings +4.0 points (92 of 100) already, for 2 cents" in decision.headline
    assert "before paying" not in decision.headline
    assert decision.next_step.startswith("Train for 92.0% now, and label 1,000 tickets")


@pytest.mark.parametrize(("target", "today", "words"), [(0.775, 0.77, "77.5"), (0.78, 0.76, "78")])
def test_a_target_is_told_as_the_person_named_it(target: float, today: float, words: str) -> None:
    """A rounded target would read as met where it is missed: 77.5 is never told as 78."""
    headline = decide(measurement(target, today, finetune=ahead(1_000, target - 0.002))).headline
    assert f"your target is {words}." in headline or f"your target of {words}" in headline
    assert f"({100 * (target - 0.002):.1f} of 100)" in headline


def test_a_target_above_everything_is_out_of_reach() -> None:
    """Not worth it: the best that could be expected, and the target that would be met."""
    decision = decide(measurement(0.97))
    assert decision.choice == "not_worth_it"
    assert "out of reach" in decision.headline
    assert "the most that is expected is 92.0" in decision.headline


def test_an_unlikely_target_is_told_with_its_odds() -> None:
    """Inside the band, but below even odds: unlikely, not impossible."""
    decision = decide(measurement(0.925))
    assert decision.choice == "not_worth_it"
    assert "is unlikely" in decision.headline
    assert "1 in 3" in decision.headline
    assert decision.title == "Training is not worth it: target unlikely"


def test_about_even_odds_are_called_a_bet() -> None:
    """Nobody is told that even odds are unlikely: it is a bet, and still not worth paying for."""
    decision = next(
        decision
        for target in range(9000, 9250)
        if "even odds" in (decision := decide(measurement(target / 1e4))).headline
    )
    assert decision.choice == "not_worth_it"
    assert "is a bet (about even odds)" in decision.headline
    assert decision.title == "Training is not worth it: the target is a bet"


def test_a_refused_forecast_is_no_verdict() -> None:
    """Without a forecast it cannot tell, and says why."""
    decision = decide(measurement(0.95, more=Forecast((), "Only 3 sizes were measured.")))
    assert decision.choice == "cannot_tell"
    assert "Only 3 sizes" in decision.headline


def test_an_arm_that_was_not_measured_leaves_it_undecided() -> None:
    """Rule 1: whatever the target above today's score, a missing pilot ends in no verdict, but in its minutes."""
    for target in (0.89, 0.9, 0.92, 0.97, 1.0):
        decision = decide(measurement(target, missing_minutes=4.2))
        assert decision.choice == "undecided"
        assert decision.pilot_minutes == 4.2
        assert "a pilot of about 4 minutes is missing" in decision.headline
        assert not any(word in decision.headline.lower() for word in ("worth", "out of reach", "enough"))
        assert decision.meets is None
    assert decide(measurement(0.85, missing_minutes=4.2)).choice == "enough"
    assert decide(measurement(0.97, p_chance=0.4, missing_minutes=4.2)).choice == "undecided"


def test_a_gain_below_the_target_gets_two_sentences() -> None:
    """Rule 5: out of reach of 97, and +4 points for a price: both before the second full stop."""
    decision = decide(
        measurement(0.97, finetune=ahead(1_000, 0.92, times=1.0), training_usd=0.02, training_hours=0.1)
    )
    assert decision.choice == "out_of_reach"
    first = ". ".join(decision.headline.split(". ")[:2])
    assert "97 of 100 is out of reach" in first
    assert "+4.0 points" in first
    assert "2 cents" in first
    assert "92 of 100 new tickets would go to the right queue; today's cheap method gets 88" in first
    assert decision.title == "Target out of reach, but training brings +4 points"
    assert decision.meets is None


def test_a_model_that_a_job_left_is_in_hand() -> None:
    """Rule 2: a finished model that meets the target is enough, with nothing more to train."""
    model = TrainedModel("ab12", "Tuned with LoRA", 0.93)
    decision = decide(measurement(0.92, finetune=ahead(1_000, 0.93, times=1.0), trained_model=model))
    assert decision.choice == "enough"
    assert decision.headline.startswith("You have it: with the model of job ab12 93 of 100 new tickets")
    assert decision.meets == "fine_tune"


SHARES = st.floats(0.01, 1.0)


@given(
    target=SHARES,
    best=SHARES,
    value=SHARES,
    pilot=st.none() | SHARES,
    job=st.none() | st.floats(-1e6, 1e6),
    p=st.floats(0, 1),
)
def test_every_measurement_gets_one_sentence(
    target: float, best: float, value: float, pilot: float | None, job: float | None, p: float
) -> None:
    """Total: any figures give a choice, a headline that ends, a figure and a next step."""
    decision = decide(
        measurement(
            target,
            best,
            more=Forecast((ahead(2_000, value),), None),
            finetune=ahead(1_000, pilot) if pilot else None,
            extra_usd=job,
            extra_usd_at_most=job,
            p_chance=p,
        )
    )
    assert decision.choice in ORDER
    assert decision.headline.rstrip().endswith((".", "training."))
    assert decision.next_step
    assert decision.would_change


@pytest.mark.parametrize("pilot", [None, 0.91])
def test_a_higher_target_never_gets_a_better_verdict(pilot: float | None) -> None:
    """From enough over train and more data to not worth it, as the target rises."""
    ranks = [
        ORDER.index(decide(measurement(target / 200, finetune=ahead(1_000, pilot) if pilot else None)).choice)
        for target in range(100, 200)
    ]
    assert ranks == sorted(ranks)
