"""Reports as values: what a job wrote is read back, older and odd ones too; one page says what is known of a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.reports import FinetuneReport, MeasurementReport, TrialReport, outcome, read_report
from finetune.reports.history import FinishedJob, history_of, target_line

STORED = Path(__file__).parent / "stored"


def line(name: str, accuracy: float, role: str = "trained", **more: Any) -> dict[str, Any]:
    band = {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
    return {"name": name, "role": role, "accuracy": band, **more}


def measurement(target: float, digest: str = "d1", **more: Any) -> dict[str, Any]:
    """The report of a measurement whose cheap method scores 75%."""
    return {
        "kind": "measure",
        "headline": "Not decided yet: a pilot of about 3 minutes is missing.",
        "decision": "undecided",
        "target": target,
        "ladder": [line("Linear SVM", 0.75, best=True)],
        "pilot": [{"rows": 50, "seed": seed, "score": 0.5 + 0.1 * seed} for seed in (0, 1)],
        "dataset": {"digest": digest, "rows": 700},
        **more,
    }


def fine_tune(accuracy: float, digest: str = "d1") -> dict[str, Any]:
    """The report of a LoRA job."""
    return {
        "kind": "finetune",
        "headline": "Worth it: 83% against 75%.",
        "worth_it": "yes",
        "systems": [line("Linear SVM", 0.75), line("Tuned with LoRA", accuracy, "tuned")],
        "difference": {"against": "Linear SVM", "points": 100 * (accuracy - 0.75)},
        "dataset": {"digest": digest, "rows": 700},
        "spec": {"base_model": "minilm"},
        "cost": {"usd": 0.02, "basis": "60 s at $1 an hour"},
    }


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where JSON that was written again lacks or changes what the old one says; nothing said is no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        values = {name: value for name, value in old.items() if value not in (None, "")}
        return [
            one for name, value in values.items() for one in differences(value, new.get(name), f"{at}/{name}")
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [one for place, pair in pairs for one in differences(*pair, f"{at}/{place}")]
    return [] if old == new else [f"{at}: {old!r} is {new!r}"]


def test_every_kind_is_read_as_a_value_of_its_own() -> None:
    """Fine-tune, measurement, try; another kind or nothing is none."""
    report = read_report(fine_tune(0.83))
    assert isinstance(report, FinetuneReport)
    assert report.tuned is not None
    assert report.tuned.scores["accuracy"].value == 0.83
    measure_report = read_report(measurement(0.8))
    assert isinstance(measure_report, MeasurementReport)
    assert measure_report.best is not None
    assert measure_report.best.name == "Linear SVM"
    try_report = read_report({"kind": "try", "after": {"answer": "refund", "ranked": [["refund", 0.9]]}})
    assert isinstance(try_report, TrialReport)
    assert try_report.after is not None
    assert try_report.after.ranked == (("refund", 0.9),)
    assert read_report({"kind": "other"}) is None
    assert read_report(None) is None


@pytest.mark.parametrize("file", sorted(STORED.glob("*.json")), ids=lambda file: file.stem)
def test_a_report_that_was_stored_before_its_types_is_read_whole(file: Path) -> None:
    """Reports of the version before, one of each shape: read as values and written again, nothing is lost or changed."""
    data = json.loads(file.read_text("utf-8"))
    report = read_report(data)
    assert report is not None
    assert differences(data, json.loads(json.dumps(report.to_json(), allow_nan=False))) == []


def test_an_older_report_is_read_for_what_is_there() -> None:
    """Roles of old, bare numbers, missing parts and parts of another shape."""
    old = read_report(
        {
            "kind": "finetune",
            "systems": [{"name": "Majority class", "role": "baseline", "accuracy": 0.2}, 3],
            "dataset": {"rows": "many"},
            "difference": {},
        }
    )
    assert isinstance(old, FinetuneReport)
    assert [system.name for system in old.systems] == ["Majority class"]
    assert old.dataset.rows == 0
    assert old.headline == "Done."


def test_one_page_has_every_run_and_marks_the_best() -> None:
    """Newest first; other rows are left out; the curve is the newest measurement's."""
    jobs = [
        FinishedJob("m1", "Ann", 10.0, measurement(0.8)),
        FinishedJob("f1", "Ravi", 20.0, fine_tune(0.83)),
        FinishedJob("x1", "Ravi", 30.0, fine_tune(0.99, digest="other")),
    ]
    history = history_of(jobs, "d1")
    assert [one.job for one in history.lines] == ["f1", "m1"]
    assert history.best is not None
    assert history.best.job == "f1"
    assert round(history.lines[0].gain_points or 0, 6) == 8
    assert history.curve == ((50, 0.55),)


