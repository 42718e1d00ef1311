"""One truth about the same rows: a measurement and a fine-tune give the same figures and never contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.data.split import split
from finetune.evaluation.baselines import LOGISTIC, MAJORITY, NEAREST, WORDS_SVM
from finetune.evaluation.predictions import SystemScore
from finetune.measurement.evidence import Evidence, evidence_of
from finetune.pipeline import run
from finetune.reports.parts import Interval
from finetune.spec import parse_spec
from tests.finetune.measurement.measuring import (
    CountingEmbedder,
    Ticking,
    measurement_of,
    sample_rows,
    tickets,
)

pytestmark = pytest.mark.integration
TICKETS = tickets(sample_rows())


@pytest.fixture(scope="module")
def embed() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a `linear` fine-tune on the bundled tickets."""
    spec = parse_spec({"dataset": "sample", "method": "linear"})
    return run(spec, TICKETS, tmp_path_factory.mktemp("linear"), lambda _: None, lambda: None)


@pytest.fixture(scope="module")
def report(embed: CountingEmbedder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A measurement of the same tickets with a target that the cheap methods meet."""
    return measurement_of(TICKETS, 0.6, tmp_path_factory.mktemp("met"), embed)


def job_report(linear: dict[str, Any], accuracy: float, method: str = "lora") -> dict[str, Any]:
    """The report of a fine-tune job on the same rows with another score: the linear run's, in its shape."""
    band = {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
    training = {**linear["systems"][-1], "name": "Tuned with LoRA", "accuracy": band, "macro_f1": band}
    scores = {line["name"]: line["accuracy"]["value"] for line in linear["systems"]}
    gain = 100 * (accuracy - scores[linear["difference"]["against"]])
    return {
        **linear,
        "systems": [*linear["systems"][:-1], training],
        "spec": {**linear["spec"], "method": method},
        "difference": {**linear["difference"], "points": gain, "low": gain - 4, "high": gain + 4},
    }


def test_a_method_has_one_figure(linear: dict[str, Any], report: dict[str, Any]) -> None:
    """Same rows, same split: every cheap method has the same scores and intervals in both reports."""
    fine_tune = {line["name"]: line for line in linear["systems"]}
    measurement = {line["name"]: line for line in report["ladder"]}
    for name in (MAJORITY, NEAREST, LOGISTIC, WORDS_SVM):
        for metric in ("accuracy", "macro_f1"):
            assert fine_tune[name][metric] == measurement[name][metric], name
    assert linear["dataset"]["train"] == report["dataset"]["train"]
    assert linear["dataset"]["test"] == report["dataset"]["test"]


def test_both_judge_a_doubling_alike(linear: dict[str, Any], report: dict[str, Any]) -> None:
    """One curve per dataset and method: points, sentence and band are equal in both."""
    scores = {row["rows"]: [] for row in report["pilot"]}
    for row in report["pilot"]:
        scores[row["rows"]].append(row["score"])
    assert {row["method"] for row in report["pilot"]} == {LOGISTIC}
    for line in linear["learning"]:
        mean = sum(scores[line["rows"]]) / len(scores[line["rows"]])
        assert line["accuracy"]["value"] == pytest.approx(mean)
    assert report["doubling"] in linear["notes"]
    assert report["doubling"].startswith("More tickets")


@pytest.mark.parametrize(
    ("target", "decision", "words"),
    [(0.8, "enough", "You have it"), (0.92, "out_of_reach", "training brings")],
)
def test_a_finished_job_decides(
    target: float,
    decision: str,
    words: str,
    linear: dict[str, Any],
    embed: CountingEmbedder,
    tmp_path: Path,
) -> None:
    """A measurement never says less than a job showed: its model stands in the table and decides; no pilot runs."""
    phases: list[str] = []
    evidence = tuple(evidence_of(job_report(linear, 0.835), "ab12"))
    report = measurement_of(
        TICKETS,
        target,
        tmp_path,
        embed,
        evidence=evidence,
        emit=lambda event: phases.append(event.get("phase", "")),
    )
    assert report["decision"] == decision
    assert words in report["headline"]
    assert "pilot" not in phases
    line = next(row for row in report["ladder"] if row.get("job") == "ab12")
    assert line["accuracy"]["value"] == 0.835
    assert report["forecast"]["tuned"]["value"] == pytest.approx(0.835, abs=0.001)
    assert Evidence.from_json(evidence[0].to_json()) == evidence[0]


def test_one_good_fold_is_no_finished_model(embed: CountingEmbedder, tmp_path: Path) -> None:
    """Of 150 tickets a job tested 97% of one fold, 2 points over the cheap method there: expected is that one's score on all plus 2."""
    few = tickets(sample_rows()[:150])
    band, gain = Interval(0.97, 0.9, 1.0), Interval(0.02, -0.02, 0.06)
    score = SystemScore("Tuned with LoRA", "tuned", band, band, 9.0)
    job = Evidence(
        "ab12", "lora", "minilm", few.digest, 7, 100, len(split(few, 7).test), score, LOGISTIC, gain, 9.0, 0.0
    )
    report = measurement_of(few, 0.95, tmp_path, embed, evidence=(job,))
    lines = {line["name"]: line for line in report["ladder"]}
    line = next(one for one in report["ladder"] if one.get("job") == "ab12")
    expected = lines[LOGISTIC]["accuracy"]["value"] + 0.02
    assert line["expected"]["value"] == pytest.approx(expected)
    assert expected < 0.95
    assert report["decision"] != "enough"
    assert report["forecast"]["tuned"]["value"] == pytest.approx(expected)


def test_a_hosted_model_is_an_alternative_with_its_price(
    linear: dict[str, Any], embed: CountingEmbedder, tmp_path: Path
) -> None:
    """It stands in the table and among the alternatives, paid by the ticket. Where it meets the target you have it; it is no
    evidence for training here, so that above its score a pilot is still missing.
    """
    there = {**job_report(linear, 0.97), "hosted_model": "ft:x", "latency": {"usd_per_1000": 0.12}}
    evidence = tuple(evidence_of(there, "ef56"))
    report = measurement_of(
        TICKETS, 0.8, tmp_path, embed, evidence=evidence, volume=10_000, allowed_s=10.0, clock=Ticking(0.01)
    )
    assert next(row for row in report["ladder"] if row.get("job") == "ef56")["accuracy"]["value"] == 0.97
    line = next(one for one in report["business"]["lines"] if one["kind"] == "hosted")
    assert (line["running_usd"], line["share"]["value"]) == (pytest.approx(1.2), 1.0)
    assert report["decision"] == "enough"
    assert report["headline"].startswith("You have it: with the model of job ef56 97 of 100")
    higher = measurement_of(
        TICKETS,
        0.98,
        tmp_path / "higher",
        embed,
        evidence=evidence,
        allowed_s=10.0,
        clock=Ticking(0.01),
    )
    assert higher["decision"] == "undecided"
    assert Evidence.from_json(evidence[0].to_json()) == evidence[0]


def test_other_rows_are_no_evidence(linear: dict[str, Any], embed: CountingEmbedder, tmp_path: Path) -> None:
    """A job on other rows, or with another seed and so another split, says nothing here."""
    report = job_report(linear, 0.99)
    strange = [
        {**report, "dataset": {**report["dataset"], "digest": "0" * 64}},
        {**report, "spec": {**report["spec"], "seed": 8}},
    ]
    evidence = tuple(one for other in strange for one in evidence_of(other, "cd34"))
    assert len(evidence) == 2
    measurement = measurement_of(
        TICKETS, 0.995, tmp_path, embed, evidence=evidence, allowed_s=11.0, clock=Ticking(0.01)
    )
    assert not any(row.get("job") == "cd34" for row in measurement["ladder"])


def test_a_pilot_without_time_leaves_it_undecided(embed: CountingEmbedder, tmp_path: Path) -> None:
    """No time: not decided yet, with the minutes, nothing for the adviser, and the embeddings kept for the pilot."""
    report = measurement_of(TICKETS, 0.8, tmp_path, embed, allowed_s=10.0, clock=Ticking(0.01))
    assert report["decision"] == "undecided"
    assert report["pilot_minutes"] >= 1
    assert "measured_best" not in report["signals"]
    assert list(tmp_path.glob("embeddings-*.npy"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pilot_goes_on_where_the_measurement_stopped(embed: CountingEmbedder, tmp_path: Path) -> None:
    """The same request with the whole pilot embeds nothing again, trains on all rows it may see, and decides."""
    few = tickets(sample_rows()[:260])
    first = measurement_of(few, 0.9, tmp_path / "first", embed, allowed_s=10.0, clock=Ticking(0.01))
    assert first["decision"] == "undecided"
    count, context = embed.count, {"earlier": tmp_path / "first", "allowed_s": 10.0}
    second = measurement_of(few, 0.9, tmp_path / "second", embed, whole_pilot=True, **context)
    assert embed.count - count < 250  # the probe only
    assert second["decision"] != "undecided"
    assert second["tuned_pilot"]["rows"] > 100
    assert second["tuned_pilot"]["epochs"] == 3  # the shorter of the two that see all rows
    assert not list((tmp_path / "second").glob("embeddings-*.npy"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_pilot_on_all_rows_is_the_job(embed: CountingEmbedder, tmp_path: Path) -> None:
    """Where the time allows the whole recipe, the pilot's score and gain are the later job's to the last digit.

    A second measurement finds the first one's pilot and says the same.
    """
    few = tickets(sample_rows()[:120])
    measurement = measurement_of(few, 0.95, tmp_path / "before", embed)
    spec = parse_spec({"dataset": "sample", "method": "lora"})
    job = run(spec, few, tmp_path / "job", lambda _: None, lambda: None)
    pilot = measurement["tuned_pilot"]
    assert pilot["whole"]
    assert pilot["score"]["accuracy"] == job["systems"][-1]["accuracy"]
    assert 100 * pilot["gain"]["value"] == pytest.approx(job["difference"]["points"])
    evidence = tuple(evidence_of(measurement, "ab12"))
    again = measurement_of(few, 0.95, tmp_path / "again", embed, evidence=evidence)
    assert again["decision"] == measurement["decision"]
    assert again["forecast"]["tuned"] == measurement["forecast"]["tuned"]
