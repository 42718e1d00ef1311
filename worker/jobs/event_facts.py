"""The typed fields of one worker event, parsed from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROGRESS_KEYS = ("phase", "step", "steps", "loss", "eta_s", "curve", "dev_loss", "dev_score")
MAX_USD = 1e6


@dataclass(frozen=True)
class EventFacts:
    """Each field is empty where the event lacks it or has it in another shape.

    `progress` holds the event's PROGRESS_KEYS; `usd` is the spending since the last event; `reason` is why the run
    stopped, `error` what failed; `plots` are PNGs in base64 by file name.
    """

    progress: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    worker: str | None = None
    pid: int | None = None
    usd: float = 0.0
    error: str = ""
    is_retryable: bool = False
    reason: str = ""
    report: dict[str, Any] | None = None
    plots: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> str:
        """The phase that begins."""
        return str(self.progress.get("phase"))[:40]


def read_facts(data: Mapping[str, Any]) -> EventFacts:
    """Parses the data of a worker's event."""
    usd, pid, worker = data.get("usd"), data.get("pid"), data.get("worker")
    report, plots = data.get("report"), data.get("plots")
    return EventFacts(
        progress={key: data[key] for key in PROGRESS_KEYS if key in data},
        note=str(data.get("text", ""))[:300],
        worker=None if worker is None else str(worker)[:120],
        pid=pid if isinstance(pid, int) else None,
        usd=float(usd) if isinstance(usd, int | float) and 0 <= usd < MAX_USD else 0.0,
        error=str(data.get("error") or ""),
        is_retryable=bool(data.get("retryable")),
        reason=str(data.get("reason") or ""),
        report=report if isinstance(report, dict) else None,
        plots=plots if isinstance(plots, dict) else {},
    )
