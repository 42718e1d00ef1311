"""Money: the arithmetic of the dated table, with the figures of the reference as checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune import pricing
from finetune.measurement.bill import BillFacts, bill
from finetune.methods import METHODS
from finetune.pricing import CostError

PRICES: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "bot/prices.yaml").read_text())
FACTS = BillFacts(rows=3_000, tokens_per_row=500, classes=8, volume=60_000, linear_seconds=10)


def test_every_price_carries_a_date() -> None:
    """No figure of the table stands without the month it was read in."""
    rows = [*PRICES["gpu_hour"].values(), *PRICES["api_per_million"].values(), PRICES["cpu_hour"]]
    rows += [*PRICES["hosted_lora_per_million_tokens"].values(), PRICES["labelling"]]
    assert all(row["date"] >= "2026-09" for row in rows)
    assert PRICES["as_of"] == "2026-11-24"


def test_break_even_of_an_l4_against_the_cheapest_tier() -> None:
    """One always-on L4 pays back above about 3.5M requests a month of 1,024 tokens in and 128 out."""
    each = pricing.api_request(PRICES, pricing.cheapest_api(PRICES), 1024, 128)
    requests = pricing.break_even(pricing.always_on(PRICES, "l4-aws"), each)
    assert requests == pytest.approx(3.5e6, rel=0.02)


def test_break_even_never_comes_when_own_requests_cost_more() -> None:
    """A machine that saves nothing per request never pays back."""
    assert pricing.break_even(500, 0.001, 0.002) is None


def test_lora_on_three_thousand_tickets_costs_cents_to_dollars() -> None:
    """3,000 tickets x 500 tokens x 3 epochs of an 8B LoRA take under an hour of an A100 and $0.1-5."""
    work = pricing.TrainingWork(8e9, 3_000 * 500 * 3, METHODS["lora"].flops_per_token, "lora")
    estimate = pricing.training_by_arithmetic(PRICES, "a100-80-runpod", work)
    assert 0.25 < estimate.hours_low < estimate.hours_high < 1
    assert 0.1 < estimate.usd_low < estimate.usd_high < 5
    assert "a100-80-runpod" in estimate.basis
    assert "2026" in estimate.basis


def test_qlora_costs_half_as_much_again_as_lora() -> None:
    """4ND becomes 6ND when activations are computed twice, which is how a 4-bit base is trained."""
    lora, qlora = (
        pricing.training_by_arithmetic(
            PRICES, "l4-gcp", pricing.TrainingWork(8e9, 1e6, METHODS[name].flops_per_token, METHODS[name].mfu)
        )
        for name in ("lora", "qlora")
    )
    assert qlora.hours_low == pytest.approx(1.5 * lora.hours_low)


def test_a_missing_row_names_what_there_is() -> None:
    """An unknown GPU or model is answered with the known ones."""
    with pytest.raises(CostError, match="l4-gcp"):
        pricing.gpu(PRICES, "h900")
    with pytest.raises(CostError, match="gpt-6-luna"):
        pricing.api_request(PRICES, "gpt-2", 1, 1)
    with pytest.raises(CostError, match="names no GPU"):
        pricing.cheapest_gpu({})


def test_the_pilots_seconds_scale_with_rows() -> None:
    """Ten times the rows take ten times the time."""
    estimate = pricing.training_from_pilot(PRICES, 400, 60, 4_000)
    assert estimate.hours_low == pytest.approx(600 / 3600)
    with pytest.raises(CostError):
        pricing.training_from_pilot(PRICES, 0, 60, 4_000)


def test_the_bill_names_a_basis_for_every_line() -> None:
    """Training and serving lines all say how they were found, cheapest serving first."""
    invoice = bill(PRICES, FACTS)
    assert all(line.basis for line in [*invoice.training, *invoice.serving])
    months = [line.usd_month for line in invoice.serving]
    assert months == sorted(months)
    assert invoice.labelling is None
    assert invoice.as_of == "2026-11-24"


def test_the_bill_prices_what_is_to_be_labelled() -> None:
    """1,000 tickets at 30 s and $30 an hour are $250."""
    invoice = bill(PRICES, BillFacts(**{**vars(FACTS), "rows_to_label": 1_000}))
    assert invoice.labelling is not None
    assert invoice.labelling.usd == pytest.approx(250)
