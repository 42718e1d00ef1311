"""What finished jobs and measurements have shown on the same rows: read from their reports, never measured twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finetune.evaluation.predictions import SystemScore
from finetune.evaluation.sample import Sample
from finetune.evaluation.statistics import Interval
from finetune.methods import METHODS


@dataclass(frozen=True)
class Evidence:
    """A trained model's score on held-out rows, from the report of a job.

    `rows` it was trained on, `test` the held-out ones; `gain` is it minus the cheap method `against` on the same
    rows (a share with 95% interval). `pilot` says that the model was thrown away, `whole` that it was trained on all
    rows as a job trains it.
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

    @property
    def name(self) -> str:
        """How the table of alternatives calls it."""
        kind = f"pilot on {self.rows:,} tickets of measurement" if self.pilot else "model of job"
        return f"{self.score.name}, {kind} {self.job}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"score": self.score.to_json(), "gain": self.gain.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        fields = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        score, gain = SystemScore.from_json(data["score"]), Interval(**data["gain"])
        return cls(**{**fields, "score": score, "gain": gain})


def evidence_of(report: Mapping[str, Any], job: str) -> list[Evidence]:
    """What one report shows of fine-tuned models; nothing where it is of another kind or lacks a part."""
    try:
        if report.get("kind") == "finetune":
            return _of_finetune(report, job)
        if report.get("kind") == "measure":
            return _of_measurement(report, job)
    except (KeyError, TypeError, ValueError):  # an older version's report, or a torn one: no evidence
        return []
    return []


def _of_finetune(report: Mapping[str, Any], job: str) -> list[Evidence]:
    spec, data, gap = report["spec"], report["dataset"], report["difference"]
    if spec["task"] != "triage" or METHODS[spec["method"]].is_baseline or gap.get("rows") != data["test"]:
        return []
    return [
        Evidence(
            job,
            spec["method"],
            spec["base_model"],
            data["digest"],
            int(spec["seed"]),
            int(data["train"]),
            int(data["test"]),
            SystemScore.from_json(report["systems"][-1]),
            gap["against"],
            Interval(gap["points"] / 100, gap["low"] / 100, gap["high"] / 100),
            float(report["systems"][-1]["seconds"]),
            float(report["cost"].get("usd", 0.0)),
            str(report["provenance"].get("finished_at", "")),
        )
    ]


def _of_measurement(report: Mapping[str, Any], job: str) -> list[Evidence]:
    pilot, data = report.get("tuned_pilot"), report["dataset"]
    if not pilot or pilot.get("job"):
        return []
    return [
        Evidence(
            job,
            "lora",
            "minilm",
            data["digest"],
            int(report["provenance"]["request"]["seed"]),
            int(pilot["rows"]),
            int(pilot["test"]),
            SystemScore.from_json(pilot["score"]),
            pilot["against"],
            Interval(**pilot["gain"]),
            float(pilot["seconds"]),
            0.0,
            str(report["provenance"].get("finished_at", "")),
            pilot=True,
            whole=bool(pilot.get("whole", False)),
        )
    ]


def on_same_rows(evidence: Iterable[Evidence], digest: str, seed: int, sample: Sample) -> list[Evidence]:
    """Those on the same dataset, cut by the same seed into as many held-out rows, the best first."""
    tests = {len(sample.once.test), sample.held_out}
    same = [one for one in evidence if one.digest == digest and one.seed == seed and one.test in tests]
    return sorted(same, key=lambda one: (one.pilot, -one.score.accuracy.value))
