"""The most probable verdict, and the likeliest reading that leads to it.

The likeliest labels of the single heads need not give the likeliest verdict: where "sort" and "search" share the task's
probability, one verdict may hold for both. So the decision table judges the likeliest label combinations one by one, and
their probabilities are summed by verdict. Heads are taken as independent. Covers heads; does not cover numbers.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rag.signals.rules import FLAGS
from rag.signals.schema import Signals
from rag.signals.tuned_signals import NO_CASE, Probabilities

MAX_READINGS = 64  # combinations to judge: 5 CPU-ms; 200 were no better
ENOUGH = 0.97  # of the probability: the rest cannot change much
MIN_PROBABILITY = 0.06  # the least probability of a label that counts
PROBABILITY_FLOOR = 1e-6
Label = tuple[str, str, bool]  # head, label, whether it holds
Factor = Sequence[
    tuple[float, Label]
]  # the labels of one head, or one label and its absence: log probabilities, likeliest first


def likeliest_reading(
    signals: Signals, probabilities: Probabilities, verdict_of: Callable[[Signals], str]
) -> tuple[Signals, float]:
    """(the likeliest reading of the likeliest verdict, the probability 0-1 of this verdict).

    `signals` gives what no head reads, numbers above all; `verdict_of` tells what the decision table says on signals.
    """
    factors = _factors(probabilities)
    weights: dict[str, float] = defaultdict(float)
    readings: dict[str, Signals] = {}
    for log_probability, labels in _likeliest_combinations(factors):
        reading = _with_labels(signals, labels, probabilities)
        verdict = verdict_of(reading)
        weights[verdict] += math.exp(log_probability)
        readings.setdefault(verdict, reading)
        if sum(weights.values()) >= ENOUGH:
            break
    best = max(weights, key=lambda verdict: weights[verdict])
    return readings[best], weights[best] / sum(weights.values())


def _factors(probabilities: Probabilities) -> list[Factor]:
    factors: list[Factor] = []
    for head in ("topic", "task", "baseline"):
        factor = sorted(((_log(p), (head, label, True)) for label, p in probabilities[head].items()), reverse=True)  # fmt: skip
        factors.append([one for one in factor if one[0] >= math.log(MIN_PROBABILITY)] or factor[:1])
    for head in ("gaps", "flags"):
        factors += [
            sorted([(_log(p), (head, label, True)), (_log(1 - p), (head, label, False))], reverse=True)
            for label, p in probabilities[head].items()
            if p >= MIN_PROBABILITY and (head == "gaps" or label == "changing" or label in FLAGS)
        ]
    return factors


def _log(probability: float) -> float:
    return math.log(max(probability, PROBABILITY_FLOOR))


def _likeliest_combinations(factors: Sequence[Factor]) -> Iterator[tuple[float, list[Label]]]:
    """At most MAX_READINGS choices of one label a factor, the likeliest first."""
    first = (0,) * len(factors)
    heap = [(-sum(factor[0][0] for factor in factors), first)]
    seen = {first}
    for _ in range(MAX_READINGS):
        if not heap:
            return
        cost, places = heapq.heappop(heap)
        yield -cost, [factor[place][1] for factor, place in zip(factors, places, strict=True)]
        for number, (factor, place) in enumerate(zip(factors, places, strict=True)):
            following = (*places[:number], place + 1, *places[number + 1 :])
            if place + 1 < len(factor) and following not in seen:
                seen.add(following)
                heapq.heappush(heap, (cost + factor[place][0] - factor[place + 1][0], following))


def _with_labels(signals: Signals, labels: Sequence[Label], probabilities: Probabilities) -> Signals:
    """The signals with their labels replaced; quotes stay where the value does."""
    values: dict[str, Any] = {"gaps": ()}
    gaps: list[str] = []
    for head, label, holds in labels:
        if head == "gaps":
            gaps += [label] if holds else []
        elif head != "flags":
            values[head] = None if label == "none" else label
        elif label == "changing":
            values["volatility"] = (signals.volatility or "monthly") if holds else None
        elif holds:
            name, value = FLAGS[label]
            values[name] = value
        else:
            values.setdefault(FLAGS[label][0], None)
    if values["topic"] in NO_CASE:
        values |= {"task": None, "baseline": None}
    else:
        values["gaps"] = tuple(sorted(gaps, key=lambda gap: -probabilities["gaps"][gap]))
    if probabilities["gaps"].get("offline", 0.0) >= MIN_PROBABILITY:
        values["offline"] = True if "offline" in values["gaps"] else None
    return signals.model_copy(update={**values, "quotes": _standing_quotes(signals, values)})


def _standing_quotes(signals: Signals, values: Mapping[str, Any]) -> dict[str, str]:
    """The quotes of unchanged values; the quote of the gaps belongs to the first gap."""
    changes = {name for name, value in values.items() if getattr(signals, name) != value}
    if values["gaps"][:1] == signals.gaps[:1]:
        changes -= {"gaps"}
    return {name: words for name, words in signals.quotes.items() if name not in changes}
