"""The estimate of a fine-tune: weights, memory, time and cost, and whether any worker can run it.

Pure but for the size of a hub's base model, which the caller may pass in. Covers training, embedding and evaluation;
does not cover the time in the queue or a language model's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.catalog import BASE_MODELS, SHAPES
from finetune.data.card import Card
from finetune.data.drawing import MAX_ROWS
from finetune.device import GIB
from finetune.methods import METHODS, Method
from finetune.model_size import ModelSize, size_of
from finetune.pricing import CostError, TrainingWork, cheapest_gpu, gpu, training_by_arithmetic
from finetune.spec import Spec
from finetune.tasks import TASKS
from finetune.training.micro_batches import attention_factor

CHARS_PER_TOKEN = 4.2
ANSWER_TOKENS = 60.0  # of a written answer, beside its ticket
TEMPLATE_TOKENS = 8.0
CPU_GFLOPS = (
    70.0,
    150.0,
)  # of one core, without bfloat16 and with it; measured jobs fall inside (docs/performance.md)
START_S = 10.0  # loading, report
MEASURED_SMALL, SMALL_S, LARGE_S = (
    12_000,
    270.0,
    840.0,
)  # rows; seconds of work of a measurement up to there, and beyond
LIBRARIES_GIB = (
    2.0  # Python, torch and what passes through the network at once (finetune/training/micro_batches.py)
)


@dataclass(frozen=True)
class Machine:
    """One worker's memory in GiB: RAM and its largest GPU (0: none)."""

    name: str
    memory_gib: float
    gpu_gib: float = 0.0

    @classmethod
    def from_health(cls, health: Mapping[str, Any]) -> Machine | None:
        """The machine from a worker's health; None for a worker of an older version."""
        memory, gpu_gib = health.get("memory_gib"), health.get("gpu_gib")
        if not isinstance(memory, int | float) or not isinstance(gpu_gib, int | float):
            return None
        return cls(str(health.get("name", "?")), float(memory), float(gpu_gib))

    @property
    def training_gib(self) -> float:
        """The memory that the model has to fit into."""
        return self.gpu_gib or self.memory_gib


@dataclass(frozen=True)
class RunEstimate:
    """Seconds of one core of a CPU worker from low to high, dollars there at most, memory in GiB, the same on a rented GPU.

    `size.parameters` None: the base model's size is not known, and neither is anything else but `tokens`, those of all rows
    times the epochs, which a platform that tunes by itself is paid for.
    """

    size: ModelSize
    seconds: tuple[float, float] = (0.0, 0.0)
    usd: float = 0.0
    memory_gib: float = 0.0
    gpu_name: str = ""
    gpu_seconds: float = 0.0
    gpu_usd: float = 0.0
    tokens: float = 0.0


def estimate_run(
    spec: Spec, card: Card, prices: Mapping[str, Any], size: Callable[[str], ModelSize] = size_of
) -> RunEstimate:
    """The estimate of a validated recipe on a dataset."""
    weights, rows = size(spec.base_model), min(card.rows, MAX_ROWS)
    rows_tokens = tokens_a_row(spec, card) * rows * spec.epochs
    if weights.parameters is None:
        return RunEstimate(weights, tokens=rows_tokens)
    method = METHODS[spec.method]
    tokens = tokens_of(spec, card)
    flops = method.flops_per_token * _multiplications(spec, card, weights.parameters) * tokens
    slow, fast = (flops / (rate * 1e9) + START_S for rate in CPU_GFLOPS)
    usd = slow / 3600 * float(prices.get("cpu_hour", {}).get("usd", 0))
    memory = memory_gib(method, weights.parameters)
    estimate = RunEstimate(weights, (fast, slow), usd, memory, tokens=rows_tokens)
    try:
        name = cheapest_gpu(prices)
        work = TrainingWork(weights.parameters, tokens, method.flops_per_token, method.mfu)
        on_gpu = training_by_arithmetic(prices, name, work)
    except CostError:
        return estimate
    hourly = float(gpu(prices, name)["usd"])
    return RunEstimate(
        weights,
        estimate.seconds,
        usd,
        memory,
        name,
        on_gpu.hours_high * 3600 + START_S,
        on_gpu.usd_high + START_S / 3600 * hourly,
        rows_tokens,
    )


