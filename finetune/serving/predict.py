"""A tuned model, put to use: load what a job left and answer one ticket, before and after (`trainwise try`)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artifacts import BEFORE, CARD, find_model, read_card


@dataclass(frozen=True)
class Tried:
    """One model's answer to one text; for triage also the likeliest classes with probabilities."""

    task: str
    answer: str
    ranked: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Sides:
    """The same ticket before and after training; `before` is None where nothing could answer before."""

    before: Tried | None
    after: Tried


def load(folder: Path) -> Any:
    """The model in a job's folder: TunedTriage, TunedLinear, Blended or TunedReply."""
    if read_card(find_model(folder))["task"] == "reply":
        from finetune.tasks.reply import model as reply

        return reply.load_tuned(folder)
    from finetune.tasks.triage import model as triage

    return triage.load_tuned(folder)


def try_text(folder: Path, text: str, top: int = 3) -> Tried:
    """One answer of the tuned model in `folder`."""
    return answer(load(folder), text, top, "tuned")


def try_both(folder: Path, text: str, top: int = 3) -> Sides:
    """The ticket answered by what there was before training and by the tuned model.

    Before is, for triage, the baseline kept in the job's `before`; for reply the base model as it was
    (nothing for a model from scratch).
    """
    place = find_model(folder)
    return Sides(
        _before(place, text, top), answer(load(place), text, top, f"tuned, {read_card(place)['method']}")
    )


def answer(model: Any, text: str, top: int, name: str) -> Tried:
    """One text through a loaded model."""
    began = time.perf_counter()
    if hasattr(model, "answers"):
        said = model.answers([text])[0]
        return Tried("reply", said, seconds=time.perf_counter() - began, name=name)
    scores = model.probabilities([text])[0]
    ranked = sorted(zip(model.classes, map(float, scores), strict=True), key=lambda pair: -pair[1])[:top]
    return Tried("triage", ranked[0][0], tuple(ranked), time.perf_counter() - began, name)


def _before(place: Path, text: str, top: int) -> Tried | None:
    kept = place.parent / BEFORE
    if (kept / CARD).is_file():
        from finetune.methods.linear import load_linear

        card = read_card(kept)
        return answer(load_linear(kept, card), text, top, card.get("name", "before"))
    card = read_card(place)
    if card["task"] != "reply" or card["method"] == "scratch":
        return None
    from finetune.tasks.reply.model import as_it_was

    return answer(as_it_was(card), text, top, "base model, untuned")
