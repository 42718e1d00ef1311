"""The kind `measure`: the measured verdict on a dataset."""

from __future__ import annotations

from typing import Any

from worker.runtime.attempt import Work


def measure_kind(work: Work, ask_llm: Any = None, llm_model: str | None = None) -> dict[str, Any]:
    """A measurement of whether training would pay: worker -> finetune.measure.measure.

    `ask_llm` (finetune/llm.py) adds the prompting rungs: bind it with functools.partial where one is
    configured.
    """
    from finetune.data.store import DatasetStore
    from finetune.measurement.run import measure

    asked = dict(work.envelope.spec)
    tickets = DatasetStore(work.datasets_url).tickets(asked.pop("digest", None) or work.envelope.dataset)
    names = ("target", "volume", "price_per_wrong", "metric", "seed")
    return measure(
        tickets,
        **{name: asked[name] for name in names if name in asked},
        dataset=work.envelope.dataset,
        emit=work.emit,
        should_stop=work.should_stop,
        folder=work.folder,
        prices=work.prices,
        ask_llm=ask_llm,
        llm_model=llm_model,
    )
