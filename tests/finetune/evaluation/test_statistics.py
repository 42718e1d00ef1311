"""Figures with their uncertainty: known answers, one method for interval and p-value, a headline that agrees."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.metrics import frequent_confusions, overfitting, per_class, still_falling
from finetune.evaluation.statistics import (
    PairedGap,
    bootstrap,
    calibration_error,
    carried,
    macro_f1_statistic,
    mean_statistic,
    paired_gap,
    paired_means,
    resample_counts,
    rows_to_settle,
    tango,
    wilson,
)
from finetune.evaluation.verdict import judge, judge_replies, worth
from finetune.reports.parts import Confusion, CrossValidation, Interval, LossPoint, Score, SystemLine

NEIGHBOUR = SystemLine("Nearest neighbour", scores={"accuracy": Score(0.9)})


def two_systems(only_tuned: int, only_baseline: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong per row of a tuned system and a baseline that differ on so many rows."""
    model, baseline = np.zeros(rows, bool), np.zeros(rows, bool)
    model[:only_tuned] = True
    baseline[only_tuned : only_tuned + only_baseline] = True
    return model, baseline


def verdict(result: PairedGap, rows: int = 200) -> str:
    """What the headline says about a comparison whose scores are 90% and something."""
    return judge(NEIGHBOUR, replace(NEIGHBOUR, name="Tuned"), result, rows).worth_it


def test_the_paired_interval_is_the_published_one():
    """Tango's interval for 1 against 7 of 21 pairs is -0.517 to -0.026 (Fagerland, Lydersen, Laake 2014)."""
    interval = tango(1, 7, 21)
    assert (interval.low, interval.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 300))
def test_interval_and_p_value_never_contradict_each_other(only_tuned, only_baseline, others):
    """The interval leaves out 0 exactly when p is below 5%: the report cannot say both yes and perhaps."""
    rows = only_tuned + only_baseline + others
    if rows == 0:
        return
    result = paired_gap(*two_systems(only_tuned, only_baseline, rows))
    gap = result.difference
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    if abs(result.p - 0.05) > 1e-6:
        assert (result.p < 0.05) == (gap.low > 0 or gap.high < 0)


def test_equal_systems_differ_by_nothing_for_sure():
    """No row apart: p is 1 and 0 lies inside."""
    result = paired_gap(*two_systems(0, 0, 50))
    assert result.p == 1
    assert result.difference.low < 0 < result.difference.high


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.03, 0.003, 0.06, "yes"),
        (0.03, -0.001, 0.06, "unclear"),
        (0.005, 0.001, 0.009, "no"),  # surely better, surely by less than pays
        (0.008, 0.001, 0.015, "no"),  # surely better, likely by less than pays
        (-0.03, -0.06, -0.002, "no"),
        (0.0, -0.008, 0.008, "no"),
        (-0.01, -0.04, 0.02, "unclear"),
    ],
)
def test_the_headline_follows_the_interval_alone(value, low, high, expected):
    """One interval decides; the p-value, whatever it is, has no second say."""
    for p in (0.001, 0.9):
        assert verdict(PairedGap(Interval(value, low, high), p, 20, 10)) == expected


@pytest.mark.parametrize("gap", [(0.03, 0.003, 0.06), (0.005, 0.001, 0.009), (-0.01, -0.04, 0.02)])
def test_a_measurement_and_a_job_ask_the_same_function(gap):
    """The word on a gain is one: `worth` alone, whatever report it stands in."""
    result = PairedGap(Interval(*gap), 0.5, 20, 10)
    assert verdict(result) == worth(Interval(*gap))


def test_what_was_tested_on_one_fold_is_told_as_expected_on_all():
    """30 tickets of 150: the rival's figure is that of all folds, ours is it plus the gain on the 30."""
    result = PairedGap(Interval(0.1, 0.02, 0.2), 0.01, 4, 1)
    folds = CrossValidation(150, 5, {"accuracy": Score(0.7, 0.63, 0.77)})
    best = replace(NEIGHBOUR, cross_validated=folds)
    ours = replace(NEIGHBOUR, scores={"accuracy": Score(1.0)}, expected=Score(0.8, 0.68, 0.92))
    headline = judge(best, ours, result, 30).headline
    assert headline.startswith("Worth it: 80 of 100 new tickets")
    assert "gets 70. Tested on 30 tickets" in headline
    assert headline.endswith("today's cheap method on all 150.")
    interval = carried(folds.scores["accuracy"].interval, result.difference)
    assert interval.value == pytest.approx(0.8)
    assert interval.low < 0.8 - result.difference.half_width


def test_cannot_tell_names_the_rows_it_would_take():
    """The person learns how many held-out tickets would settle it, rounded up to two digits."""
    result = paired_gap(*two_systems(6, 4, 200))
    sentence = judge(NEIGHBOUR, NEIGHBOUR, result, 200).headline
    assert sentence.startswith("Cannot tell with 200 held-out tickets")
    assert "It would take about 4,000" in sentence


@pytest.mark.parametrize(
    ("gap", "worth_it", "sentence"),
    [
        (
            (0.05, 0.02, 0.08),
            "yes",
            "Worth it: the trained model comes closer to what your team wrote than the answer",
        ),
        (
            (-0.05, -0.08, -0.02),
            "no",
            "Not worth it: the answer to the most similar past ticket comes closer",
        ),
        ((0.002, -0.004, 0.008), "no", "Not worth it: the trained model is hardly closer"),
        ((0.02, -0.01, 0.05), "unclear", "It would take about 920 to tell a difference of 2.0 points."),
    ],
)
def test_the_verdict_on_replies_names_what_won_in_plain_words(gap, worth_it, sentence):
    """A manager reads who came closer to the real answers; the rows to settle it follow from the interval's width."""
    result = paired_means(np.zeros(2), np.zeros(2), resample_counts(2, 0))
    result = replace(result, difference=Interval(*gap))
    verdict = judge_replies("Nearest past answer", 0.2 + gap[0], 0.2, result, 200)
    assert verdict.worth_it == worth_it
    assert sentence in verdict.headline


