"""What an answer may state as fact about the asker's case: signals that the person said or confirmed.

Pure. An unknown signal is not false and a guess is not a fact: a rule that asserts more than what was said gets its general words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.advice.decision_table import Rule, holds
from rag.signals.schema import Signals

MEASURED_SIGNALS = frozenset({"measured_best"})  # set by a measurement alone


def only(signals: Signals, names: frozenset[str]) -> Signals:
    """The signals of these names; the others become unknown."""
    values = {name: value for name, value in signals.known_values().items() if name in names}
    return Signals.model_validate(
        {**values, "quotes": {n: q for n, q in signals.quotes.items() if n in names}}
    )


def certain_signals(signals: Signals, confirmations: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names of the signals that the person confirmed or said in words; guesses are left out.

    A quote proves only one of several gaps, so several count as certain only when confirmed.
    """
    names = {name for name, words in signals.quotes.items() if words.strip()}
    if len(signals.gaps) > 1:
        names.discard("gaps")
    return frozenset(names & signals.known_values().keys()) | confirmations | MEASURED_SIGNALS


BEHIND = {  # the signals behind a derived fact
    "fixed_labels": ("task",),
    "open_ended": ("task",),
    "facts_missing": ("gaps", "task"),
    "gap_named": ("gaps",),
    "only_accuracy": ("gaps",),
    "measured": ("baseline", "score"),
    "score_known": ("score",),
    "tried": ("baseline",),
    "class_rows": ("per_class", "examples", "classes"),
    "lab": ("lab", "pretrain_tokens", "gpus", "skill", "no_usable_base"),
}


def signal_names(when: Mapping[str, Any]) -> list[str]:
    """The signals that a condition needs, with derived facts resolved; negated conditions are left out."""
    names: list[str] = []
    for name, condition in when.items():
        if name == "any":
            names += [inner for block in condition for inner in signal_names(block)]
        elif name != "none_of":
            names += BEHIND.get(name, (name,))
    return names


def asserted_signals(rule: Rule, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The signals that the rule's `say` tells as facts of the case; of `any`, those of the first block that holds."""
    if rule.asserts is not None:
        return rule.asserts
    names: list[str] = []
    for name, condition in rule.when.items():
        if name == "any":
            names += signal_names(next(block for block in condition if holds(block, facts)))
        elif name == "class_rows":
            names += ["per_class"] if facts.get("per_class") is not None else ["examples", "classes"]
        elif name != "none_of":
            names += BEHIND.get(name, (name,))
    return tuple(dict.fromkeys(names))


def may_state(rule: Rule, facts: Mapping[str, Any], certain: frozenset[str]) -> bool:
    """Whether the rule's own words may be used: the person said or confirmed everything that they assert."""
    return set(asserted_signals(rule, facts)) <= certain
