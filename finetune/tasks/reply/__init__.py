"""Reply: a ticket to the answer that the team would write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.artifacts import read_card
from finetune.hosted import is_hosted
from finetune.methods import method_of
from finetune.tasks import Chats, HostedModel, HostedTask, Prediction, Task

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
    from finetune.tasks.reply.run import run_reply

    return run_reply(spec, tickets, folder, progress, llm)


def load(folder: Path) -> Any:
    """The finished writer in a job's folder."""
    from finetune.tasks.reply.model import load_tuned

    return load_tuned(folder)


def predict(model: Any, text: str, top: int) -> Prediction:
    """The answer to one ticket; `top` has no meaning here."""
    began = time.perf_counter()
    answer = model.answers([text])[0]
    return Prediction("reply", answer, seconds=time.perf_counter() - began)


def load_before(place: Path) -> tuple[Any, str] | None:
    """The base model as it was, where it had trained weights."""
    card = read_card(place)
    if is_hosted(card):
        return None
    if not method_of(card).pretrained:
        return None
    from finetune.tasks.reply.model import as_it_was

    return as_it_was(card), "base model, untuned"


def question(text: str) -> str:
    """The question to a hosted model for one ticket."""
    from finetune.tasks.reply import hosted

    return hosted.question(text)


def chats(spec: Spec, tickets: Tickets) -> tuple[Chats, Chats]:
    """The training and validation chats for a platform."""
    from finetune.tasks.reply import hosted

    return hosted.chats(spec, tickets)


def run_hosted(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, model: HostedModel
) -> FinetuneReport:
    """The task's part of the report of a hosted model."""
    from finetune.tasks.reply import hosted

    return hosted.run(spec, tickets, folder, progress, model)


def read(text: str, card: Mapping[str, Any]) -> str:
    """The reply as it was written."""
    return text


def recheck(spec: Spec, tickets: Tickets, folder: Path, report: Mapping[str, Any]) -> str:
    """What came of writing some of a container's replies again."""
    from finetune.tasks.reply import recheck as replies

    return replies.recheck(spec, tickets, folder, report)


TASK = Task(
    name="reply",
    label="Reply: ticket to answer",
    dataset_kind="reply",
    ticket_field="answer",
    requirement="an answer",
    purpose="drafts answers to support tickets for a person to check",
    architecture="causal",
    run=run,
    load=load,
    predict=predict,
    load_before=load_before,
    default_method="scratch",
    default_base="",
    default_shape="tiny-llama",
    defaults={"epochs": 3, "batch_size": 16, "max_length": 1024, "head": "linear"},
    position=20,
    at_platform=HostedTask(question, chats, run_hosted, read),
    recheck=recheck,
)
