"""A tuned model, put to use: load what a job left and answer one ticket, before and after (`trainwise try`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.artifacts import find_model, read_card
from finetune.tasks import Prediction, Task, task_of


@dataclass(frozen=True)
class BeforeAfter:
    """The same ticket before and after training; `before` is None where nothing could answer before."""

    before: Prediction | None
    after: Prediction


def load(folder: Path) -> Any:
    """The finished model in a job's folder, as its task loads it."""
    return task_of(read_card(find_model(folder))).load(folder)


def try_text(folder: Path, text: str, top: int = 3) -> Prediction:
    """One answer of the tuned model in `folder`; `top` is the number of classes told with probabilities."""
    task = task_of(read_card(find_model(folder)))
    return _predict(task, task.load(folder), text, top, "tuned")


def try_both(folder: Path, text: str, top: int = 3) -> BeforeAfter:
    """The ticket answered by what there was before training and by the tuned model.

    Before is, for triage, the baseline kept in the job's `before`; for reply the base model as it was
    (nothing for a model from scratch).
    """
    place = find_model(folder)
    card = read_card(place)
    task = task_of(card)
    earlier = task.load_before(place)
    before = _predict(task, earlier[0], text, top, earlier[1]) if earlier else None
    return BeforeAfter(before, _predict(task, task.load(place), text, top, f"tuned, {card['method']}"))


def _predict(task: Task, model: Any, text: str, top: int, name: str) -> Prediction:
    return replace(task.predict(model, text, top), name=name)
