"""The kinds `finetune` and `try`: train a model; answer one ticket with a trained one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from finetune.errors import FinetuneError
from worker.jobs.records import TRY
from worker.runtime.attempt import JOB_ID, Work


def finetune_kind(work: Work, ask_llm: Any = None, llm_model: str | None = None) -> dict[str, Any]:
    """A fine-tune: worker -> finetune.pipeline.run; `ask_llm` as for a measurement."""
    from finetune.data.store import DatasetStore
    from finetune.llm import Llm
    from finetune.pipeline import run
    from finetune.spec import Spec

    spec = Spec.from_json(work.envelope.spec)
    tickets = DatasetStore(work.datasets_url).tickets(spec.digest or work.envelope.dataset)
    return run(
        spec,
        tickets,
        work.folder,
        work.emit,
        work.should_stop,
        work.price_per_hour,
        prices=work.prices,
        llm=Llm(ask_llm, llm_model) if ask_llm is not None else None,
    )


def try_kind(work: Work) -> dict[str, Any]:
    """One ticket through a finished job's model, before and after: worker -> finetune.use.try_both."""
    from finetune.errors import CorruptModel
    from finetune.serving.predict import try_both

    asked = work.envelope.spec
    model, root = str(asked["model"]), str(asked["root"])
    if not JOB_ID.fullmatch(root):
        raise FinetuneError("This try names no job.")
    try:
        sides = try_both(work.folder.parents[1] / root, str(asked["text"]))
    except CorruptModel as gone:
        raise CorruptModel(
            f"The files of model {model} are gone or damaged on this worker, so nothing can answer. "
            f"`/jobs retry {model}` trains it again."
        ) from gone
    return {"kind": TRY, "headline": sides.after.answer[:200], **asdict(sides)}
