"""What a training run, serving and labelling cost, from a dated price table that is passed in.

Pure arithmetic on bot/prices.yaml's mapping: hours of training = c * parameters * tokens / (mfu * peak).
Covers rent of the machine, API tokens and labelling. Does not cover other people's time, storage or taxes.
Every result carries its basis, so that a reader can check it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.errors import FinetuneError

Prices = Mapping[str, Any]
WORDS_TO_TOKENS = 1.35


class CostError(FinetuneError):
    """The price table lacks what is asked for."""


@dataclass(frozen=True)
class Rates:
    """What work is paid by: an hour of this machine in dollars, and the price table (bot/prices.yaml) for all else."""

    machine_hour_usd: float = 0.0
    table: Prices = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """US dollars and hours, low to high, with the sentence that says how they were found."""

    usd_low: float
    usd_high: float
    hours_low: float
    hours_high: float
    basis: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gpu(prices: Prices, name: str) -> Mapping[str, Any]:
    """One row of the table's `gpu_hour`; CostError names the rows there are."""
    rows: Mapping[str, Mapping[str, Any]] = prices.get("gpu_hour", {})
    if name not in rows:
        raise CostError(f"The price table has no `{name}`. It knows: {', '.join(rows) or 'no GPU at all'}.")
    return rows[name]


def cheapest_gpu(prices: Prices) -> str:
    """The name of the row with the lowest hourly rent."""
    rows: Mapping[str, Mapping[str, Any]] = prices.get("gpu_hour", {})
    if not rows:
        raise CostError("The price table names no GPU: add one under `gpu_hour`.")
    return min(rows, key=lambda name: float(rows[name]["usd"]))


@dataclass(frozen=True)
class TrainingWork:
    """The arithmetic of one training: tokens are rows x tokens a row x epochs.

    `flops_per_token` is by weight (finetune.methods), `mfu` the row of the table that says which share of a chip's
    peak is reached.
    """

    parameters: float
    tokens: float
    flops_per_token: float
    mfu: str


def training_by_arithmetic(prices: Prices, name: str, work: TrainingWork) -> Estimate:
    """Hours and dollars of the work on a rented GPU, low to high."""
    row = gpu(prices, name)
    chip = prices.get("chips", {}).get(row.get("chip"), {})
    if "tflops" not in chip:
        raise CostError(
            f"The price table does not say how fast the chip of `{name}` is: add it under `chips`."
        )
    low_mfu, high_mfu = prices["mfu"][work.mfu]
    seconds = work.flops_per_token * work.parameters * work.tokens / (float(chip["tflops"]) * 1e12)
    hours = (seconds / high_mfu / 3600, seconds / low_mfu / 3600)
    usd, dearest = float(row["usd"]), float(row.get("usd_high", row["usd"]))
    basis = (
        f"{work.flops_per_token:g} x {work.parameters / 1e9:g}B parameters x {work.tokens / 1e6:.3g}M tokens at "
        f"{low_mfu:.0%}-{high_mfu:.0%} "
        f"of {chip['tflops']} TFLOP/s; {name} {money(usd)}/h ({row['date']})"
    )
    return Estimate(hours[0] * usd, hours[1] * dearest, *hours, basis)


def training_from_pilot(
    prices: Prices, pilot_rows: int, pilot_seconds: float, rows: int, cpu: bool = True
) -> Estimate:
    """The pilot's measured seconds scaled to `rows` (linear in rows) at the price of this kind of machine."""
    if pilot_rows < 1 or pilot_seconds <= 0:
        raise CostError("The pilot measured no time, so the full run cannot be scaled from it.")
    hours = pilot_seconds * rows / pilot_rows / 3600
    row = prices.get("cpu_hour", {}) if cpu else gpu(prices, cheapest_gpu(prices))
    usd = float(row.get("usd", 0.0))
    basis = (
        f"{pilot_seconds:.0f} s measured on {pilot_rows:,} rows, scaled to {rows:,}; {money(usd)}/h "
        f"({row.get('date')})"
    )
    return Estimate(hours * usd, hours * usd * 1.5, hours, hours * 1.5, basis)


def api_request(prices: Prices, model: str, tokens_in: float, tokens_out: float) -> float:
    """Dollars of one call."""
    rows: Mapping[str, Mapping[str, Any]] = prices.get("api_per_million", {})
    if model not in rows:
        raise CostError(f"The price table has no model `{model}`. It knows: {', '.join(rows)}.")
    return (tokens_in * float(rows[model]["in"]) + tokens_out * float(rows[model]["out"])) / 1e6


def cheapest_api(prices: Prices) -> str:
    """The model with the lowest price per input token."""
    rows: Mapping[str, Mapping[str, Any]] = prices.get("api_per_million", {})
    if not rows:
        raise CostError("The price table names no API model: add one under `api_per_million`.")
    return min(rows, key=lambda name: (float(rows[name]["in"]), float(rows[name]["out"])))


def always_on(prices: Prices, name: str) -> float:
    """Dollars a month of one machine that never sleeps: a GPU row, or "cpu"."""
    row = prices.get("cpu_hour", {}) if name == "cpu" else gpu(prices, name)
    return float(row["usd"]) * float(prices.get("serving_hours_per_month", 730))


def break_even(monthly_usd: float, api_per_request: float, own_per_request: float = 0.0) -> float | None:
    """Requests a month above which the own machine is cheaper; None where it never is."""
    saving = api_per_request - own_per_request
    return monthly_usd / saving if saving > 0 else None


def labelling(prices: Prices, rows: int) -> float:
    """Dollars of people's time to label `rows` more tickets."""
    row = prices.get("labelling", {})
    return rows * float(row.get("seconds_per_row", 0)) / 3600 * float(row.get("usd_per_hour", 0))


def money(usd: float) -> str:
    """Dollars as people read them: `$1,234`, `$30`, `$3.40`; below a dollar in cents, below one cent as that."""
    sign, amount = "-" if usd < 0 else "", abs(usd)
    if amount >= 100 or (amount >= 1 and amount == round(amount)):
        return f"{sign}${amount:,.0f}"
    if round(100 * amount) >= 100:
        return f"{sign}${amount:,.2f}"
    cents = round(100 * amount)
    if cents == 0 and amount > 0:
        return "less than 1 cent"
    return f"{sign if cents else ''}{cents} cent{'' if cents == 1 else 's'}"


def tokens_of(texts: list[str]) -> float:
    """Mean tokens a text, estimated from its words."""
    words = sum(len(text.split()) for text in texts)
    return WORDS_TO_TOKENS * words / max(1, len(texts))
