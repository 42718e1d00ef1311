"""The price list of a measurement: training, serving, break-even and labelling; business.py adds it up. Pure.

Every line names its basis; prices come from the dated table that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune import pricing
from finetune.methods import METHODS
from finetune.pricing import Prices

SMALL, LARGE = 22e6, 8e9  # parameters: MiniLM, and the size that hosted LoRA is sold for
EPOCHS = 3
EXAMPLES_IN_PROMPT = 8
ANSWER_TOKENS = 12


@dataclass(frozen=True)
class BillFacts:
    """What the measurement knows: rows and tokens, the pilots' seconds and the volume."""

    rows: int  # that a full training would see
    tokens_per_row: float
    classes: int
    volume: int
    linear_seconds: float
    tuned_rows: int = 0
    tuned_seconds: float = 0.0
    rows_to_label: int = 0


def bill(prices: Prices, facts: BillFacts) -> dict[str, Any]:
    """The report's `cost`: lists of lines, the cheapest first."""
    serving = sorted(_serving(prices, facts), key=lambda line: line["usd_month"])
    training = _training(prices, facts)
    small = next(line["usd_month"] for line in serving if line["kind"] == "cpu")
    return {
        "as_of": prices.get("as_of"),
        "training": training,
        "serving": serving,
        "break_even": _break_even(prices, facts),
        "labelling": _labelling(prices, facts.rows_to_label),
        "serving_usd_month": small,
    }


def _training(prices: Prices, facts: BillFacts) -> list[dict[str, Any]]:
    lines = []
    cpu = pricing.training_from_pilot(prices, facts.rows, max(facts.linear_seconds, 0.1), facts.rows)
    lines.append({"method": "linear", "where": "this machine's CPU", "measured": True, **cpu.to_json()})
    if facts.tuned_rows:
        pilot = pricing.training_from_pilot(prices, facts.tuned_rows, facts.tuned_seconds, facts.rows)
        lines.append({"method": "lora", "where": "this machine's CPU", "measured": True, **pilot.to_json()})
    tokens = facts.rows * facts.tokens_per_row * EPOCHS
    lora = METHODS["lora"]
    work = pricing.TrainingWork(LARGE, tokens, lora.flops_per_token, lora.mfu)
    name = min(
        (
            row
            for row in prices["gpu_hour"]
            if "tflops" in prices["chips"].get(prices["gpu_hour"][row]["chip"], {})
        ),
        key=lambda row: pricing.training_by_arithmetic(prices, row, work).usd_high,
    )
    rental = pricing.training_by_arithmetic(prices, name, work)
    lines.append({"method": "lora-8b", "where": name, "measured": False, **rental.to_json()})
    rates = prices["hosted_lora_per_million_tokens"]["8b"]
    fees = [tokens / 1e6 * float(rates[key]) for key in ("usd", "usd_high")]
    low, high = (pricing.money(float(rates[key])) for key in ("usd", "usd_high"))
    basis = f"{tokens / 1e6:.3g}M tokens at {low} to {high} a million ({rates['date']})"
    lines.append(
        {
            "method": "lora-8b",
            "where": "hosted",
            "measured": False,
            "usd_low": fees[0],
            "usd_high": fees[1],
            "basis": basis,
        }
    )
    return lines


def prompt_tokens(facts: BillFacts) -> float:
    """Tokens of one prompt with retrieved examples: instruction, class names, examples, ticket."""
    return 40 + 6 * facts.classes + (1 + EXAMPLES_IN_PROMPT) * (facts.tokens_per_row + 12)


def _serving(prices: Prices, facts: BillFacts) -> list[dict[str, Any]]:
    lines = [
        {
            "option": "small model, one CPU machine",
            "kind": "cpu",
            "usd_month": pricing.always_on(prices, "cpu"),
            "basis": _basis(prices["cpu_hour"]),
        }
    ]
    name = pricing.cheapest_gpu(
        {
            "gpu_hour": {k: v for k, v in prices["gpu_hour"].items() if v.get("chip") == "l4"}
            or prices["gpu_hour"]
        }
    )
    row = prices["gpu_hour"][name]
    lines.append(
        {
            "option": f"own 8B model, {name} always on",
            "kind": "gpu",
            "usd_month": pricing.always_on(prices, name),
            "basis": _basis(row),
        }
    )
    for model in prices["api_per_million"]:
        each = pricing.api_request(prices, model, prompt_tokens(facts), ANSWER_TOKENS)
        basis = f"{facts.volume:,} tickets x {prompt_tokens(facts):.0f} tokens in, {ANSWER_TOKENS} out"
        lines.append(
            {"option": f"prompt {model}", "kind": "api", "usd_month": each * facts.volume, "basis": basis}
        )
    return lines


def _basis(row: Any) -> str:
    return f"{pricing.money(float(row['usd']))}/h all month ({row['date']}{', assumed' if row.get('assumed') else ''})"


def _break_even(prices: Prices, facts: BillFacts) -> list[dict[str, Any]]:
    monthly = pricing.always_on(prices, "cpu")
    lines = []
    for model in prices["api_per_million"]:
        each = pricing.api_request(prices, model, prompt_tokens(facts), ANSWER_TOKENS)
        lines.append(
            {
                "against": model,
                "machine": "one CPU machine",
                "requests_month": pricing.break_even(monthly, each),
            }
        )
    return lines


def _labelling(prices: Prices, rows: int) -> dict[str, Any] | None:
    if rows <= 0:
        return None
    row = prices["labelling"]
    basis = (
        f"{row['seconds_per_row']} s a ticket at "
        f"{pricing.money(float(row['usd_per_hour']))}/h{' (assumed)' if row.get('assumed') else ''}"
    )
    return {"rows": rows, "usd": pricing.labelling(prices, rows), "basis": basis}