def test_a_mean_s_rows_to_settle_find_its_difference_four_times_in_five():
    """Simulated at the size that the verdict on replies promises, the paired interval leaves out 0 in about 80%."""
    rng = np.random.default_rng(11)
    counts = resample_counts(100, 0, 500)
    first = paired_means(rng.normal(0.019, 0.1, 100), np.zeros(100), counts)
    first = replace(
        first, difference=Interval(0.019, -0.0006, 0.0386)
    )  # of the true spread, not of this draw
    sentence = judge_replies("Nearest past answer", 0.22, 0.2, first, 100)
    rows = int(re.search(r"about (\d+)", sentence.headline).group(1))
    again = resample_counts(rows, 0, 500)
    hits = [
        paired_means(rng.normal(0.019, 0.1, rows), np.zeros(rows), again).difference.low > 0
        for _ in range(200)
    ]
    assert 0.72 < np.mean(hits) < 0.9


def test_a_loss_that_still_falls_at_the_end_is_said():
    """The last epoch lowered it: more may help. Flat, risen or a single epoch: nothing to say."""

    def course(*losses):
        return [LossPoint(at, 1.0, loss) for at, loss in enumerate(losses)]

    assert "loss 3.60 to 3.40 in the last epoch" in str(still_falling(course(4.0, 3.6, 3.4)))
    assert (
        still_falling(course(3.6, 3.59))
        is still_falling(course(3.4, 3.6))
        is still_falling(course(3.4))
        is None
    )


def test_rows_to_settle_finds_its_difference_four_times_in_five():
    """Simulated at the promised size, McNemar's test sees the difference in about 80% of draws."""
    rows = rows_to_settle(0.03, 0.10)
    assert rows is not None
    rng = np.random.default_rng(3)
    samples = rng.multinomial(rows, [0.065, 0.035, 0.90], size=400)
    share = np.mean([paired_gap(*two_systems(b, c, rows)).p < 0.05 for b, c, _ in samples])
    assert 0.74 < share < 0.86


def test_bootstrap_covers_what_it_promises():
    """About 95 of 100 intervals for a share hold the true one."""
    rng = np.random.default_rng(5)
    counts = resample_counts(300, seed=1, resamples=500)
    hits = [
        interval.low <= 0.8 <= interval.high
        for interval in (bootstrap(counts, mean_statistic(rng.random(300) < 0.8)) for _ in range(200))
    ]
    assert np.mean(hits) > 0.9


def test_macro_f1_is_scikit_learns():
    """The same figure as the library everybody checks against, unseen classes included."""
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 6, 200), rng.integers(0, 5, 200)
    ours = macro_f1_statistic(truth, prediction, 9)(np.ones((1, 200), np.float32))[0]
    assert ours == pytest.approx(f1_score(truth, prediction, average="macro"), abs=1e-6)


def test_unequal_written_answers_are_told_apart():
    """A shift of every score by more than its noise has an interval above 0 and a small p."""
    rng = np.random.default_rng(2)
    base = rng.random(200)
    result = paired_means(base + 0.05 + 0.05 * rng.standard_normal(200), base, resample_counts(200, 1))
    assert result.difference.low > 0
    assert result.p < 0.05


def test_calibration_error_of_calibrated_and_overconfident_scores():
    """Confidence 0.75 and right three times in four costs nothing; confidence 1 costs 0.25."""
    right = np.tile([True, True, True, False], 50)
    assert calibration_error(np.full(200, 0.75), right) == pytest.approx(0)
    assert calibration_error(np.full(200, 1.0), right) == pytest.approx(0.25)


def test_wilson_is_textbook():
    """8 of 10 is 49.0% to 94.3%; nothing tried is anything at all."""
    interval = wilson(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_weakest_class_and_commonest_mistake_come_first():
    """A person reads the top of a list: that is where the trouble must stand."""
    truth, prediction = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 1, 0])
    names = ["billing", "login", "other"]
    assert per_class(truth, prediction, names)[0].name == "other"
    first = frequent_confusions(truth, prediction, names, list("abcdef"))[0]
    assert first == Confusion("billing", "login", 2, "c")


def test_overfitting_is_named_when_the_curves_part():
    """Validation loss up while training loss falls is said; a curve still falling is not called that."""

    def curve(val: list[float]) -> list[LossPoint]:
        at = {10 * (epoch + 1): loss for epoch, loss in enumerate(val)}
        return [LossPoint(step, 1 / step, at.get(step)) for step in range(1, 31)]

    sentence = overfitting(curve([0.5, 0.6, 0.9]))
    assert sentence is not None
    assert "after step 10" in sentence
    assert overfitting(curve([0.9, 0.6, 0.5])) is None


@pytest.mark.parametrize("rows", [10, 60, 400])
def test_no_error_is_no_certainty(rows: int) -> None:
    """K28: where every row is right, or none, resampling knows nothing; Wilson's interval is told."""
    from finetune.evaluation.statistics import bootstrap, mean_statistic, resample_counts, wilson

    counts = resample_counts(rows, 1)
    right = bootstrap(counts, mean_statistic(np.ones(rows)))
    assert (right.low, right.high) == (wilson(rows, rows).low, wilson(rows, rows).high)
    assert 0.5 < right.low < 1
    assert bootstrap(counts, mean_statistic(np.zeros(rows))).high > 0
