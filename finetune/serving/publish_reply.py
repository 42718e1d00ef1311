"""Publishes a reply run: writes the engine's files and compares its replies with the evaluated ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import find_model, read_card, write_whole
from finetune.catalog import hub_id_of, published_name
from finetune.data.ticket import Tickets
from finetune.errors import ExportError
from finetune.methods import method_of
from finetune.serving.export import MODEL_CARD
from finetune.serving.versions import SERVED
from finetune.serving.writer import WORDS
from finetune.spec import Spec

COMPARED = 40  # held-out tickets that both forms write to; writing is slow
MIN_SAME = 0.99  # of the answers word for word, for a form smaller than float32
MIN_SERVED = 0.9  # of the answers word for word, below which nothing is served


def card_of(model: Any, backend: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """What every engine's version says: how a prompt is made, how long an answer is, on which rows it learned."""
    before, after = model.encoder.frame()
    ids = {name: getattr(model.tokenizer, f"{name}_token_id") for name in ("eos", "bos", "pad")}
    return {
        "backend": backend,
        "task": "reply",
        "before": before,
        "after": after,
        "ids": ids,
        "max_length": model.encoder.max_length,
        "max_new_tokens": model.max_new_tokens,
        "repetition_penalty": float(getattr(model.body.generation_config, "repetition_penalty", None) or 1.0),
        "dataset": {name: report["dataset"].get(name) for name in ("name", "digest")},
    }


def held_out_tickets(report: Mapping[str, Any], tickets_of: Callable[[str], Tickets]) -> list[str]:
    """Some of the tickets that the run was scored on, as it cut them."""
    from finetune.tasks.reply.data import prepare

    spec = Spec.from_json(report["spec"])
    test = prepare(spec, tickets_of(str(report["dataset"]["digest"]))).test
    rows = np.random.default_rng([spec.seed, 12]).permutation(len(test))[:COMPARED]
    return [test.tickets[int(at)] for at in sorted(rows)]


def write_draft(model: Any, out: Path, card: Mapping[str, Any]) -> None:
    """Tokenizer and card, so that the folder can be opened as it will be served."""
    (out / SERVED).write_text(json.dumps(card))
    model.tokenizer.backend_tokenizer.save(str(out / WORDS))


def same_share(first: Sequence[str], second: Sequence[str]) -> float:
    """The share of tickets with the same reply, word for word."""
    return sum(one == two for one, two in zip(first, second, strict=True)) / max(1, len(first))


def smallest_form(
    forms: Sequence[str], write: Callable[[str], Path], measure: Callable[[Path], tuple[list[str], float]],
    reference: Sequence[str],
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """The first form, the smallest first, that writes what was evaluated; the last one where none does and it is near enough.

    `write` gives a form's file, `measure` its replies and CPU milliseconds a ticket. Raises ExportError.
    """
    shares: dict[str, float] = {}
    times: dict[str, float] = {}
    for form in forms:
        file = write(form)
        replies, times[form] = measure(file)
        shares[form] = same_share(replies, reference)
        is_last = form == forms[-1]
        if shares[form] >= (MIN_SERVED if is_last else MIN_SAME):
            facts = {"form": form, "same": shares, "cpu_ms": times}
            return file, facts
        file.unlink()
    raise ExportError(
        f"llama.cpp writes {1 - shares[forms[-1]]:.0%} of the held-out replies otherwise than the model that was scored, so it is "
        "not served. Serve it on a GPU: --backend vllm."
    )


def finish(job: Path, out: Path, card: dict[str, Any], section: str) -> None:
    """The run's model card with a section on what is served, and served.json last."""
    places = [place for place in (job, job.parent, *job.glob("*")) if (place / MODEL_CARD).is_file()]
    text = (places[0] / MODEL_CARD).read_text() if places else "# Served model\n"
    (out / MODEL_CARD).write_text(f"{text}\n## As it is served\n\n{section}\n")
    write_whole(out / SERVED, json.dumps(card))


def copy_weights(job: Path, out: Path) -> dict[str, Any]:
    """The model's files as trained, and what they are: a LoRA `adapter` with its base by hub id and commit, or a whole `model`."""
    place = find_model(job)
    card = read_card(place)
    is_adapter = method_of(card).adapter
    name = "adapter" if is_adapter else "model"
    shutil.copytree(place, out / name, ignore=shutil.ignore_patterns("checkpoints"))
    if not is_adapter:
        return {"weights": name, "base": "", "commit": None, "rank": 0}
    base, commit = hub_id_of(published_name(str(card["base_model"])))
    file = out / name / "adapter_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"base_model_name_or_path": base, "revision": commit}, indent=1))
    return {"weights": name, "base": base, "commit": commit, "rank": int(settings["r"])}
