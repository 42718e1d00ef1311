"""The price list of a measurement: training, serving, break-even and labelling; business.py adds it up. Pure.

Every line names its basis; prices come from the dated table that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune import pricing
from finetune.methods import CHEAP, PILOT
from finetune.pricing import Prices
from finetune.reports.costs import BreakEven, CostPart, LabellingPrice, ServingPrice, TrainingPrice

SMALL, LARGE = 22e6, 8e9  # parameters: MiniLM, and the size that hosted LoRA is sold for
LARGE_PILOT = f"{PILOT.name}-8b"  # the pilot's method on a model of that size
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


def bill(prices: Prices, facts: BillFacts) -> CostPart:
    """The report's cost without its sentence: serving begins with the cheapest."""
    serving = sorted(_serving(prices, facts), key=lambda line: line.usd_month)
    as_of = prices.get("as_of")
    return CostPart(
        training=tuple(_training(prices, facts)),
        serving=tuple(serving),
        labelling=_labelling(prices, facts.rows_to_label),
        as_of=None if as_of is None else str(as_of),
        break_even=tuple(_break_even(prices, facts)),
        serving_usd_month=next(line.usd_month for line in serving if line.kind == "cpu"),
    )


def _training(prices: Prices, facts: BillFacts) -> list[TrainingPrice]:
    here = "this machine's CPU"
    cheap = pricing.training_from_pilot(prices, facts.rows, max(facts.linear_seconds, 0.1), facts.rows)
    lines = [_price(CHEAP.name, here, cheap, True)]
    if facts.tuned_rows:
        pilot = pricing.training_from_pilot(prices, facts.tuned_rows, facts.tuned_seconds, facts.rows)
        lines.append(_price(PILOT.name, here, pilot, True))
    tokens = facts.rows * facts.tokens_per_row * EPOCHS
    work = pricing.TrainingWork(LARGE, tokens, PILOT.flops_per_token, PILOT.mfu)
    name = min(
        (
            row
            for row in prices["gpu_hour"]
            if "tflops" in prices["chips"].get(prices["gpu_hour"][row]["chip"], {})
        ),
        key=lambda row: pricing.training_by_arithmetic(prices, row, work).usd_high,
    )
    lines.append(_price(LARGE_PILOT, name, pricing.training_by_arithmetic(prices, name, work), False))
    if rates := prices.get(PILOT.hosted_rates, {}).get("8b"):
        low, high = float(rates["usd"]), float(rates["usd_high"])
        basis = f"{tokens / 1e6:.3g}M tokens at {pricing.money(low)} to {pricing.money(high)} a million ({rates['date']})"
        lines.append(TrainingPrice(LARGE_PILOT, "hosted", tokens / 1e6 * low, tokens / 1e6 * high, basis))
    return lines


def _price(method: str, where: str, estimate: pricing.Estimate, measured: bool) -> TrainingPrice:
    dollars, hours = (estimate.usd_low, estimate.usd_high), (estimate.hours_low, estimate.hours_high)
    return TrainingPrice(method, where, *dollars, estimate.basis, measured, *hours)


def prompt_tokens(facts: BillFacts) -> float:
    """Tokens of one prompt with retrieved examples: instruction, class names, examples, ticket."""
    return 40 + 6 * facts.classes + (1 + EXAMPLES_IN_PROMPT) * (facts.tokens_per_row + 12)


def _serving(prices: Prices, facts: BillFacts) -> list[ServingPrice]:
    small = ServingPrice(
        "small model, one CPU machine", "cpu", pricing.always_on(prices, "cpu"), _basis(prices["cpu_hour"])
    )
    rows = prices["gpu_hour"]
    name = pricing.cheapest_gpu(
        {"gpu_hour": {k: v for k, v in rows.items() if v.get("chip") == "l4"} or rows}
    )
    large = ServingPrice(
        f"own 8B model, {name} always on", "gpu", pricing.always_on(prices, name), _basis(rows[name])
    )
    basis = f"{facts.volume:,} tickets x {prompt_tokens(facts):.0f} tokens in, {ANSWER_TOKENS} out"
    return [
        small,
        large,
        *(
            ServingPrice(f"prompt {model}", "api", _request_usd(prices, model, facts) * facts.volume, basis)
            for model in prices["api_per_million"]
        ),
    ]


def _request_usd(prices: Prices, model: str, facts: BillFacts) -> float:
    return pricing.api_request(prices, model, prompt_tokens(facts), ANSWER_TOKENS)


def _basis(row: Any) -> str:
    return f"{pricing.money(float(row['usd']))}/h all month ({row['date']}{', assumed' if row.get('assumed') else ''})"


def _break_even(prices: Prices, facts: BillFacts) -> list[BreakEven]:
    monthly = pricing.always_on(prices, "cpu")
    return [
        BreakEven(model, "one CPU machine", pricing.break_even(monthly, _request_usd(prices, model, facts)))
        for model in prices["api_per_million"]
    ]


def _labelling(prices: Prices, rows: int) -> LabellingPrice | None:
    if rows <= 0:
        return None
    row = prices["labelling"]
    basis = (
        f"{row['seconds_per_row']} s a ticket at "
        f"{pricing.money(float(row['usd_per_hour']))}/h{' (assumed)' if row.get('assumed') else ''}"
    )
    return LabellingPrice(rows, pricing.labelling(prices, rows), basis)
