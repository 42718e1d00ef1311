"""What one fine-tune is asked to do: a small typed recipe, its defaults and the checks that name a field.

Imports neither torch nor transformers: the bot builds its modal and validates its answers with this file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from finetune.errors import FinetuneError

TASKS = {
    "triage": "Triage: ticket text to queue or intent",
    "reply": "Reply: ticket to answer",
}
METHODS = {
    "lora": "LoRA adapter (recommended)",
    "linear": "Linear on frozen embeddings (seconds)",
    "full": "Full fine-tuning",
    "scratch": "Small model from scratch",
    "qlora": "QLoRA, 4-bit (needs an NVIDIA GPU)",
}
BASE_MODELS = {
    "minilm": "MiniLM (packaged, 22M, triage)",
    "tiny-llama": "Llama-style from scratch, 12M",
    "tiny-mistral": "Mistral-style from scratch, 12M",
    "tiny-qwen": "Qwen-style from scratch, 12M",
    "tiny-gpt2": "GPT-2-style from scratch, 12M",
    "tiny-bert": "BERT-style from scratch, 6M (triage)",
}
SHAPES = tuple(name for name in BASE_MODELS if name.startswith("tiny-"))
PRECISIONS = ("auto", "bf16", "fp32")
HEADS = ("cosine", "linear")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
HUB_MODEL = re.compile(rf"({HUB_ID.pattern})(?:@([0-9a-f]{{40}}))?")  # as of one commit, or the newest
FULL_TUNING_RATE = 2e-5  # the guide's; LoRA wants about ten times as much
COSINE_HEAD_RATE = 1e-3  # measured on BANKING77: docs/performance.md


class SpecError(FinetuneError):
    """The form has wrong fields; `problems` maps each field to a sentence fit for Slack's modal."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("\n".join(f"{field}: {message}" for field, message in self.problems.items()))


