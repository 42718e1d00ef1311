"""The signals that a labelled message carries, as a perfect reader would read them."""

from __future__ import annotations

from typing import Any

from rag.evaluation.messages import LabelledMessage
from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.quantities import Quantity, find_quantities
from rag.signals.rules import FLAGS
from rag.signals.schema import Signals


def gold_signals(message: LabelledMessage) -> Signals:
    """Labels and labelled numbers as Signals; a number that no parser can value is left out."""
    labels = message.labels
    values: dict[str, Any] = {"topic": labels["topic"][0]}
    for head in ("task", "baseline"):
        if labels[head] != ("none",):
            values[head] = labels[head][0]
    if labels["gaps"]:
        values["gaps"] = labels["gaps"]
    values |= flag_signals(labels["flags"])
    if "offline" in labels["gaps"]:
        values["offline"] = True
    numbers, _ = number_signals(message.text, _counted_quantities(message))
    return Signals.model_validate({**numbers, **values})


def flag_signals(flags: tuple[str, ...]) -> dict[str, Any]:
    """The signals behind flags: {"no_consent"} -> {"consent": False}."""
    values: dict[str, Any] = {name: value for flag in flags if flag in FLAGS for name, value in [FLAGS[flag]]}
    return values | ({"volatility": "monthly"} if "changing" in flags else {})


def _counted_quantities(message: LabelledMessage) -> list[CountedQuantity]:
    quantities = find_quantities(message.text)
    result = []
    for number in message.numbers or ():
        over = [q for q in quantities if q.start < number.end and number.start < q.end]
        if over:
            result.append(CountedQuantity(_closest(over, number.start, number.end), number.kind))
    return result


def _closest(quantities: list[Quantity], start: int, end: int) -> Quantity:
    """The quantity that fits the labelled span best."""
    return min(quantities, key=lambda one: abs(one.start - start) + abs(one.end - end))
