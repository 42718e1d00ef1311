"""Loads a finished model and answers one ticket, before and after training (`trainwise try`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.artifacts import find_model, read_card
from finetune.data.redact import redact_texts
from finetune.errors import CorruptModel
from finetune.hosted import Endpoint, FindEndpoint, is_hosted, no_endpoint, refuse_hosted
from finetune.tasks import Prediction, Task, task_of


@dataclass(frozen=True)
class BeforeAfter:
    """The same ticket before and after training; `before` is None where nothing could answer before."""

    before: Prediction | None
    after: Prediction


def load(folder: Path) -> Any:
    """The finished model in a job's folder, as its task loads it."""
    card = read_card(find_model(folder))
    refuse_hosted(card, "loaded")
    return task_of(card).load(folder)


def try_text(folder: Path, text: str, top: int = 3) -> Prediction:
    """One answer of the tuned model in `folder`; `top` is the number of classes told with probabilities."""
    card = read_card(find_model(folder))
    refuse_hosted(card, "loaded")
    task = task_of(card)
    return _predict(task, task.load(folder), text, top, "tuned")


def try_both(folder: Path, text: str, top: int = 3, find_endpoint: FindEndpoint = no_endpoint) -> BeforeAfter:
    """The ticket answered by the baseline from before training and by the tuned model, which a platform may host.

    Before is, for triage, the baseline kept in the job's `before`; for reply the base model as it was
    (nothing for a model from scratch, or a hosted one).
    """
    place = find_model(folder)
    card = read_card(place)
    task = task_of(card)
    earlier = task.load_before(place)
    before = _predict(task, earlier[0], text, top, earlier[1]) if earlier else None
    if is_hosted(card):
        return BeforeAfter(before, _ask(task, card, text, find_endpoint(card)))
    return BeforeAfter(before, _predict(task, task.load(place), text, top, f"tuned, {card['method']}"))


def _ask(task: Task, card: Mapping[str, Any], text: str, endpoint: Endpoint) -> Prediction:
    if task.at_platform is None:
        raise CorruptModel(f"The task `{task.name}` has no hosted models in this version.")
    began = time.perf_counter()
    (text,) = redact_texts([text])  # it is sent to the platform, as the training rows were
    answer = task.at_platform.read(endpoint.ask_once(task.at_platform.question(text)), card)
    name = f"tuned, {card['base_model']} at {endpoint.label}"
    return Prediction(task.name, answer, seconds=time.perf_counter() - began, name=name)


def _predict(task: Task, model: Any, text: str, top: int, name: str) -> Prediction:
    return replace(task.predict(model, text, top), name=name)
