"""Prompting among a fine-tune's baselines: zero-shot, described classes, few-shot and retrieved examples, within a spending cap.

What was answered is kept in the job's folder, so that a run that resumes does not pay twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import PROMPTED, write_whole
from finetune.evaluation.predictions import Predictions, score_system
from finetune.evaluation.prompting import prompting_systems
from finetune.evaluation.sample import Sample
from finetune.llm import MAX_ASKING_S, Llm, SpendLimit, UnansweredError
from finetune.progress import Progress
from finetune.reports.parts import SystemLine


@dataclass(frozen=True)
class PromptAnswers:
    """The prompts' answers to the held-out rows that they were asked about; `best` by validation score."""

    systems: tuple[Predictions, ...] = ()
    best: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        return sum(system.usd for system in self.systems)

    def lines(self, sample: Sample) -> list[SystemLine]:
        """The report's lines: scores on the rows asked about, with their number."""
        return [
            score_system(system, sample.labels[system.rows], len(sample.names)).line
            for system in self.systems
        ]


def prompt_answers(
    llm: Llm | None,
    sample: Sample,
    folder: Path,
    seed: int,
    progress: Progress,
    metric: str = "accuracy",
    allowed_s: float = MAX_ASKING_S,
) -> PromptAnswers:
    """What the configured language model answers without training; nothing where there is none."""
    if llm is None:
        return PromptAnswers()
    file = folder / PROMPTED
    if file.is_file():
        return _read(json.loads(file.read_text()), sample)
    try:
        limit = SpendLimit(llm, folder)
    except UnansweredError as error:
        return PromptAnswers(notes=(f"Prompting was not measured: {error}",))
    systems, best, notes = prompting_systems(sample, llm, limit, metric, seed, progress, allowed_s)
    prompts = PromptAnswers(tuple(systems), best, tuple(notes))
    write_whole(file, json.dumps(_to_json(prompts)))
    for note in prompts.notes:
        progress.note(note)
    return prompts


def _to_json(prompts: PromptAnswers) -> dict[str, Any]:
    answers = [
        {
            "name": system.name,
            "labels": system.labels.tolist(),
            "rows": [] if system.rows is None else system.rows.tolist(),
            "seconds": system.seconds,
            "calls": system.calls,
            "usd": system.usd,
            "choosing_score": system.choosing_score,
        }
        for system in prompts.systems
    ]
    return {"best": prompts.best, "notes": list(prompts.notes), "answers": answers}


def _read(data: Mapping[str, Any], sample: Sample) -> PromptAnswers:
    """What `_to_json` wrote, or an older version, which named the rows by their places among the tested ones."""
    places = np.array(data.get("asked", []), dtype=int)
    systems = tuple(
        Predictions(
            one["name"],
            "prompt",
            np.array(one.get("labels", one.get("predicted")), dtype=int),
            one["seconds"],
            choosing_score=one.get("choosing_score"),
            rows=np.array(one["rows"], dtype=int) if "rows" in one else sample.once.test[places],
            calls=one.get("calls", 0),
            usd=one.get("usd", 0.0),
        )
        for one in data["answers"]
    )
    return PromptAnswers(systems, data["best"], tuple(data["notes"]))
