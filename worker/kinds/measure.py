"""The kind `measure`: the measured verdict on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from worker.jobs.records import JOB_ID
from worker.kinds.job_kind import JobKind, JobSpec, Report

if TYPE_CHECKING:
    from worker.runtime.attempt import Work


def run(work: Work) -> Report:
    """Measures whether training would pay, with finetune.measurement.run; prompts too where `work.llm` is set.

    The spec's `evidence` is what the ledger knows of jobs on the same rows, `goes_on_from` the measurement whose pilot
    is missing.
    """
    from finetune.data.store import DatasetStore
    from finetune.measurement.evidence import Evidence
    from finetune.measurement.findings import MeasureContext, Request
    from finetune.measurement.run import measure

    spec = work.envelope.spec
    tickets = DatasetStore(work.datasets_url).tickets(spec.get("digest") or work.envelope.dataset)
    bench = MeasureContext(
        folder=work.folder,
        prices=work.prices,
        emit=work.emit,
        should_stop=work.should_stop,
        llm=work.llm,
        evidence=tuple(Evidence.from_json(one) for one in spec.get("evidence") or ()),
        dataset=work.envelope.dataset,
        earlier=_earlier(work, str(spec.get("goes_on_from") or "")),
    )
    return measure(tickets, Request.from_json(spec), bench)


def _earlier(work: Work, job: str) -> Path | None:
    """The folder of the measurement to go on from; its id comes from a form, so it is checked to be one."""
    return work.folder.parents[1] / job if JOB_ID.fullmatch(job) else None


def recipe(spec: JobSpec) -> list[str]:
    """The target and the tickets a month."""
    target, volume = spec.get("target"), spec.get("volume")
    return [
        f"target {target:.0%}" if _is_number(target) else "",
        f"{volume:,.0f} tickets a month" if _is_number(volume) else "",
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PHASES = (
    ("loading", 0.27),
    ("baselines", 0.04),
    ("curve", 0.01),
    ("pilot", 0.66),
    ("evaluating", 0.01),
    ("reporting", 0.01),
)
"""Measured 2026-11-29: the bundled tickets with a LoRA pilot, one thread of a busy machine, 255 s in all."""

KIND = JobKind("measure", "Measurement", run, recipe=recipe, phases=PHASES, uses_llm=True)