def measuring_limit_s(rows: int) -> float:
    """Seconds of its own work that a measurement of so many labelled rows may do at most."""
    return SMALL_S if rows <= MEASURED_SMALL else LARGE_S


def tokens_of(spec: Spec, card: Card) -> float:
    """Tokens that pass through the model in training; a method without epochs reads each row once."""
    passes = spec.epochs if METHODS[spec.method].network else 1
    return tokens_a_row(spec, card) * min(card.rows, MAX_ROWS) * passes


def tokens_a_row(spec: Spec, card: Card) -> float:
    """Tokens of a typical row, its answer included."""
    text = float(card.lengths.get("median", 400)) / CHARS_PER_TOKEN + TEMPLATE_TOKENS
    if TASKS[spec.task].architecture == "causal":
        text += ANSWER_TOKENS
    return min(spec.max_length, text)


def _multiplications(spec: Spec, card: Card, parameters: float) -> float:
    """Weights that a token is multiplied with, and as many more as its attention takes as long as."""
    base = BASE_MODELS.get(spec.base_model)
    weights = parameters - (base.looked_up if base else 0.0)
    is_encoder = TASKS[spec.task].architecture == "encoder"
    return weights * (attention_factor(tokens_a_row(spec, card)) if is_encoder else 1)


def memory_gib(method: Method, parameters: float) -> float:
    """Memory that training takes, without what long texts and large batches add."""
    return LIBRARIES_GIB + method.bytes_per_parameter * parameters / GIB


def refusal(spec: Spec, estimate: RunEstimate, machines: Sequence[Machine]) -> dict[str, str]:
    """Why no worker can run this recipe, by field, with the nearest possible choice; {} where one can or no worker is known."""
    method, parameters = METHODS[spec.method], estimate.size.parameters
    if not machines or any(_fits(machine, method, parameters) for machine in machines):
        return {}
    largest = max(machines, key=lambda machine: machine.training_gib)
    if method.needs_gpu and not any(machine.gpu_gib for machine in machines):
        why = f"`{method.name}` needs an NVIDIA GPU and no worker has one."
    else:
        why = (
            f"`{method.name}` on {spec.base_model} ({_billions(parameters or 0.0)} weights) needs about "
            f"{estimate.memory_gib:,.0f} GiB of memory; the largest worker, {largest.name}, has "
            f"{largest.training_gib:,.0f} GiB."
        )
    return {"method": f"{why} {_nearest(spec, parameters, machines)}"}


def _fits(machine: Machine, method: Method, parameters: float | None) -> bool:
    if method.needs_gpu and not machine.gpu_gib:
        return False
    return parameters is None or memory_gib(method, parameters) <= machine.training_gib


def _nearest(spec: Spec, parameters: float | None, machines: Sequence[Machine]) -> str:
    """The method nearest to the recipe's that some worker can run, on the same base model or a smaller one."""
    able = [
        method
        for method in METHODS.values()
        if method.network
        and method.pretrained == (spec.base_model not in SHAPES)
        and any(not method.needs_gpu or machine.gpu_gib for machine in machines)
    ]
    for method in able:
        if method.name != spec.method and any(_fits(machine, method, parameters) for machine in machines):
            return f"The nearest that can run: method `{method.name}` with the same base model."
    room = max(machine.training_gib for machine in machines) - LIBRARIES_GIB
    method = min(able, key=lambda one: one.bytes_per_parameter)
    most = room * GIB / method.bytes_per_parameter
    examples = [name for name, base in BASE_MODELS.items() if base.pretrained and _suits(spec, name)]
    or_packaged = f", for example {examples[0]}" if examples else ""
    return (
        f"The nearest that can run: method `{method.name}` with a base model of up to {_billions(most)} weights"
        f"{or_packaged}."
    )


def _suits(spec: Spec, base_model: str) -> bool:
    return BASE_MODELS[base_model].architecture == TASKS[spec.task].architecture


def _billions(count: float) -> str:
    return f"{count / 1e9:.1f} billion" if count >= 1e9 else f"{count / 1e6:.0f} million"
