"""Triage: a ticket's text to its queue or intent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.artifacts import BEFORE, CARD, read_card
from finetune.methods import method_of
from finetune.tasks import Chats, HostedModel, HostedTask, Prediction, RemoteTraining, Task

if TYPE_CHECKING:
    from finetune.data.ticket import Tickets
    from finetune.llm import Llm
    from finetune.progress import Progress
    from finetune.reports.finetune import FinetuneReport
    from finetune.spec import Spec


def run(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, llm: Llm | None = None
) -> FinetuneReport:
    """The task's part of the report."""
    from finetune.tasks.triage.run import run_triage

    return run_triage(spec, tickets, folder, progress, llm)


def load(folder: Path) -> Any:
    """The finished classifier in a job's folder."""
    from finetune.tasks.triage.model import load_tuned

    return load_tuned(folder)


def predict(model: Any, text: str, top: int) -> Prediction:
    """The likeliest queue, and the `top` likeliest with their probabilities."""
    began = time.perf_counter()
    scores = model.probabilities([text])[0]
    ranking = sorted(zip(model.classes, map(float, scores), strict=True), key=lambda pair: -pair[1])[:top]
    return Prediction("triage", ranking[0][0], tuple(ranking), time.perf_counter() - began)


def load_before(place: Path) -> tuple[Any, str] | None:
    """The baseline that the job kept beside its model, and its name."""
    folder = place.parent / BEFORE
    if not (folder / CARD).is_file():
        return None
    card: Mapping[str, Any] = read_card(folder)
    solver = method_of(card).solver
    return (solver.load(folder, dict(card)), str(card.get("name", "before"))) if solver else None


def question(text: str) -> str:
    """The question to a hosted model for one ticket."""
    from finetune.tasks.triage import hosted

    return hosted.question(text)


def chats(spec: Spec, tickets: Tickets) -> tuple[Chats, Chats]:
    """The training and validation chats for a platform."""
    from finetune.tasks.triage import hosted

    return hosted.chats(spec, tickets)


def run_hosted(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, model: HostedModel
) -> FinetuneReport:
    """The task's part of the report of a hosted model."""
    from finetune.tasks.triage import hosted

    return hosted.run(spec, tickets, folder, progress, model)


def read(text: str, card: Mapping[str, Any]) -> str:
    """The queue that an answer names; the answer itself where it names none."""
    from finetune.evaluation.prompting import read_answer

    classes = [str(name) for name in card.get("classes", ())]
    number = read_answer(text, classes)
    return classes[number] if number >= 0 else text


def sides(spec: Spec, tickets: Tickets) -> tuple[Tickets, Tickets]:
    """The rows to upload to a remote machine: training and validation rows."""
    from finetune.tasks.triage import remote_training

    return remote_training.sides(spec, tickets)


def train_remotely(
    spec: Spec, learning: Tickets, validation: Tickets, folder: Path, progress: Progress
) -> None:
    """The training there."""
    from finetune.tasks.triage import remote_training

    remote_training.train(spec, learning, validation, folder, progress)


TASK = Task(
    name="triage",
    label="Triage: ticket text to queue or intent",
    dataset_kind="triage",
    ticket_field="label",
    requirement="a label (queue)",
    purpose="sorts support tickets into {classes} queues",
    architecture="encoder",
    run=run,
    load=load,
    predict=predict,
    load_before=load_before,
    default_method="lora",
    default_base="minilm",
    default_shape="tiny-bert",
    position=10,
    at_platform=HostedTask(question, chats, run_hosted, read),
    remote_training=RemoteTraining(sides, train_remotely),
)
