"""Reads evidence on the same rows from the reports of finished jobs and measurements, so that nothing is measured twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.predictions import SystemScore
from finetune.evaluation.sample import Sample
from finetune.methods import METHODS, PILOT
from finetune.reports import FinetuneReport, MeasurementReport, read_report
from finetune.reports.parts import Interval, SystemLine, fields_json
from finetune.tasks import TASKS

PILOT_TASK = "triage"  # what a measurement asks whether to train


@dataclass(frozen=True)
class Evidence:
    """A trained model's score on held-out rows, from the report of a job.

    `rows` it was trained on, `test` the held-out ones; `gain` is it minus the cheap method `against` on the same
    rows (a share with 95% interval). `pilot` says that the model was thrown away, `whole` that it was trained on all
    rows as a job trains it. `model_there` is the name of a model that a platform keeps and answers for `usd_per_1000` tickets.
    """

    job: str
    method: str
    base_model: str
    digest: str
    seed: int
    rows: int
    test: int
    score: SystemScore
    against: str
    gain: Interval
    seconds: float
    usd: float
    finished_at: str = ""
    pilot: bool = False
    whole: bool = False
    model_there: str = ""
    usd_per_1000: float = 0.0

    @property
    def name(self) -> str:
        """Its name in the table of alternatives."""
        kind = f"pilot on {self.rows:,} tickets of measurement" if self.pilot else "model of job"
        return f"{self.score.name}, {kind} {self.job}"

    def to_json(self) -> dict[str, Any]:
        """The evidence as JSON, for an order."""
        return {**fields_json(self), "score": self.score.line.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """What `to_json` wrote."""
        fields = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        score, gain = SystemScore.of(SystemLine.from_json(data["score"])), Interval(**data["gain"])
        return cls(**{**fields, "score": score, "gain": gain})


def evidence_of(data: Mapping[str, Any], job: str) -> list[Evidence]:
    """The fine-tuned models' scores in one report; empty for another kind of report or a missing part."""
    report = read_report(data)
    try:
        if isinstance(report, FinetuneReport):
            return _of_finetune(report, job)
        if isinstance(report, MeasurementReport):
            return _of_measurement(report, job)
    except (KeyError, TypeError, ValueError):  # an older version's report, or a torn one: no evidence
        return []
    return []


def _of_finetune(report: FinetuneReport, job: str) -> list[Evidence]:
    spec, rows, gap, line = report.spec, report.dataset, report.difference, report.tuned
    if gap is None or line is None or gap.points is None or gap.low is None or gap.high is None:
        return []
    is_baseline = METHODS[spec["method"]].is_baseline and not report.hosted_model
    if spec["task"] != PILOT_TASK or is_baseline or gap.rows != rows.test:
        return []
    return [
        Evidence(
            job,
            spec["method"],
            spec["base_model"],
            rows.digest,
            int(spec["seed"]),
            rows.train,
            rows.test,
            SystemScore.of(line),
            gap.against,
            Interval(gap.points / 100, gap.low / 100, gap.high / 100),
            line.seconds,
            report.spent.usd,
            str(report.provenance.get("finished_at", "")),
            model_there=report.hosted_model,
            usd_per_1000=report.latency.usd_per_1000 or 0.0,
        )
    ]


def _of_measurement(report: MeasurementReport, job: str) -> list[Evidence]:
    pilot = report.pilot
    if pilot is None or pilot.job:
        return []
    return [
        Evidence(
            job,
            pilot.method or PILOT.name,
            TASKS[PILOT_TASK].default_base,
            report.dataset.digest,
            int(report.provenance["request"]["seed"]),
            pilot.rows,
            pilot.test,
            SystemScore.of(pilot.score),
            pilot.against,
            pilot.gain,
            pilot.seconds,
            0.0,
            str(report.provenance.get("finished_at", "")),
            pilot=True,
            whole=pilot.whole,
        )
    ]


def on_same_rows(evidence: Iterable[Evidence], digest: str, seed: int, sample: Sample) -> list[Evidence]:
    """Those on the same dataset, cut by the same seed into as many held-out rows, the best first."""
    tests = {len(sample.once.test), sample.held_out}
    same = [one for one in evidence if one.digest == digest and one.seed == seed and one.test in tests]
    return sorted(same, key=lambda one: (one.pilot, -one.score.accuracy.value))
