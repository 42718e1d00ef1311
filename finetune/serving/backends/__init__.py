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
from finetune.serving.answers import Served
from finetune.serving.held_out import report_of


def _do_nothing(place: Path) -> None:
    """Does nothing after a publish."""


@dataclass(frozen=True)
class Backend:
    """One way to serve the models of a task; of several for one task the first by `position` is taken unless one is named.

    `publish(run, report, tickets_of, out, note)` writes a version into the folder `out`, served.json last; `tickets_of` gives
    a dataset's rows by digest. `load(folder, error_rate)` opens it under that promise. `after_publish(place)` is called with the folder
    of all served models after a version was published.
    """

    name: str
    task: str
    publish: Callable[[Path, Mapping[str, Any], Callable[[str], Tickets], Path, Callable[[str], None]], None]
    load: Callable[[Path, float], Served]
    after_publish: Callable[[Path], None] = _do_nothing
    position: int = 100


BACKENDS: Mapping[str, Backend] = {
    backend.name: backend
    for backend in sorted(entries_of(__name__, "BACKEND", Backend), key=lambda backend: backend.position)
}


def backend_for(job: Path, name: str = "") -> tuple[Backend, Path, dict[str, Any]]:
    """The backend that serves a job's model, the one of this `name` if any is given, the run's folder and its report.

    ExportError where there is none.
    """
    run, report = report_of(job)
    if report.get("hosted_model"):
        raise ExportError(
            f"{report['hosted_model']} is hosted by its platform and its weights are not to be had, so it cannot be served "
            "here. Ask it there by this name."
        )
    task = str(report.get("task") or report["spec"]["task"])
    fitting = [backend for backend in BACKENDS.values() if backend.task == task]
    if not fitting:
        served = ", ".join(sorted({backend.task for backend in BACKENDS.values()}))
        raise ExportError(f"A model for the task `{task}` cannot be served here; what can be: {served}.")
    backend = next((one for one in fitting if name in ("", one.name)), None)
    if backend is None:
        names = ", ".join(one.name for one in fitting)
        raise ExportError(f"There is no backend `{name}` for the task `{task}`. There are: {names}.")
    return backend, run, report
