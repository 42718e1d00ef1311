"""The recipe of a fine-tune: typed fields, defaults, and checks that name the field.

Imports neither torch nor transformers: the bot builds its modal and validates its answers with this file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from finetune.catalog import BASE_MODELS, FOLDER_STARTS, HUB_MODEL, SHAPES
from finetune.errors import FinetuneError, did_you_mean
from finetune.methods import METHODS
from finetune.tasks import TASKS

DEFAULT_TASK = "triage"
DEFAULT_METHOD = TASKS[DEFAULT_TASK].default_method
PRECISIONS = ("auto", "bf16", "fp32")
HEADS = ("cosine", "linear")


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
    task: str = DEFAULT_TASK
    base_model: str = "minilm"
    method: str = DEFAULT_METHOD
    epochs: int = 5
    learning_rate: float = 1e-3
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
        """Optimiser steps for that many training rows (0 for a method that solves in one go)."""
        if METHODS[self.method].network is None:
            return 0
        return self.epochs * max(1, math.ceil(rows / (self.batch_size * self.accumulate)))


def parse_spec(form: Mapping[str, Any]) -> Spec:
    """The Spec of a modal's or command line's values; blank fields take the method's defaults.

    Numbers may come as text. Raises SpecError with one message per wrong field, all at once.
    """
    entries = {name: value for name, value in form.items() if not _blank(value)}
    problems = {
        name: f"There is no such setting.{did_you_mean(name, _NAMES)}"
        for name in entries
        if name not in _NAMES
    }
    values: dict[str, Any] = {}
    for name, value in entries.items():
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


def defaults(values: Mapping[str, Any]) -> Spec:
    """The recipe's defaults for the task, method and base model in `values`; decisions explain the rates.

    The base model is "" where the method needs a pretrained one and none is packaged for the task.
    """
    task = TASKS[values.get("task", DEFAULT_TASK)]
    base = values.get("base_model")
    method = METHODS[values.get("method") or _method_for(task.default_method, base)]
    if base is None:
        base = task.default_base if method.pretrained else task.default_shape
    spec = Spec(dataset="", task=task.name, method=method.name, base_model=base)
    rate = method.learning_rate(task.architecture, base)
    return replace(spec, **{"learning_rate": rate, **task.defaults})


def default_task(dataset_kind: str) -> str:
    """The first task that learns from this kind of tickets; the kind itself where none does."""
    return next((name for name, task in TASKS.items() if task.dataset_kind == dataset_kind), dataset_kind)


@dataclass(frozen=True)
class Choices:
    """What a form may offer for one kind of tickets, so that whatever is picked goes together.

    `base_models` is empty where the method has no choice of one, `epochs` None where it knows none;
    `takes_hub_model`: any other pretrained model may be named instead.
    """

    tasks: tuple[str, ...]
    task: str
    methods: tuple[str, ...]
    method: str
    base_models: tuple[str, ...]
    base_model: str
    takes_hub_model: bool
    epochs: int | None


def choices_for(dataset_kind: str, values: Mapping[str, str], has_gpu: bool = True) -> Choices:
    """The choices that are left once `values` (task, method, base_model) are picked; what does not fit is replaced."""
    tasks = tuple(name for name, task in TASKS.items() if task.dataset_kind == dataset_kind) or tuple(TASKS)
    value = values.get("task", "")
    task = TASKS[value if value in tasks else tasks[0]]
    methods = tuple(
        name
        for name, method in METHODS.items()
        if (method.network or task.architecture == "encoder") and (has_gpu or not method.needs_gpu)
    )
    value = values.get("method", "")
    method = METHODS[value if value in methods else task.default_method]
    bases = tuple(name for name, base in BASE_MODELS.items() if base.pretrained == method.pretrained)
    bases = tuple(name for name in bases if BASE_MODELS[name].architecture == task.architecture)
    spec = defaults({"task": task.name, "method": method.name})
    value = values.get("base_model", "")
    return Choices(
        tasks,
        task.name,
        methods,
        method.name,
        bases if method.network else (),
        value if value in bases else spec.base_model,
        method.network is not None and method.pretrained,
        spec.epochs if method.network else None,
    )


def _method_for(default: str, base_model: str | None) -> str:
    """The task's default method; with a base model named, one that can start from it."""
    if base_model is None or METHODS[default].pretrained == (base_model not in SHAPES):
        return default
    able = [name for name, one in METHODS.items() if one.network and one.pretrained != (base_model in SHAPES)]
    return DEFAULT_METHOD if DEFAULT_METHOD in able else able[0]


def _conflicts(spec: Spec) -> dict[str, str]:
    """Errors from combinations of fields, by field."""
    task, method, problems = TASKS[spec.task], METHODS[spec.method], {}
    base = BASE_MODELS.get(spec.base_model)
    if method.network is None and task.architecture == "causal":
        networks = ", ".join(name for name, one in METHODS.items() if one.network)
        return {"method": f"`{method.name}` sorts tickets, it cannot write replies. Choose {networks}."}
    if not spec.base_model:
        problems["base_model"] = (
            f"`{method.name}` starts from a trained model and none is packaged for `{task.name}`: name one of the hub, for "
            f"example Qwen/Qwen3-0.6B, or choose the method {_from_shapes()}."
        )
    elif not method.pretrained and spec.base_model not in SHAPES:
        problems["base_model"] = f"`{method.name}` starts from a shape: {', '.join(SHAPES)}."
    elif method.pretrained and spec.base_model in SHAPES:
        problems["base_model"] = (
            f"`{spec.base_model}` has no trained weights: choose the method {_from_shapes()}."
        )
    if task.architecture == "causal" and base is not None and base.architecture != "causal":
        problems["base_model"] = f"`{spec.base_model}` reads but cannot write. Choose a causal model."
    return method.conflicts(spec) | problems


def _from_shapes() -> str:
    return " or ".join(f"`{name}`" for name, method in METHODS.items() if not method.pretrained)


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: Any) -> str:
    return str(value).strip()


def _one_of(choices: Any) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if _text(value) not in choices:
            hint = did_you_mean(_text(value), choices) or f" Choose one of: {', '.join(choices)}."
            raise ValueError(f"`{_text(value)[:60]}` is not known.{hint}")
        return _text(value)

    return parse


def _base_model(value: Any) -> str:
    name = _text(value)
    if name in BASE_MODELS or HUB_MODEL.fullmatch(name) or name.startswith(FOLDER_STARTS):
        return name
    raise ValueError(
        f"`{name[:60]}` is not a model we know.{did_you_mean(name, BASE_MODELS)} Use {', '.join(BASE_MODELS)}, a hub id such as "
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
