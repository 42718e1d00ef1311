"""The facts that the decision table's conditions may use: signals, and facts derived from several signals. Pure."""

from __future__ import annotations

from typing import Any

from rag.signals.schema import SIGNAL_NAMES, Signals

OPEN_ENDED = ("reply", "summarise", "translate", "code", "qa", "search")
FACT_TASKS = ("qa", "search")
DERIVED = {
    "fixed_labels": "the task is classification",
    "open_ended": "the output is free text",
    "facts_missing": "the gap is knowledge, or nothing else is named and the task lives on facts",
    "gap_named": "a gap other than vague is named (or implied by a task that lives on facts)",
    "only_accuracy": "accuracy is the only gap",
    "measured": "a score, a target, an evaluation or a baseline is known",
    "score_known": "a score of one's own system is known",
    "tried": "a prompt has been tried",
    "class_rows": "examples per class, estimated from examples / classes (10 where classes are unsaid), as examples from it",
    "lab": "said to be an AI lab, or 100B own tokens, 256 GPUs or 5 million dollars, and researchers or no usable base",
    "budget_known": "a budget or a monthly cost is known",
    "platform_named": "a platform is named",
}
FACT_NAMES = {*SIGNAL_NAMES, *DERIVED}


def facts_of(signals: Signals) -> dict[str, Any]:
    """The signals plus the derived facts that conditions may name."""
    facts: dict[str, Any] = signals.known_values()
    gaps = [gap for gap in signals.gaps if gap != "vague"]
    lives_on_facts = signals.task in FACT_TASKS and not gaps
    rows, classes = signals.per_class, max(signals.classes or 10, 1)
    if rows is None and signals.examples is not None and signals.task == "classify":
        rows = signals.examples // classes
    elif rows is not None and signals.examples is None:
        facts["examples"] = rows * classes
    facts |= {
        "fixed_labels": signals.task == "classify",
        "open_ended": signals.task in OPEN_ENDED,
        "facts_missing": "knowledge" in gaps or (lives_on_facts and "vague" not in signals.gaps),
        "gap_named": bool(gaps) or (lives_on_facts and "vague" not in signals.gaps),
        "only_accuracy": gaps == ["accuracy"],
        "measured": signals.baseline is not None
        or any(
            v is not None
            for v in (signals.score, signals.target, signals.eval_n, signals.examples, signals.per_class)
        ),
        "score_known": signals.score is not None and not signals.vendor_claim,
        "tried": signals.baseline in ("tried_ok", "tried_fail"),
        "class_rows": rows,
        "lab": _is_lab(signals),
        "budget_known": signals.budget_usd is not None or signals.monthly_cost is not None,
        "platform_named": signals.platform is not None,
    }
    return facts


LAB_TOKENS, LAB_GPUS, LAB_USD = 100_000_000_000, 256, 5_000_000


def _is_lab(signals: Signals) -> bool:
    chips = (signals.gpus or 0) >= LAB_GPUS or (signals.budget_usd or 0) >= LAB_USD
    people = signals.skill == "research" or signals.no_usable_base is True
    enough = (signals.pretrain_tokens or 0) >= LAB_TOKENS and chips and people
    return signals.lab is True or enough
