"""The summary of a finished training, stored so that a resumed run continues with the evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artifacts import TRAINED
from finetune.progress import Progress
from finetune.reports.parts import LossPoint, fields_json, parse


@dataclass(frozen=True)
class TrainingSummary:
    """The loss curve, steps and seconds of a training, the settings that a solver chose, and whether a linear model is
    averaged with the network."""

    history: tuple[LossPoint, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    settings: Mapping[str, Any] | None = None
    has_linear_half: bool = False

    def write(self, folder: Path) -> TrainingSummary:
        """Keep the summary in the job's folder and return it."""
        (folder / TRAINED).write_text(json.dumps(fields_json(self)))
        return self

    @classmethod
    def read(cls, folder: Path, progress: Progress) -> TrainingSummary | None:
        """The summary of a training that finished in this folder, with a note; None without one."""
        file = folder / TRAINED
        if not file.is_file():
            return None
        progress.note(
            "Training was already finished in this folder: going on with its evaluation.", keep=False
        )
        data = json.loads(file.read_text())
        older = {"settings": data.get("chosen"), "has_linear_half": bool(data.get("blended"))}
        return parse(cls, {**older, **data})
