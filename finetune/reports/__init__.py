"""The report of each job kind, one file per kind: frozen values with `to_json` and `from_json`, also of older versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from finetune.reports.deployment import DeploymentReport
from finetune.reports.finetune import FinetuneReport
from finetune.reports.measurement import MeasurementReport
from finetune.reports.trial import TrialReport

Report = FinetuneReport | MeasurementReport | TrialReport | DeploymentReport
READERS: Mapping[str, Callable[[Mapping[str, Any]], Report]] = {
    "finetune": FinetuneReport.from_json,
    "measure": MeasurementReport.from_json,
    "try": TrialReport.from_json,
    "deploy": DeploymentReport.from_json,
}


def read_report(data: Mapping[str, Any] | None) -> Report | None:
    """The report that a job left as JSON, by its kind; None where there is none or it is of no known shape."""
    reader = READERS.get(str((data or {}).get("kind")))
    if data is None or reader is None:
        return None
    try:
        return reader(data)
    except ValidationError:
        return None


def headline_of(data: Mapping[str, Any] | None) -> str:
    """The sentence that a report of any kind begins with, also of a kind that is read nowhere else; "" without one."""
    return str((data or {}).get("headline") or "")


WORTH = {"yes": "worth it", "no": "not worth it", "unclear": "cannot tell"}


def outcome(report: Report | None) -> str:
    """A finished job's verdict and score in a few words, for a list; "" where there is none."""
    if isinstance(report, MeasurementReport):
        return report.title or report.decision.replace("_", " ")
    if isinstance(report, FinetuneReport) and report.tuned is not None:
        score = report.tuned.overall(report.measure)
        figure = f"{100 * score.value:.1f}%, " if score is not None else ""
        return f"{figure}{WORTH.get(report.worth_it, report.worth_it)}"
    return ""