@dataclass(frozen=True)
class Spec:
    """One validated run; equal specs on equal rows give equal metrics (`seed` fixes every draw)."""

    dataset: str
    digest: str = ""
    task: str = "triage"
    base_model: str = "minilm"
    method: str = "lora"
    epochs: int = 5
    learning_rate: float = COSINE_HEAD_RATE
    batch_size: int = 32
    max_length: int = 256
    seed: int = 7
    budget_usd: float | None = None
    accumulate: int = 1
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    patience: int = 2
    precision: str = "auto"
    head: str = "cosine"
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    packing: bool = False
    blend: bool = True
    max_new_tokens: int = 96

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` turns back into an equal Spec."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        """The Spec that `to_json` wrote, validated again; SpecError on fields it does not know."""
        return parse_spec(data)

    @property
    def recipe_digest(self) -> str:
        """sha256 over every field: the same recipe on the same rows has the same one."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def steps(self, rows: int) -> int:
        """Optimiser steps for that many training rows (0 for `linear`, which solves in one go)."""
        if self.method == "linear":
            return 0
        return self.epochs * max(1, math.ceil(rows / (self.batch_size * self.accumulate)))


def parse_spec(form: Mapping[str, Any]) -> Spec:
    """The Spec of a modal's or command line's values; blank fields take the method's defaults.

    Numbers may come as text. Raises SpecError with one message per wrong field, all at once.
    """
    given = {name: value for name, value in form.items() if not _blank(value)}
    problems = {name: "There is no such setting." for name in given if name not in _NAMES}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in problems:
            continue
        try:
            values[name] = _PARSERS[name](value)
        except ValueError as wrong:
            problems[name] = str(wrong)
    if "dataset" not in values and "dataset" not in problems:
        problems["dataset"] = "Choose a dataset: `trainwise datasets list` names them."
    spec = replace(defaults(values), **values)
    problems |= {name: text for name, text in _conflicts(spec).items() if name not in problems}
    if problems:
        raise SpecError(problems)
    return spec


def defaults(chosen: Mapping[str, Any]) -> Spec:
    """The recipe's defaults for the task and method in `chosen`; the rates are explained in decisions."""
    task = chosen.get("task", "triage")
    method = chosen.get("method", "scratch" if task == "reply" and "base_model" not in chosen else "lora")
    base = chosen.get("base_model", _default_base(task, method))
    spec = Spec(dataset="", task=task, method=method, base_model=base)
    if task == "reply":
        spec = replace(spec, epochs=3, batch_size=16, max_length=1024, head="linear")
    return replace(spec, learning_rate=_rate(spec))


def hub_id_of(base_model: str) -> tuple[str, str | None]:
    """(hub id, commit); what is no hub id stays as it is, and None stands for the newest commit."""
    found = HUB_MODEL.fullmatch(base_model)
    return (found[1], found[2]) if found else (base_model, None)


def _default_base(task: str, method: str) -> str:
    if task == "reply":
        return "tiny-llama"
    return "tiny-bert" if method == "scratch" else "minilm"


def _rate(spec: Spec) -> float:
    """LoRA about ten times the guide's full-tuning rate; the cosine head and random weights want more."""
    if spec.method == "scratch":
        return 1e-3
    if spec.method in ("lora", "qlora"):
        return COSINE_HEAD_RATE if spec.task == "triage" else 10 * FULL_TUNING_RATE
    return 1e-4 if spec.base_model == "minilm" else FULL_TUNING_RATE


def _conflicts(spec: Spec) -> dict[str, str]:
    """Fields that are fine alone and wrong together."""
    found: dict[str, str] = {}
    if spec.task == "reply" and spec.method == "linear":
        found["method"] = "`linear` sorts tickets, it cannot write replies. Choose lora, full or scratch."
    if spec.task == "reply" and spec.base_model in ("minilm", "tiny-bert"):
        found["base_model"] = f"`{spec.base_model}` reads but cannot write. Choose a causal model."
    if spec.method == "scratch" and spec.base_model not in SHAPES:
        found["base_model"] = "`scratch` starts from a shape: " + ", ".join(SHAPES) + "."
    if spec.method != "scratch" and spec.base_model in SHAPES:
        found["base_model"] = f"`{spec.base_model}` has no trained weights: choose the method `scratch`."
    if spec.method == "linear" and spec.base_model != "minilm":
        found["base_model"] = "`linear` works on the packaged embeddings: leave the base model at minilm."
    return found


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: Any) -> str:
    return str(value).strip()


def _one_of(choices: Any) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if _text(value) not in choices:
            raise ValueError(f"`{_text(value)[:60]}` is not known. Choose one of: {', '.join(choices)}.")
        return _text(value)

    return parse


def _base_model(value: Any) -> str:
    name = _text(value)
    if name in BASE_MODELS or HUB_MODEL.fullmatch(name) or name.startswith(("/", "./", "../", "~/")):
        return name
    raise ValueError(
        f"`{name[:60]}` is not a model we know. Use {', '.join(BASE_MODELS)}, a hub id such as "
        "`Qwen/Qwen3-0.6B` (`@` and a whole commit number hold it to that commit), or the path of a folder with config.json and model.safetensors."
    )


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = _finite(value)
        if number != int(number) or not low <= number <= high:
            raise ValueError(f"Give a whole number from {low} to {high}, not `{_text(value)[:40]}`.")
        return int(number)

    return parse


def _between(low: float, high: float) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        number = _finite(value)
        if not low <= number <= high:
            raise ValueError(f"Give a number from {low:g} to {high:g}, not `{_text(value)[:40]}`.")
        return number

    return parse


def _finite(value: Any) -> float:
    try:
        number = float(_text(value).lstrip("$"))
    except ValueError:
        raise ValueError(f"`{_text(value)[:40]}` is not a number.") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"`{_text(value)[:40]}` is not a number.")
    return number


def _yes_or_no(value: Any) -> bool:
    answers = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if _text(value).lower() not in answers:
        raise ValueError(f"Say yes or no, not `{_text(value)[:40]}`.")
    return answers[_text(value).lower()]


_NAMES = {field.name for field in fields(Spec)}
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "dataset": _text,
    "digest": _text,
    "task": _one_of(TASKS),
    "base_model": _base_model,
    "method": _one_of(METHODS),
    "epochs": _whole(1, 100),
    "learning_rate": _between(1e-7, 1.0),
    "batch_size": _whole(1, 1024),
    "max_length": _whole(8, 32_768),
    "seed": _whole(0, 2**31 - 1),
    "budget_usd": _between(0.01, 100_000),
    "accumulate": _whole(1, 1024),
    "warmup_ratio": _between(0, 1),
    "weight_decay": _between(0, 1),
    "patience": _whole(1, 100),
    "precision": _one_of(PRECISIONS),
    "head": _one_of(HEADS),
    "lora_rank": _whole(1, 512),
    "lora_alpha": _whole(1, 1024),
    "lora_dropout": _between(0, 0.9),
    "packing": _yes_or_no,
    "blend": _yes_or_no,
    "max_new_tokens": _whole(1, 4096),
}
