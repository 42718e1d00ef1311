"""Kept forecasts: stored once, joined to what came, told in a sentence, summed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.measurement.forecast_log import ForecastLog, pair_json, summary


def measurement(digest: str = "d1", score: float = 0.93) -> dict[str, Any]:
    ahead = {"rows": 1_000, "times": 1.0, "value": score, "low": 0.92, "high": 0.94, "wide_low": 0.91}
    return {
        "kind": "measure",
        "metric": "accuracy",
        "dataset": {"name": "support", "digest": digest},
        "forecast": {
            "at": [2_000],
            "points": [0.95],
            "band": [[0.93, 0.97]],
            "band_same_rows": [[0.94, 0.96]],
            "tuned": {**ahead, "wide_high": 0.95, "trust": "number"},
        },
    }


def run(digest: str, rows: int, accuracy: float, cheap: float = 0.9, method: str = "lora") -> dict[str, Any]:
    def system(role: str, score: float) -> dict[str, Any]:
        return {"name": role, "role": role, "accuracy": {"value": score}, "macro_f1": {"value": score}}

    return {
        "kind": "finetune",
        "dataset": {"name": "support", "digest": digest, "train": rows},
        "spec": {"method": method},
        "systems": [system("baseline", cheap), system("tuned", accuracy)],
    }


def test_a_full_run_is_set_beside_its_forecast(tmp_path: Path) -> None:
    """Same rows: the narrow band counts; the sentence says forecast, outcome, error and band."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    log.record(measurement(), "m1")
    sentence = log.about(run("d1", 1_000, 0.945))
    assert sentence == (
        "Forecast 93.0% at 1,000 tickets, came 94.5% at 1,000: 1.5 points too low, outside the 90% band."
    )


def test_an_outcome_as_forecast_is_neither_too_high_nor_too_low(tmp_path: Path) -> None:
    """Less than a tenth of a point is no error that a person reads."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    log.record(measurement(), "m1")
    assert "came 93.0% at 1,000: as forecast, inside the 90% band." in (
        log.about(run("d1", 1_000, 0.9302)) or ""
    )


def test_more_rows_of_the_same_name_meet_the_forecast_for_them(tmp_path: Path) -> None:
    """The next version of a dataset, with about as many rows as forecast: the wide band counts."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    log.record(measurement(), "m1")
    log.record(run("d2", 1_900, 0.96, cheap=0.94), "r1")
    (pair,) = log.pairs()
    assert (pair.entry.method, pair.outcome, pair.same_rows, pair.in_band) == ("cheap", 0.94, False, True)


def test_a_run_on_far_fewer_rows_is_no_outcome(tmp_path: Path) -> None:
    """Half of the rows, another dataset or another method do not count as what was forecast."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    log.record(measurement(), "m1")
    log.record(run("d1", 500, 0.8), "r1")
    log.record({**run("d9", 1_000, 0.8), "dataset": {"name": "other", "digest": "d9", "train": 1_000}}, "r2")
    assert log.pairs() == []
    assert log.about(run("d1", 500, 0.8)) is None


def test_a_job_is_kept_once(tmp_path: Path) -> None:
    """A report delivered twice is stored once."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    assert log.record(measurement(), "m1") == 2
    assert log.record(measurement(), "m1") == 0
    assert log.count() == 2


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    """A line cut by a power failure is passed over; what follows is read."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    log.record(measurement(), "m1")
    with log.path.open("a", encoding="utf-8") as file:
        file.write('{"is": "outcome", "job": "torn\n')
    log.record(run("d1", 1_000, 0.925), "r1")
    assert [pair.run for pair in log.pairs()] == ["r1"]


def test_the_summary_counts_coverage_and_error(tmp_path: Path) -> None:
    """Coverage of the bands, median error and bias in points; nothing invented without pairs."""
    log = ForecastLog(tmp_path / "forecasts.jsonl")
    assert summary(log.pairs()) == {"pairs": 0}
    log.record(measurement("d1"), "m1")
    log.record(measurement("d2", score=0.9), "m2")
    log.record(run("d1", 1_000, 0.925), "r1")
    log.record(run("d2", 1_000, 0.97), "r2")
    totals = summary(log.pairs())
    assert totals["pairs"] == 2
    assert totals["coverage"] == 0.5
    assert totals["bias_points"] == pytest.approx((0.5 - 7) / 2)
    assert pair_json(log.pairs()[0])["error_points"] == pytest.approx(0.5)
