"""Converts the second reader's probabilities to signals; pure, so that training and the running bot share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rag.signals.number_roles import plain_kinds
from rag.signals.number_signals import CountedQuantity, number_signals
from rag.signals.quantities import Quantity
from rag.signals.rules import FLAGS
from rag.signals.schema import Signals

MIN_GAP_PROBABILITY = 0.4  # an untuned default for rare labels
MIN_FLAG_PROBABILITY = 0.4
NO_KIND = "other"
NO_CASE = frozenset({"other", "people", "injection", "concierge", "document"})
READS = frozenset(
    {"topic", "task", "baseline", "gaps", "volatility", "offline", "citations", "acl", "stable", "pii", "consent",
     "in_training", "vendor_claim", "already_tuned", "cheaper_tier_tried", "lab", "examples", "classes", "per_class",
     "eval_n", "score", "target", "volume_month", "monthly_cost", "budget_usd", "kb_tokens", "prompt_tokens",
     "latency_ms", "gpus", "pretrain_tokens", "deadline_days"}
)  # fmt: skip
Probabilities = Mapping[str, Mapping[str, float]]


def signals_from(
    text: str,
    probabilities: Probabilities,
    quantities: Sequence[Quantity],
    kinds: Sequence[str],
    in_case: bool = False,
) -> Signals:
    """Signals of one message from the probabilities by head and label and the kind of each quantity in it.

    `in_case`: a statement of a thread about a case, so that its topic is always a decision.

    The heads beside topic were trained on decisions and questions of fact alone; on small talk their output means nothing.
    """
    values: dict[str, Any] = {"topic": "decision" if in_case else likeliest(probabilities["topic"])}
    kinds = [plain or kind for plain, kind in zip(plain_kinds(text, quantities), kinds, strict=True)]
    numbers, quotes = number_signals(text, counted_quantities(quantities, kinds))
    if values["topic"] in NO_CASE:
        return Signals.model_validate({**numbers, **values, "quotes": quotes})
    for head in ("task", "baseline"):
        if (best := likeliest(probabilities[head])) != "none":
            values[head] = best
    gaps = sorted(
        (gap for gap, share in probabilities["gaps"].items() if share >= MIN_GAP_PROBABILITY),
        key=lambda gap: -probabilities["gaps"][gap],
    )
    if gaps:
        values["gaps"] = tuple(gaps)
    if "offline" in gaps:
        values["offline"] = True
    for flag, share in probabilities["flags"].items():
        if share >= MIN_FLAG_PROBABILITY and flag in FLAGS:
            name, value = FLAGS[flag]
            values[name] = value
        elif share >= MIN_FLAG_PROBABILITY and flag == "changing":
            values["volatility"] = "monthly"
    return Signals.model_validate({**numbers, **values, "quotes": quotes})


def likeliest_kinds(
    ours: np.ndarray, theirs: np.ndarray, share: float, kind_names: Sequence[str]
) -> list[str]:
    """The likeliest kind of each quantity, (quantities, kinds) of two readers mixed; "other" where neither read it."""
    rows = (1 - share) * ours + share * theirs
    return [kind_names[int(row.argmax())] if row.any() else NO_KIND for row in rows]


def likeliest(shares: Mapping[str, float]) -> str:
    """The label with the highest probability."""
    return max(shares, key=lambda label: shares[label])


def counted_quantities(quantities: Sequence[Quantity], kinds: Sequence[str]) -> list[CountedQuantity]:
    """Each quantity with its kind; a share that is a score takes the place of its two numbers."""
    scores = [q for q, kind in zip(quantities, kinds, strict=True) if q.is_share and kind == "score"]
    result = []
    for quantity, kind in zip(quantities, kinds, strict=True):
        inside = any(one is not quantity and one.start <= quantity.start < one.end for one in scores)
        share_of_nothing = quantity.is_share and kind != "score"
        if not inside and not share_of_nothing:
            result.append(CountedQuantity(quantity, kind))
    return result
