"""Every forecast kept, joined to what really came: a JSON-lines file, and coverage and error over all pairs.

A forecast's outcome is the score of a later run on the same dataset: the same rows (then its held-out rows
are the same and the narrow band counts), or the same name with more rows (then the wide one does).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.methods import METHODS, PILOT
from finetune.reports import FinetuneReport, MeasurementReport, read_report

NEAR = 0.15  # an outcome belongs to a forecast when its rows differ by no more than this share


@dataclass(frozen=True)
class Entry:
    """One forecast: `method` at `rows` training rows of a dataset; scores are shares."""

    job: str
    dataset: str
    digest: str
    metric: str
    method: str  # cheap, or the pilot's
    rows: int
    value: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    made_at: str


@dataclass(frozen=True)
class Pair:
    """A forecast and the score that came; `in_band` says whether it fell into the band."""

    entry: Entry
    outcome: float
    rows: int
    run: str
    same_rows: bool

    @property
    def error(self) -> float:
        return self.entry.value - self.outcome

    @property
    def in_band(self) -> bool:
        entry = self.entry
        low, high = (entry.low, entry.high) if self.same_rows else (entry.wide_low, entry.wide_high)
        return low <= self.outcome <= high


def forecasts_of(report: MeasurementReport, job: str) -> list[Entry]:
    """The entries of a measurement's report."""
    made_at = str(report.provenance.get("finished_at", ""))
    common = (job, report.dataset.name, report.dataset.digest, report.metric)
    lines = [("cheap", line) for line in report.forecast.ahead]
    lines += [(PILOT.name, report.forecast.tuned)] if report.forecast.tuned else []
    return [
        Entry(
            *common,
            method,
            line.rows,
            line.value,
            line.same_low,
            line.same_high,
            line.low,
            line.high,
            made_at,
        )
        for method, line in lines
        if line.same_low is not None and line.same_high is not None
    ]


class ForecastLog:
    """An append-only file of forecasts and outcomes; lines that do not parse are passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, data: Mapping[str, Any], job: str) -> int:
        """Store what the report forecasts (kind "measure") or what came out (kind "finetune"); lines written.

        A job already stored is not stored again.
        """
        if any(line.get("job") == job for line in self._lines()):
            return 0
        report = read_report(data)
        lines: list[dict[str, Any]] = []
        if isinstance(report, MeasurementReport):
            lines = [{"is": "forecast", **asdict(entry)} for entry in forecasts_of(report, job)]
        elif isinstance(report, FinetuneReport):
            lines = outcomes_of(report, job)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        return len(lines)

    def count(self) -> int:
        """How many forecasts are kept."""
        return sum(line["is"] == "forecast" for line in self._lines())

    def pairs(self) -> list[Pair]:
        """Every forecast with the first later outcome that fits it, one on the same rows before others."""
        lines = self._lines()
        pairs = []
        for at, line in enumerate(lines):
            if line["is"] != "forecast":
                continue
            entry = _entry(line)
            later = [o for o in lines[at:] if o["is"] == "outcome" and fits(entry, o)]
            o = min(later, key=lambda o: o["digest"] != entry.digest, default=None)
            if o is not None:
                same = entry.digest == o["digest"]
                pairs.append(Pair(entry, o["score"][entry.metric], o["rows"], o["job"], same))
        return pairs

    def about(self, data: Mapping[str, Any]) -> str | None:
        """One sentence that sets a finished fine-tune beside its forecast, or None where there was none."""
        report = read_report(data)
        outcomes = outcomes_of(report, "now") if isinstance(report, FinetuneReport) else []
        entries = [_entry(line) for line in self._lines() if line["is"] == "forecast"]
        for outcome in outcomes:
            for entry in reversed(entries):
                if fits(entry, outcome):
                    return _sentence(
                        Pair(
                            entry,
                            outcome["score"][entry.metric],
                            outcome["rows"],
                            "now",
                            entry.digest == outcome["digest"],
                        )
                    )
        return None

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        entries = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return [
            line for line in entries if isinstance(line, dict) and line.get("is") in ("forecast", "outcome")
        ]


def outcomes_of(report: FinetuneReport, job: str) -> list[dict[str, Any]]:
    """What a finished fine-tune scored, as lines of the log: the tuned system, and the best cheap one."""
    dataset, method = report.dataset, str(report.spec.get("method", ""))
    systems = [system for system in report.systems if "accuracy" in system.scores]
    cheap = [system for system in systems if not system.tuned]
    against = report.difference.against if report.difference else ""
    named = [system for system in cheap if system.name == against]
    best = max(named or cheap, key=lambda system: system.scores["accuracy"].value, default=None)
    is_cheap = method in METHODS and METHODS[method].is_baseline
    outcomes = [("cheap" if is_cheap else PILOT.name, system) for system in systems if system.tuned]
    outcomes += [("cheap", best)] if best is not None and not is_cheap else []
    return [
        {
            "is": "outcome",
            "job": job,
            "dataset": dataset.name,
            "digest": dataset.digest,
            "rows": dataset.train,
            "method": name,
            "score": {
                key: score.value
                for key in ("accuracy", "macro_f1")
                if (score := system.overall(key)) is not None
            },
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        for name, system in outcomes
    ]


def fits(entry: Entry, outcome: Mapping[str, Any]) -> bool:
    """Whether an outcome is what this forecast was about."""
    same = entry.digest == outcome["digest"] or (entry.dataset != "" and entry.dataset == outcome["dataset"])
    near = abs(outcome["rows"] - entry.rows) <= NEAR * entry.rows
    return same and near and entry.method == outcome["method"] and entry.metric in outcome["score"]


def summary(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Coverage of the 90% band, errors in points and their direction; `pairs` 0 where there are none."""
    rows = list(pairs)
    if not rows:
        return {"pairs": 0}
    errors = 100 * np.array([pair.error for pair in rows])
    return {
        "pairs": len(rows),
        "coverage": float(np.mean([pair.in_band for pair in rows])),
        "median_abs_error_points": float(np.median(np.abs(errors))),
        "worst_abs_error_points": float(np.abs(errors).max()),
        "bias_points": float(errors.mean()),
    }


def _entry(line: Mapping[str, Any]) -> Entry:
    return Entry(**{key: value for key, value in line.items() if key != "is"})


def pair_json(pair: Pair) -> dict[str, Any]:
    """One forecast beside its outcome, in percent and points."""
    entry = pair.entry
    low, high = (entry.low, entry.high) if pair.same_rows else (entry.wide_low, entry.wide_high)
    return {
        "dataset": entry.dataset,
        "method": entry.method,
        "metric": entry.metric,
        "rows": entry.rows,
        "forecast": round(100 * entry.value, 2),
        "low": round(100 * low, 2),
        "high": round(100 * high, 2),
        "came": round(100 * pair.outcome, 2),
        "came_rows": pair.rows,
        "error_points": round(100 * pair.error, 2),
        "covered": pair.in_band,
        "forecast_job": entry.job,
        "run": pair.run,
    }


def _sentence(pair: Pair) -> str:
    entry = pair.entry
    inside = "inside" if pair.in_band else "outside"
    points = f"{abs(100 * pair.error):.1f}"
    side = "as forecast" if points == "0.0" else f"{points} points too {'high' if pair.error > 0 else 'low'}"
    return (
        f"Forecast {100 * entry.value:.1f}% at {entry.rows:,} tickets, came {100 * pair.outcome:.1f}% at "
        f"{pair.rows:,}: {side}, {inside} the 90% band."
    )
