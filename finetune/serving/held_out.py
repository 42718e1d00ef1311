"""The held-out tickets of a finished run, split again by its seed, for calibration. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import MODEL, REPORT
from finetune.data.split import split
from finetune.data.ticket import Tickets
from finetune.errors import ExportError

MAX_ROWS = 2_000  # held-out tickets that a version is scored on
MAX_NEAR = 4_000  # training tickets that a version compares new ones with


@dataclass(frozen=True)
class HeldOut:
    """Training texts (some of them), held-out texts and their labels."""

    training: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]


def report_of(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The run in a job's folder (its own or its newest attempt's) and its report; ExportError where none ended."""
    places = [folder, *sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)]
    for place in places:
        if (place / REPORT).is_file() and (place / MODEL).is_dir():
            return place, json.loads((place / REPORT).read_text())
    raise ExportError(
        f"{folder} holds no finished run with weights and a report, so nothing can be served: run the job again."
    )


def held_out(report: dict[str, Any], tickets_of: Callable[[str], Tickets]) -> HeldOut:
    """The rows of the report's dataset as its run cut them; `tickets_of` gives a dataset's rows by digest."""
    rows = [row for row in tickets_of(str(report["dataset"]["digest"])).rows if row.label is not None]
    seed = int(report["spec"]["seed"])
    cut = split(Tickets(tuple(rows), "triage"), seed)
    rng = np.random.default_rng([seed, 11])
    test = sorted(rng.permutation(cut.test)[:MAX_ROWS])
    training = sorted(rng.permutation([*cut.train, *cut.dev])[:MAX_NEAR])
    return HeldOut(
        tuple(rows[at].text for at in training),
        tuple(rows[at].text for at in test),
        tuple(str(rows[at].label) for at in test),
    )
