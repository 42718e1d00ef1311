"""Prompting among a fine-tune's baselines: zero-shot, few-shot and retrieved examples, within a spending cap.

What was answered is kept in the job's folder, so that a run that resumes does not pay twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import PROMPTED
from finetune.evaluation.baselines import Guesses
from finetune.evaluation.metrics import score
from finetune.evaluation.prompting import prompting_rungs
from finetune.evaluation.sample import Fold, Sample
from finetune.evaluation.statistics import resample_counts
from finetune.llm import Llm
from finetune.progress import Progress
from finetune.tasks.triage.data import Data


@dataclass(frozen=True)
class Prompted:
    """The prompts' answers to the test rows `asked` (numbers within the test side); `best` by choosing rows."""

    guesses: tuple[Guesses, ...] = ()
    asked: tuple[int, ...] = ()
    best: str | None = None
    usd: float = 0.0
    notes: tuple[str, ...] = ()

    def entries(self, labels: np.ndarray, classes: int, seed: int) -> list[dict[str, Any]]:
        """The report's entries, given the test rows' true classes: with the number of rows asked about."""
        if not self.asked:
            return []
        truth = labels[list(self.asked)]
        counts = resample_counts(len(truth), seed)
        found = []
        for guess in self.guesses:
            said = np.where(guess.predicted < 0, (truth + 1) % classes, guess.predicted)  # no answer: wrong
            entry = score(replace(guess, predicted=said), truth, classes, counts)
            found.append(entry | {"rows": len(truth), "prompt": True})
        return found


def prompted(llm: Llm | None, data: Data, folder: Path, seed: int, progress: Progress) -> Prompted:
    """What the configured language model answers without training; nothing where there is none."""
    if llm is None:
        return Prompted()
    kept = folder / PROMPTED
    if kept.is_file():
        return _read(json.loads(kept.read_text()))
    rungs, best, notes = prompting_rungs(
        _sample(data), llm.ask, llm.model, llm.spend_usd, llm.prices, "accuracy", seed, progress
    )
    place = {row: at for at, row in enumerate(data.places[2])}
    asked = [place[int(row)] for row in rungs[0].asked] if rungs and rungs[0].asked is not None else []
    answers = {
        "asked": asked,
        "best": best,
        "usd": sum(rung.usd for rung in rungs),
        "notes": notes,
        "answers": [
            {"name": rung.name, "predicted": rung.predicted.tolist(), "seconds": rung.seconds}
            for rung in rungs
        ],
    }
    draft = kept.with_suffix(".part")
    draft.write_text(json.dumps(answers))
    draft.replace(kept)
    made = _read(answers)
    for note in made.notes:
        progress.note(note)
    return made


def _read(kept: dict[str, Any]) -> Prompted:
    guesses = tuple(
        Guesses(one["name"], "baseline", np.array(one["predicted"], dtype=int), one["seconds"])
        for one in kept["answers"]
    )
    return Prompted(guesses, tuple(kept["asked"]), kept["best"], kept["usd"], tuple(kept["notes"]))


def _sample(data: Data) -> Sample:
    train, dev, test = data.places
    return Sample(
        data.rows,
        data.every.labels,
        data.names,
        data.every.embeddings,
        (Fold(train, dev, test),),
        data.how,
        len(data.rows),
        data.embed_seconds / max(len(data.rows), 1),
    )
