"""Builds the form of "Measure it" and the text of its plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.slack.ui.blocks import Block, modal, number_field, option, section, select
from bot.slack.ui.blocks import field as input_field
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import FormMetadata
from finetune.data.card import Card
from finetune.estimate import measuring_limit_s

METRICS = {
    "accuracy": "Right answers, of all tickets",
    "macro_f1": "Macro-F1: rare classes count like common ones",
}
ALIASES = {
    "wrong": "price_per_wrong",
    "price": "price_per_wrong",
    "tickets": "volume",
    "f1": "macro_f1",
    "minutes": "minutes_by_hand",
    "errors": "error_rate",
}
SHARE_OR_PERCENT = "Give right answers out of 100, for example 92 (or a share such as 0.92)."
HIGHEST_PRICE = 1e6


@dataclass(frozen=True)
class MeasureContext:
    """The current state for a measurement: connected language model ("" for none), waiting jobs, live workers."""

    model: str = ""
    waiting: int = 0
    workers: int = 1


def plan_text(card: Card, now: MeasureContext) -> str:
    """The text on what the measurement will do with these tickets, and how long it takes."""
    prompt = f", prompts for {escape(one_line(now.model, 60))}" if now.model else ""
    minutes = round(measuring_limit_s(card.rows) / 60)
    before = f" {now.waiting} jobs wait before it." if now.waiting > 1 else ""
    before = " One job waits before it." if now.waiting == 1 else before
    missing = "" if now.workers else " No worker shows signs of life: it starts when one is there."
    model = (
        "The tickets that the prompts are tried on go to that model"
        if now.model
        else "No ticket leaves the machine"
    )
    return (
        f"*What I will do with the {card.rows:,} tickets of {escape(card.name)}*\n"
        f"1. Put some aside, and score on them what is cheap: fixed rules, a linear model on words, one on a small "
        f"encoder{prompt}.\n"
        "2. Where these may miss your target, train a small fine-tune as a pilot.\n"
        "3. Forecast what more training and more tickets would reach, with an interval and a price, and say which way "
        "is worth it.\n"
        f"*How long:* at most {minutes} minutes of computing; while the machine does other work the clock runs "
        f"longer.{before}{missing} A card shows what it is doing, with a bar, and Cancel ends it. {model}."
    )


def measure_modal(
    cards: Sequence[Card],
    metadata: FormMetadata,
    values: Mapping[str, str],
    now: MeasureContext | None = None,
) -> Block:
    """The form: tickets, target, monthly volume, cost of a wrong answer, and the plan."""
    options = [option(one_line(f"{c.name} · {c.rows:,} tickets", 75), c.name) for c in cards[:100]]
    card = next((card for card in cards if card.name == values.get("dataset")), cards[0])
    metrics = [option(label, value) for value, label in METRICS.items()]
    metric = values.get("metric", "accuracy")
    blocks = [
        input_field(
            "dataset",
            "Labelled tickets",
            select("measure_dataset", options, card.name, "Choose tickets"),
            live=True,
        ),
        section(plan_text(card, now or MeasureContext()), block_id="plan"),
        input_field("metric", "Measured as", select("metric", metrics, metric)),
        number_field(
            "target",
            "Good enough, out of 100",
            values.get("target", "85"),
            decimal=True,
            hint="The score from which on you would use it.",
        ),
        number_field("volume", "Tickets a month", values.get("volume", "10000")),
        number_field(
            "price_per_wrong",
            "Dollars that a wrong answer costs",
            values.get("price_per_wrong", ""),
            decimal=True,
            hint="If you know it: minutes to put a wrong ticket right, times their price.",
            optional=True,
        ),
        number_field(
            "minutes_by_hand",
            "Minutes to handle a ticket by hand",
            values.get("minutes_by_hand", ""),
            decimal=True,
            hint="For hours and dollars saved a month.",
            optional=True,
        ),
        number_field(
            "error_rate",
            "Wrong answers that are acceptable, out of 100",
            values.get("error_rate", ""),
            decimal=True,
            hint="Of the tickets answered automatically; the others go to people. 5 if left empty.",
            optional=True,
        ),
    ]
    return modal("measure", "Measure it", blocks, "Measure", metadata.pack())