def test_the_verdict_counts_what_was_trained_since() -> None:
    """A model that meets the target of the last measurement ends the matter; one that does not asks for another."""
    since = [
        FinishedJob("m1", "Ann", 10.0, measurement(0.8)),
        FinishedJob("f1", "Ann", 20.0, fine_tune(0.83)),
    ]
    assert history_of(since, "d1").verdict.startswith("You have it: with the model of job f1 83 of 100")
    higher = [FinishedJob("m1", "Ann", 10.0, measurement(0.92)), since[1]]
    assert "Measure again" in history_of(higher, "d1").verdict
    assert history_of(since[:1], "d1").verdict.startswith("Not decided yet")
    assert history_of([], "d1").verdict.startswith("Nothing was measured")


def test_a_verdict_counts_the_measure_that_the_target_was_named_for() -> None:
    """A target of macro-F1 is met by macro-F1, whatever the share of right answers is."""
    job = fine_tune(0.95)
    job["systems"][-1]["macro_f1"] = {"value": 0.7}
    runs = [
        FinishedJob("m1", "Ann", 10.0, measurement(0.8, metric="macro_f1")),
        FinishedJob("f1", "Ann", 20.0, job),
    ]
    assert "gets 70 of 100 where the target is 80" in history_of(runs, "d1").verdict


@pytest.mark.parametrize(
    ("target", "decision", "words"),
    [
        (0.8, "train", "The target of measurement m1, 80 of 100, is met by this model: 83."),
        (0.92, "out_of_reach", "The target of measurement m1, 92 of 100, is missed by this model: 83."),
        (
            0.7,
            "enough",
            "The target of measurement m1, 70 of 100, is met by this model: 83. It was met without it too.",
        ),
    ],
)
def test_a_job_says_whether_it_meets_what_was_measured_for(target: float, decision: str, words: str) -> None:
    """A gain alone may read like a refusal where the target is met, and like a success where it is missed."""
    report, newest = read_report(fine_tune(0.83)), measurement(target, decision=decision)
    assert isinstance(report, FinetuneReport)
    jobs = [
        FinishedJob("m0", "Ann", 9.0, measurement(0.5)),
        FinishedJob("m1", "Ann", 10.0, newest),
        FinishedJob("m2", "Ann", 11.0, measurement(0.5, digest="other")),
    ]
    assert target_line(report, jobs) == words
    assert target_line(report, jobs[2:]) == ""


def test_what_was_tested_on_one_fold_has_one_figure_everywhere() -> None:
    """97% of 30 tickets, where the cheap methods have 75% on all: list, page and verdict tell what is expected on all."""
    job = fine_tune(0.97)
    job["systems"][-1]["expected"] = {"value": 0.79, "low": 0.7, "high": 0.88}
    runs = [
        FinishedJob("m1", "Ann", 10.0, measurement(0.8)),
        FinishedJob("f1", "Ann", 20.0, job),
    ]
    history = history_of(runs, "d1")
    assert history.lines[0].score.value == 0.79
    assert "gets 79 of 100 where the target is 80" in history.verdict
    assert outcome(read_report(job)).startswith("79.0%")


def test_a_list_shows_verdict_and_score_beside_done() -> None:
    """Of a fine-tune its score and worth, of a measurement its title, of anything else nothing."""
    assert outcome(read_report(fine_tune(0.83))) == "83.0%, worth it"
    assert outcome(read_report(measurement(0.8, title="Train"))) == "Train"
    assert outcome(read_report(measurement(0.8))) == "undecided"
    assert outcome(None) == ""
