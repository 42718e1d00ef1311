"""The kind `finetune`: train a model on a dataset and measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.kinds.job_kind import JobKind, JobSpec, Report

if TYPE_CHECKING:
    from worker.runtime.attempt import Work


def run(work: Work) -> Report:
    """Runs finetune.pipeline.run on the rows that the job names; prompts are scored where `work.llm` is set.

    Where the rows came without those to hold out, it only trains.
    """
    from finetune.data.store import DatasetStore
    from finetune.pipeline import run as run_finetune
    from finetune.pipeline import train
    from finetune.pricing import Rates
    from finetune.spec import Spec

    spec = Spec.from_json(work.envelope.spec)
    tickets = DatasetStore(work.datasets_url).tickets(spec.digest or work.envelope.dataset)
    rates = Rates(work.price_per_hour, work.prices)
    if work.choosing is not None:
        return train(spec, tickets, work.choosing, work.folder, work.emit, work.should_stop, rates)
    return run_finetune(spec, tickets, work.folder, work.emit, work.should_stop, rates, llm=work.llm)


def recipe(spec: JobSpec) -> list[str]:
    """Method and base model, epochs."""
    epochs = spec.get("epochs")
    return [
        f"{spec.get('method', '')} on {spec.get('base_model', '')}".strip(" on"),
        f"{epochs} epoch{'s' if epochs != 1 else ''}" if epochs else "",
    ]


PHASES = (
    ("loading", 0.10),
    ("baselines", 0.02),
    ("training", 0.81),
    ("evaluating", 0.06),
    ("reporting", 0.01),
)
"""Measured 2026-11-29: LoRA on the bundled tickets, one thread of a busy machine, 375 s in all."""

KIND = JobKind(
    "finetune",
    "Fine-tune",
    run,
    recipe=recipe,
    phases=PHASES,
    uses_llm=True,
    over_gpus=True,
    leaves_model=True,
    trains_without_test_rows=True,
)
