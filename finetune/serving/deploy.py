"""Publishes a finished job as a served version and opens versions, for each backend."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from finetune.data.ticket import Tickets
from finetune.errors import CorruptModel
from finetune.serving.answers import Served, ServedModel
from finetune.serving.backends import BACKENDS, backend_for
from finetune.serving.versions import SERVED, Versions, name_of

FOLDER = "serving"  # beside the jobs' folders


def make_version(
    job: Path,
    version: str,
    place: Path,
    tickets_of: Callable[[str], Tickets],
    name: str = "",
    note: Callable[[str], None] = lambda _: None,
    backend_name: str = "",
) -> Versions:
    """Write `version` from a finished job's folder, unless it exists; it serves nothing until a pointer names it.

    `name` is what it is served as, by default its dataset's, with the task behind where another task has that name; `backend_name`
    the backend, by default its task's first. Raises ExportError, CorruptModel or the dataset's own error.
    """
    backend, run, report = backend_for(job, backend_name)
    versions = Versions(place, name or name_for(place, str(report["dataset"]["name"]), backend.task))
    versions.add(version, lambda out: backend.publish(run, report, tickets_of, out, note))
    backend.after_publish(place)
    return versions


def name_for(place: Path, dataset: str, task: str) -> str:
    """The dataset's name; NAME-TASK where models of other tasks are served under it, whose clients expect other answers."""
    name = name_of(dataset)
    versions = Versions(place, name)
    tasks = {task_of(versions.folder_of(version)) for version in versions.list()} - {""}
    return name if not tasks or task in tasks else f"{name[: 59 - len(task)]}-{task}"


def task_of(folder: Path) -> str:
    """The task of a version's backend; "" where it cannot be told."""
    try:
        name = str(json.loads((folder / SERVED).read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return BACKENDS[name].task if name in BACKENDS else ""


def load_version(folder: Path, error_rate: float) -> ServedModel:
    """The version in a folder that sorts tickets, under a promised error rate; CorruptModel where it cannot be read or writes."""
    if task_of(folder) == "reply":  # checked before its engine starts
        raise CorruptModel(f"The version in {folder} writes replies: it sorts no tickets.")
    return cast(ServedModel, open_version(folder, error_rate))


def open_version(folder: Path, error_rate: float) -> Served:
    """The version in a folder, whether it sorts or writes; CorruptModel where it cannot be read."""
    try:
        name = str(json.loads((folder / SERVED).read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptModel(
            f"{folder} holds no version to serve: make one with `trainwise serve JOB`."
        ) from error
    if name not in BACKENDS:
        raise CorruptModel(
            f"The version in {folder} needs the backend `{name}`, which is not installed here."
        )
    return BACKENDS[name].load(folder, error_rate)
