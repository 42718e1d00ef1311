"""Replies on a GPU: the adapter as it was trained, many on one base, in vLLM's own container, which is never run live here.

A version holds the weights; `after_publish` writes PLACE/vllm.yml, a service for each base with every version's adapter, started with
draining on. `trainwise serve NAME --engine URL` writes PLACE/vllm.json, and asks vLLM there with its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finetune.data.ticket import Tickets
from finetune.serving.answers import ServedWriter
from finetune.serving.backends import Backend


def publish(
    run: Path,
    report: Mapping[str, Any],
    tickets_of: Callable[[str], Tickets],
    out: Path,
    note: Callable[[str], None],
) -> None:
    """The files as trained, tokenizer and card; nothing is scored, as this machine need not have the GPU."""
    from finetune.serving import publish_reply
    from finetune.tasks.reply.model import load_tuned

    model = load_tuned(run)
    note("exporting")
    card = publish_reply.card_of(model, BACKEND.name, report)
    publish_reply.write_draft(model, out, card)
    card |= publish_reply.copy_weights(run, out)
    note("writing")
    card |= {"form": "as trained", "measured": {"rows": 0, "cpu_ms": {"as trained": 0.0}}}
    section = (
        "The files as trained, for vLLM on a GPU. What vLLM writes was not compared with the evaluated model: it runs in bfloat16 "
        "on another chip, so some replies will differ in words."
    )
    publish_reply.finish(run, out, card, section)


def load(folder: Path, error_rate: float) -> ServedWriter:
    """The version, asked of the vLLM that `vllm.json` beside the served models names."""
    from finetune.serving.vllm_client import VllmClient, model_name
    from finetune.serving.writer import Writer

    version, name, place = folder.name, folder.parents[1].name, folder.parents[2]
    return Writer(folder, lambda card: VllmClient.of(place, model_name(name, version)))


def after_publish(place: Path) -> None:
    """Write the compose file again, with every version that vLLM serves."""
    from finetune.serving.vllm_client import write_compose

    write_compose(place)


BACKEND = Backend("vllm", "reply", publish, load, after_publish, position=200)
