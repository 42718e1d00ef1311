"""The kind `measure`: the measured verdict on a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.kinds.job_kind import JobKind, JobSpec, Report

if TYPE_CHECKING:
    from worker.runtime.attempt import Work

ARGUMENTS = ("target", "volume", "price_per_wrong", "metric", "seed")


def run(work: Work) -> Report:
    """Measures whether training would pay, with finetune.measurement.run; prompts too where `work.llm` is set."""
    from finetune.data.store import DatasetStore
    from finetune.measurement.run import measure

    spec, llm = work.envelope.spec, work.llm
    tickets = DatasetStore(work.datasets_url).tickets(spec.get("digest") or work.envelope.dataset)
    return measure(
        tickets,
        **{name: spec[name] for name in ARGUMENTS if name in spec},
        dataset=work.envelope.dataset,
        emit=work.emit,
        should_stop=work.should_stop,
        folder=work.folder,
        prices=work.prices,
        ask_llm=llm.ask if llm else None,
        llm_model=llm.model if llm else None,
    )


def recipe(spec: JobSpec) -> list[str]:
    """The target and the tickets a month."""
    target, volume = spec.get("target"), spec.get("volume")
    return [
        f"target {target:.0%}" if _is_number(target) else "",
        f"{volume:,.0f} tickets a month" if _is_number(volume) else "",
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


KIND = JobKind("measure", "Measurement", run, recipe=recipe, uses_llm=True)
