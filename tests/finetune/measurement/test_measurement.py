"""The measurement from tickets to report: what it says, what it refuses, and that it can be stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.errors import Stopped
from finetune.evaluation.forecast import Point
from finetune.measurement.findings import MeasureError
from finetune.measurement.plots import Picture, _in_figures
from tests.finetune.measurement.measuring import (
    CountingEmbedder,
    Ticking,
    measurement_of,
    sample_rows,
    tickets,
)

pytestmark = pytest.mark.integration

ROWS = sample_rows()
NO_PILOT: dict[str, Any] = {  # enough for all but a LoRA pilot, on a busy machine too
    "allowed_s": 10.0,
    "clock": Ticking(0.01),
}


@pytest.fixture(scope="module")
def embed() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture(scope="module")
def report(embed: CountingEmbedder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measurement_of(
        tickets(ROWS), 0.6, tmp_path_factory.mktemp("enough"), embed, volume=60_000, **NO_PILOT
    )


def test_a_target_that_the_cheap_methods_meet_needs_no_fine_tune(report: dict[str, Any]) -> None:
    """Target met on the held-out rows: enough, with the score that decides; the advisor hears what met it."""
    assert report["decision"] == "enough"
    assert report["headline"].startswith("No training needed")
    assert report["deciding_figure"]["value"] >= 0.6
    assert report["signals"]["measured_best"] == "small_model"
    assert report["signals"]["volume_month"] == 60_000


def test_the_report_is_json_and_holds_the_whole_evidence(report: dict[str, Any]) -> None:
    """Ladder with intervals, a pilot of at least 4 sizes and 3 seeds, forecast, prices, one picture."""
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert all(
        row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"]
        for row in report["ladder"]
    )
    sizes = {point["rows"] for point in report["pilot"]}
    assert len(sizes) >= 4
    assert len({p["seed"] for p in report["pilot"] if p["rows"] == min(sizes)}) >= 3
    assert report["forecast"]["at"][-1] == pytest.approx(4 * max(sizes), rel=0.01)
    assert report["cost"]["serving"][0]["usd_month"] > 0
    assert report["plots"][0]["alt"].startswith("Learning curve")


def test_a_finished_folder_answers_at_once(embed: CountingEmbedder, tmp_path: Path) -> None:
    """The same request in the same folder is not measured twice; another target is."""
    rows = tickets(ROWS[:90])
    first = measurement_of(rows, 0.3, tmp_path, embed, **NO_PILOT)
    count = embed.count
    assert measurement_of(rows, 0.3, tmp_path, embed) == first
    assert embed.count == count
    assert measurement_of(rows, 0.99, tmp_path, embed, **NO_PILOT)["target"] == 0.99
    assert embed.count > count


def test_a_stopped_measurement_goes_on_without_embedding_again(
    embed: CountingEmbedder, tmp_path: Path
) -> None:
    """Cancel during the pilot raises Stopped and leaves no report; the next run reads the kept embeddings."""
    phases: list[str] = []
    rows = tickets(ROWS[:230])
    with pytest.raises(Stopped, match="cancel"):
        measurement_of(
            rows,
            0.9,
            tmp_path,
            embed,
            emit=lambda event: phases.append(event.get("phase", "")),
            should_stop=lambda: "cancel" if "curve" in phases else None,
        )
    assert not (tmp_path / "report.json").exists()
    count = embed.count
    assert measurement_of(rows, 0.9, tmp_path, embed, **NO_PILOT)["kind"] == "measure"
    assert embed.count - count < 230  # the probe only


def test_shuffled_labels_leave_nothing_to_learn(embed: CountingEmbedder, tmp_path: Path) -> None:
    """Labels drawn at random: it says that there is nothing to learn, whatever the target."""
    some = ROWS[:130]
    labels = np.random.default_rng(3).permutation([label for _, label in some])
    rows = [(text, str(label)) for (text, _), label in zip(some, labels, strict=True)]
    report = measurement_of(tickets(rows), 0.15, tmp_path, embed)
    assert report["decision"] == "not_worth_it"
    assert "nothing to learn" in report["headline"]


def test_fewer_than_fifty_rows_cannot_be_measured(embed: CountingEmbedder, tmp_path: Path) -> None:
    """49 labelled rows: no figures are made up; it says how many to label."""
    report = measurement_of(tickets(ROWS[::14][:49]), 0.9, tmp_path, embed)
    assert report["decision"] == "cannot_tell"
    assert report["ladder"] == []
    assert report["rows_to_label"] >= 51


def test_a_class_with_one_row_is_named(embed: CountingEmbedder, tmp_path: Path) -> None:
    """One ticket of a class cannot be both learned and tested: a warning names the class."""
    report = measurement_of(
        tickets([*ROWS[:90], ("please adopt our office cat", "cats")]), 0.9, tmp_path, embed, **NO_PILOT
    )
    assert any("cats" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("target", "message"), [(1.01, "between 0 and 1"), (92, "Did you mean 0.92"), (0, "impossible")]
)
def test_an_impossible_target_is_refused(
    target: float, message: str, embed: CountingEmbedder, tmp_path: Path
) -> None:
    """Above 1, a percentage, zero: refused before any work, with what to give instead."""
    count = embed.count
    with pytest.raises(MeasureError, match=message):
        measurement_of(tickets(ROWS), target, tmp_path, embed)
    assert embed.count == count


def test_drift_between_old_and_new_tickets_is_told(embed: CountingEmbedder, tmp_path: Path) -> None:
    """From month 8 on five queues have changed their names: the latest tickets score worse."""
    names = sorted({label for _, label in ROWS})
    swaps = {name: names[(at + 1) % len(names)] for at, name in enumerate(names[:5])}
    rng = np.random.default_rng(1)
    days = rng.permutation(len(ROWS)) * 365 // len(ROWS)
    rows = [
        (text, swaps.get(label, label) if day > 240 else label)
        for (text, label), day in zip(ROWS, days, strict=True)
    ]
    report = measurement_of(tickets(rows, list(days)), 0.3, tmp_path, embed, **NO_PILOT)
    assert "latest" in report["dataset"]["split"]
    assert any("drift" in warning for warning in report["warnings"]), report["warnings"]
    assert "Beware" in report["headline"]


def test_macro_f1_can_decide(embed: CountingEmbedder, tmp_path: Path) -> None:
    """The metric asked for is the one that decides and the one on the curve."""
    report = measurement_of(tickets(ROWS), 0.6, tmp_path, embed, metric="macro_f1", **NO_PILOT)
    best = next(row for row in report["ladder"] if row["best"])
    assert report["metric"] == "macro_f1"
    assert report["deciding_figure"]["value"] == pytest.approx(best["macro_f1"]["value"])


def test_the_pictures_words_name_the_best_of_today_whatever_it_is() -> None:
    """A prompt that beats the cheap methods is the best without a fine-tune; its line stands in the picture."""
    lines = [("Prompt, retrieved examples", 0.907), ("Nearest", 0.57)]
    picture = Picture("Train", "accuracy", 0.85, [Point(356, 7, 0.74)], lines, [], None)
    assert "best without a fine-tune 90.7%" in _in_figures(picture)
    assert "best without a fine-tune 74.0%" in _in_figures(replace(picture, lines=lines[1:]))
