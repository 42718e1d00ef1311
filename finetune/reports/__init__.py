"""What each kind of job reports, one file a kind: frozen values with `to_json` and `from_json`, old reports included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from finetune.reports.finetune import FinetuneReport
from finetune.reports.measurement import MeasurementReport
from finetune.reports.trial import TrialReport

Report = FinetuneReport | MeasurementReport | TrialReport
READERS: Mapping[str, Callable[[Mapping[str, Any]], Report]] = {
    "finetune": FinetuneReport.from_json,
    "measure": MeasurementReport.from_json,
    "try": TrialReport.from_json,
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
