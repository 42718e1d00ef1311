"""A tuned model, put to use: load what a job left and answer one ticket (`trainwise try`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.failures import CorruptModel

CARD = "trainwise.json"


@dataclass(frozen=True)
class Tried:
    """The tuned model's answer to one text; for triage also the likeliest classes with probabilities."""

    task: str
    answer: str
    ranked: tuple[tuple[str, float], ...] = ()


def load(folder: Path) -> Any:
    """The model in a job's folder (or its `model` subfolder): TunedTriage, TunedLinear or TunedReply."""
    place = folder / "model" if (folder / "model" / CARD).is_file() else folder
    card = read_card(place)
    if card["task"] == "reply":
        from finetune.reply import load_reply

        return load_reply(place, card)
    if card["method"] == "linear":
        from finetune.linear import load_linear

        return load_linear(place, card)
    from finetune.triage import load_triage

    return load_triage(place, card)


def read_card(folder: Path) -> dict[str, Any]:
    """The small file that says what the model is; written last, so its absence means half-done work."""
    try:
        card = json.loads((folder / CARD).read_text())
        return {"task": card["task"], "method": card["method"], **card}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptModel(f"{folder} holds no finished model: run the job again.") from error


def try_text(folder: Path, text: str, top: int = 3) -> Tried:
    """One answer of the tuned model in `folder`."""
    model = load(folder)
    if hasattr(model, "answers"):
        return Tried("reply", model.answers([text])[0])
    scores = model.probabilities([text])[0]
    ranked = sorted(zip(model.classes, map(float, scores), strict=True), key=lambda pair: -pair[1])[:top]
    return Tried("triage", ranked[0][0], tuple(ranked))
