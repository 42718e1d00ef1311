"""The registry of tasks: a file or folder here with a `TASK` is one, and nothing else has to change.

Importing it loads no training library: a task imports those where it uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.catalog import Architecture
from finetune.errors import CorruptModel
from finetune.registry import entries_of

if TYPE_CHECKING:
    from finetune.data.ticket import Tickets
    from finetune.hosted import Endpoint
    from finetune.llm import Llm
    from finetune.progress import Progress
    from finetune.reports.finetune import FinetuneReport
    from finetune.reports.parts import LossPoint
    from finetune.spec import Spec


@dataclass(frozen=True)
class Prediction:
    """One model's answer to one text; where it chooses among classes, also the likeliest with probabilities."""

    task: str
    answer: str
    ranked: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class HostedModel:
    """A model that a platform has tuned from `base_model` and hosts: where it answers, and what asking it may cost.

    `history` is the loss as the platform told it. `llm` is the language model whose prompts stand beside it, which gets
    what the held-out answers leave of `spend_usd`.
    """

    endpoint: Endpoint
    platform: str
    base_model: str
    spend_usd: float
    history: tuple[LossPoint, ...] = ()
    llm: Llm | None = None

    def llm_after(self, usd: float) -> Llm | None:
        """The language model with what is left once asking the hosted model has cost `usd`; None where nothing is."""
        left = self.spend_usd - usd
        if self.llm is None or left <= 0:
            return None
        return replace(self.llm, spend_usd=min(self.llm.spend_usd, left))

    @property
    def title(self) -> str:
        """How tables call it."""
        return f"{self.base_model}, tuned at {self.endpoint.label}"


Chats = list[tuple[str, str]]


@dataclass(frozen=True)
class HostedTask:
    """A task for a model that a platform tunes: `question` asks about one ticket, `chats` gives questions with answers to
    train on and to validate on, `run(spec, tickets, folder, progress, model)` measures it, `read(text, card)` its answer."""

    question: Callable[[str], str]
    chats: Callable[[Spec, Tickets], tuple[Chats, Chats]]
    run: Callable[[Spec, Tickets, Path, Progress, HostedModel], FinetuneReport]
    read: Callable[[str, Mapping[str, Any]], str]


@dataclass(frozen=True)
class RemoteTraining:
    """A task that a remote machine can train without held-out rows: `Task.run` evaluates the returned model here.

    `sides(spec, tickets)` gives the rows to train on and to choose on, `train(spec, learning, validation, folder, progress)`
    leaves in `folder` what `Task.run` goes on from.
    """

    sides: Callable[[Spec, Tickets], tuple[Tickets, Tickets]]
    train: Callable[[Spec, Tickets, Tickets, Path, Progress], None]


@dataclass(frozen=True)
class Task:
    """One thing that a model can learn to do.

    `run(spec, tickets, folder, progress, llm)` gives what the task measured (the pipeline fills in the
    rest of the report); `load(folder)` the finished
    model; `predict(model, text, top)` its answer; `load_before(place)` the model and name of what could answer before
    training, or None. `ticket_field` is the ticket's field it learns from, `requirement` that in words, `dataset_kind` the
    kind of dataset that has it, `purpose` continues "It ..." on the model card. `default_base` is "" where no trained
    base model is packaged; `defaults` are recipe settings that differ from Spec's; `at_platform` is None where no platform
    can tune for it, `away` where a machine elsewhere has to have all rows; then `recheck(spec, tickets, folder, report)` says how
    far its report can be repeated at home.
    """

    name: str
    label: str
    dataset_kind: str
    ticket_field: str
    requirement: str
    purpose: str
    architecture: Architecture
    run: Callable[[Spec, Tickets, Path, Progress, Llm | None], FinetuneReport]
    load: Callable[[Path], Any]
    predict: Callable[[Any, str, int], Prediction]
    load_before: Callable[[Path], tuple[Any, str] | None]
    default_method: str
    default_base: str
    default_shape: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    position: int = 100
    at_platform: HostedTask | None = None
    remote_training: RemoteTraining | None = None
    recheck: Callable[[Spec, Tickets, Path, Mapping[str, Any]], str] | None = None


def task_of(card: Mapping[str, Any]) -> Task:
    """The task that a saved model learned; CorruptModel where this version does not have it."""
    name = card["task"]
    if name not in TASKS:
        raise CorruptModel(
            f"This model was trained for `{name}`, which is not installed here: it knows {', '.join(TASKS)}."
        )
    return TASKS[name]


TASKS: Mapping[str, Task] = {
    task.name: task for task in sorted(entries_of(__name__, "TASK", Task), key=lambda task: task.position)
}
