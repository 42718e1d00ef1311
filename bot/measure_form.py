"""The form behind "Measure it" and `/should-i-train measure`, and the request that it or a typed line makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack.services import Services
from bot.slack.ui.blocks import Block, modal, number_input, option, section, select
from bot.slack.ui.blocks import field as input_field
from bot.slack.ui.escape import one_line
from bot.slack.ui.forms import Memory
from finetune.data.card import Card
from finetune.data.ticket import DatasetError
from finetune.spec import SpecError

FIELDS = ("dataset", "metric", "target", "volume", "price_per_wrong")
METRICS = {
    "accuracy": "Right answers, of all tickets",
    "macro_f1": "Macro-F1: rare classes count like common ones",
}
WORDS = {"wrong": "price_per_wrong", "price": "price_per_wrong", "tickets": "volume", "f1": "macro_f1"}
SHARE_OR_PERCENT = "Give right answers out of 100, for example 92 (or a share such as 0.92)."
DEAREST = 1e6


def measure_modal(cards: Sequence[Card], memory: Memory, chosen: Mapping[str, str]) -> Block:
    """The form: which tickets, what is good enough, how many come in, what a wrong answer costs."""
    options = [option(one_line(f"{c.name} · {c.rows:,} tickets", 75), c.name) for c in cards[:100]]
    names = {card.name for card in cards}
    first = chosen.get("dataset") if chosen.get("dataset") in names else cards[0].name
    metrics = [option(label, value) for value, label in METRICS.items()]
    metric = chosen.get("metric", "accuracy")
    blocks = [
        section(
            "I score what is cheaper first, train small pilots on your tickets and forecast the full run. "
            "It takes minutes and costs cents."
        ),
        input_field("dataset", "Labelled tickets", select("dataset", options, first, "Choose tickets")),
        input_field("metric", "Measured as", select("metric", metrics, metric)),
        input_field(
            "target",
            "Good enough, out of 100",
            number_input("target", chosen.get("target", "85"), decimal=True),
            hint="The score from which on you would use it.",
        ),
        input_field("volume", "Tickets a month", number_input("volume", chosen.get("volume", "10000"))),
        input_field(
            "price_per_wrong",
            "Dollars that a wrong answer costs",
            number_input("price_per_wrong", chosen.get("price_per_wrong", ""), decimal=True),
            hint="If you know it: minutes to put a wrong ticket right, times their price.",
            optional=True,
        ),
    ]
    return modal("measure", "Measure it", blocks, "Measure", memory.packed())


def measure_spec(services: Services, form: Mapping[str, Any], channel: str) -> dict[str, Any]:
    """The validated request, as the job's spec; SpecError with a sentence per wrong field."""
    problems: dict[str, str] = {}
    card = None
    try:
        card = services.datasets.get(str(form.get("dataset") or ""), services.scopes(channel))
        if card.kind != "triage":
            problems["dataset"] = f"{card.name} has no labels. Measuring needs tickets with their queue."
    except DatasetError as wrong:
        problems["dataset"] = str(wrong)
    metric = str(form.get("metric") or "accuracy")
    if metric not in METRICS:
        problems["metric"] = f"Choose one of: {', '.join(METRICS)}."
    spec: dict[str, Any] = {"metric": metric, "target": _share(form.get("target"), problems)}
    volume = _number(form.get("volume") or 0)
    if volume is None or not 0 <= volume <= 1e9:
        problems["volume"] = "Give a number of tickets a month, from 0 to 1,000,000,000."
    elif str(form.get("price_per_wrong") or "").strip():
        price = _number(form["price_per_wrong"])
        spec["price_per_wrong"] = price
        if price is None or not 0 <= price <= DEAREST:
            problems["price_per_wrong"] = "Give dollars, 0 or more, or leave it empty."
    if problems or card is None or volume is None:
        raise SpecError(problems)
    return {"dataset": card.name, "digest": card.digest, **spec, "volume": int(volume)}


def typed(text: str) -> dict[str, str] | None:
    """`sample-tickets target=0.92 volume=60000` as form fields; None where it reads like a sentence."""
    form: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        name = name.lower().replace("-", "_").lstrip("_")
        name = WORDS.get(name, name)
        if equals and name in FIELDS:
            form[name] = WORDS.get(value, value)
        elif not equals and "dataset" not in form:
            form["dataset"] = word
        else:
            return None
    return form


def _share(value: Any, problems: dict[str, str]) -> float:
    """A target as a share: up to 1 it is one already, from 10 to 100 it is a percentage."""
    number = _number(value)
    if number is not None and 0 < number <= 1:
        return number
    if number is not None and 10 <= number <= 100:
        return number / 100
    problems["target"] = SHARE_OR_PERCENT
    return 0.0


def _number(value: Any) -> float | None:
    """A finite number as people type it: 60,000 or 92% too."""
    try:
        number = float(str(value).strip().rstrip("%").lstrip("$").replace(",", ""))
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
