"""The registry of serving backends: a file in this folder with a `BACKEND` is one (docs/howto/add-a-serving-backend.md).

A backend turns a finished run into a version's files and loads such a version. Importing it loads no training library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.ticket import Tickets
from finetune.errors import ExportError
from finetune.registry import entries_of
from finetune.serving.answers import ServedModel
from finetune.serving.held_out import report_of


@dataclass(frozen=True)
class Backend:
    """One way to serve the models of a task.

    `publish(run, report, tickets_of, out, note)` writes a version into the folder `out`, served.json last; `tickets_of` gives
    a dataset's rows by digest. `load(folder, error_rate)` opens it under that promise.
    """

    name: str
    task: str
    publish: Callable[[Path, Mapping[str, Any], Callable[[str], Tickets], Path, Callable[[str], None]], None]
    load: Callable[[Path, float], ServedModel]


BACKENDS: Mapping[str, Backend] = {
    backend.name: backend for backend in entries_of(__name__, "BACKEND", Backend)
}


def backend_for(job: Path) -> tuple[Backend, Path, dict[str, Any]]:
    """The backend that serves a job's model, the run's folder and its report; ExportError where there is none."""
    run, report = report_of(job)
    if report.get("hosted_model"):
        raise ExportError(
            f"{report['hosted_model']} is hosted by its platform and its weights are not to be had, so it cannot be served "
            "here. Ask it there by this name."
        )
    task = str(report.get("task") or report["spec"]["task"])
    for backend in BACKENDS.values():
        if backend.task == task:
            return backend, run, report
    served = ", ".join(sorted({backend.task for backend in BACKENDS.values()}))
    raise ExportError(f"A model for the task `{task}` cannot be served here; what can be: {served}.")
