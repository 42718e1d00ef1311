"""What a fine-tune will take, before it starts: a sentence and an upper figure, from the dated prices.

Covers the machine's time. Does not cover labelling, serving or queueing. CPU speed is a planning figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.ui.job_card import duration
from finetune.data.card import Card
from finetune.pricing import CostError, cheapest_gpu, gpu
from finetune.spec import Spec

PARAMETERS = {"minilm": 22.7e6, "tiny-bert": 6e6}
TINY = 12e6
CHARS_PER_TOKEN = 4.2
FLOPS = {"lora": 4.0, "qlora": 4.0, "full": 6.0, "scratch": 6.0, "linear": 2.0}
CPU_GFLOPS = (25.0, 120.0)  # effective, 2 cores, small batches; measured runs fall inside
START_S = 20.0  # loading, baselines, evaluation


@dataclass(frozen=True)
class Guess:
    """Seconds on a CPU from low to high, dollars at most, and the sentence for the form."""

    seconds: tuple[float, float]
    usd: float
    text: str


def estimate(spec: Spec, card: Card, prices: Mapping[str, Any]) -> Guess:
    """The guess for a validated recipe on a dataset."""
    parameters = PARAMETERS.get(spec.base_model, TINY)
    tokens_a_row = min(spec.max_length, float(card.lengths.get("median", 400)) / CHARS_PER_TOKEN + 8)
    passes = 1 if spec.method == "linear" else spec.epochs
    flops = FLOPS[spec.method] * parameters * tokens_a_row * card.rows * passes
    slow, fast = (flops / (rate * 1e9) + START_S for rate in CPU_GFLOPS)
    hourly = float(prices.get("cpu_hour", {}).get("usd", 0))
    usd = slow / 3600 * hourly
    text = (
        f"About {duration(fast)} to {duration(slow)} on a CPU worker, at most ${max(usd, 0.01):.2f} "
        f"(${hourly:.2f} an hour, prices of {prices.get('as_of', 'unknown date')})."
    )
    return Guess((fast, slow), usd, f"{text}{_gpu_hint(prices)}")


def _gpu_hint(prices: Mapping[str, Any]) -> str:
    try:
        name = cheapest_gpu(prices)
        row = gpu(prices, name)
    except CostError:
        return ""
    return f" On a GPU it takes less: the cheapest is {row.get('provider', name)} at ${float(row['usd']):.2f} an hour."
