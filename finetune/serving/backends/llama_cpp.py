"""Replies on a CPU: one GGUF file, run by llama.cpp's server in a process beside the serving one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.ticket import Tickets
from finetune.serving.answers import ServedWriter
from finetune.serving.backends import Backend

if TYPE_CHECKING:
    from finetune.serving.writer import Writer

FILE = "model.gguf"


def publish(
    run: Path,
    report: Mapping[str, Any],
    tickets_of: Callable[[str], Tickets],
    out: Path,
    note: Callable[[str], None],
) -> None:
    """The merged model in the smallest form whose replies equal the evaluated model's."""
    from finetune.serving import gguf_file, publish_reply
    from finetune.tasks.reply.model import load_tuned

    model = load_tuned(run)
    note("exporting")
    card = publish_reply.card_of(model, BACKEND.name, report)
    publish_reply.write_draft(model, out, card)
    words = model.tokenizer.backend_tokenizer.to_str()
    note("scoring")
    tickets = publish_reply.held_out_tickets(report, tickets_of)
    reference = model.answers(tickets)

    def write(form: str) -> Path:
        gguf_file.write_gguf(model.body, words, card["ids"], out / FILE, form)
        return out / FILE

    file, facts = publish_reply.smallest_form(
        gguf_file.FORMS, write, lambda _: _replies(out, tickets), reference
    )
    note("writing")
    form = facts["form"]
    figures = {
        "rows": len(tickets),
        "same_answer_as_evaluated": facts["same"][form],
        "same_answer_by_form": facts["same"],
        "cpu_ms": facts["cpu_ms"],
        "bytes": file.stat().st_size,
    }
    section = (
        f"One GGUF file for llama.cpp, {form}, with the adapter folded in. On {len(tickets)} held-out tickets "
        f"{facts['same'][form]:.1%} of the replies are word for word the evaluated model's, at {facts['cpu_ms'][form]:.0f} CPU ms each."
    )
    publish_reply.finish(run, out, card | {"form": form, "measured": figures}, section)


def _replies(folder: Path, tickets: list[str]) -> tuple[list[str], float]:
    """What the version in `folder` writes, and the engine's CPU milliseconds for one ticket."""
    import psutil

    writer = _open(folder)
    engine: Any = writer.engine
    process = psutil.Process(engine.pid)
    began = sum(process.cpu_times()[:2])
    texts = [writer.answer(ticket).text for ticket in tickets]
    used = sum(process.cpu_times()[:2]) - began
    engine.close()
    return texts, 1000 * used / max(1, len(tickets))


def _open(folder: Path) -> Writer:
    from finetune.serving.llama_process import LlamaProcess
    from finetune.serving.writer import Writer

    return Writer(
        folder,
        lambda card: LlamaProcess(
            folder / FILE, int(card["max_length"]), float(card.get("repetition_penalty", 1.0))
        ),
    )


def load(folder: Path, error_rate: float) -> ServedWriter:
    """The version, with its engine running; a reply promises no error rate, a person checks each."""
    return _open(folder)


BACKEND = Backend("llama-cpp", "reply", publish, load)
