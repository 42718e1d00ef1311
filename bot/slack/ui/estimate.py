"""Describes the estimate of a fine-tune: time and dollars on a CPU worker and on a rented GPU. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.slack.ui.job_card import duration
from finetune.estimate import RunEstimate
from finetune.pricing import gpu, money

BUDGET_FOR_UNKNOWN_SIZE = (
    "I do not know how large {base} is, so I cannot say how long it takes or what it costs. "
    "Give a budget: training stops when it is spent."
)
WORTH_A_GPU_S = 1800.0  # a shorter run on a CPU gets no hint about a GPU


def estimate_text(base_model: str, estimate: RunEstimate, prices: Mapping[str, Any]) -> str:
    """One or two sentences for a form or a terminal."""
    if estimate.size.parameters is None:
        return BUDGET_FOR_UNKNOWN_SIZE.format(base=base_model)
    fast, slow = estimate.seconds
    hourly = float(prices.get("cpu_hour", {}).get("usd", 0))
    text = (
        f"About {duration(fast)} to {duration(slow)} on a CPU worker, at most {dollars(estimate.usd)} "
        f"({money(hourly)} an hour, prices of {prices.get('as_of', 'unknown date')})."
    )
    if estimate.size.source == "name":
        text += f" The size of the model is read from its name: {estimate.size.parameters / 1e9:.3g} billion weights."
    if estimate.gpu_name and slow > WORTH_A_GPU_S:
        row = gpu(prices, estimate.gpu_name)
        text += (
            f" On a rented GPU ({row.get('provider', estimate.gpu_name)}, {money(float(row['usd']))} an hour) about "
            f"{duration(estimate.gpu_seconds)}, {dollars(estimate.gpu_usd)}."
        )
    return text


def dollars(usd: float) -> str:
    """Dollars for display, never less than a cent."""
    return money(max(usd, 0.01))
