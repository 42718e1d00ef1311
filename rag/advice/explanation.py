"""How a decision reads: the headline, the direct answers in a thread. Pure.

Every figure of a sentence is the user's own or stands in the dated price table; facts of the guide are cited
elsewhere (rag/answer/extractive.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.advice.decide import Advice, spoken
from rag.advice.decision_table import Rule
from rag.cost_line import cost_line
from rag.reply import Verdict

OPENING = {
    Verdict.PROMPT: "Prompt first and train nothing yet",
    Verdict.RAG: "Retrieve the facts, do not train them in",
    Verdict.FINE_TUNE: "A fine-tuning pilot is justified",
    Verdict.SMALL_MODEL: "Train a small classifier rather than tune a large model",
    Verdict.FOUNDATION_MODEL: "Pretraining is defensible here, pilot first",
}
REASONS = 3
AGAINST = -3.0  # a line that costs another option so much is a reason, too


def headline(advice: Advice, committed: bool = False) -> str:
    """One plain sentence, the verdict and its strongest reasons; a second one where two ways add up."""
    if advice.verdict is Verdict.NEED_MORE_INFO:
        why = f"{_upper(advice.gate.say)}. " if advice.gate else ""
        return f"{why}Until I know more, my lean is to {_lean(advice.lean)}."
    because = listed([rule.say for rule in reasons(advice)])
    sentence = f"{OPENING[advice.verdict]}: {because}." if because else f"{OPENING[advice.verdict]}."
    if committed:
        sentence = (
            f"I have asked enough and commit to my lean. {sentence} Take it with care: {_unknown(advice)}."
        )
    return f"{sentence} {advice.combination}" if advice.combination else sentence


def reasons(advice: Advice) -> list[Rule]:
    """The lines that speak most for the verdict, or against what would else have won; strongest first."""
    won, strength = str(advice.verdict), {}
    rivals = {"fine_tune", "small_model"} - {won}
    if {"ambition", "capability"} & set(advice.signals.gaps) or advice.signals.task == "foundation":
        rivals |= {"foundation_model"} - {won}
    for rule in advice.fired:
        if not rule.when or (won not in rule.points and max(rule.points.values()) > 0):
            continue  # what speaks for another way is no reason for this one
        against = min((rule.points.get(name, 0) for name in rivals), default=0)
        strength[rule.id] = max(rule.points.get(won, 0), -against - 0.5 if against <= AGAINST else 0)
    if advice.verdict in (
        Verdict.FINE_TUNE,
        Verdict.SMALL_MODEL,
    ):  # what speaks for training is told, not what loses
        strength = {r.id: r.points.get(won, 0) for r in advice.fired if r.when}
    chosen = [rule for rule in advice.fired if strength.get(rule.id, 0) > 0 and rule.id != "open-ended"]
    return sorted(chosen, key=lambda rule: -strength[rule.id])[:REASONS]


def listed(parts: Sequence[str]) -> str:
    """a, and b / a; b; and c."""
    said = [part.rstrip(".") for part in parts]
    if len(said) < 3:
        return ", and ".join(said)
    return "; ".join(said[:-1]) + f"; and {said[-1]}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _lean(verdict: Verdict) -> str:
    verbs = {Verdict.RAG: "retrieve (RAG)", Verdict.PROMPT: "prompt an existing model"}
    return verbs.get(verdict, spoken(verdict))


def _unknown(advice: Advice) -> str:
    known = advice.signals.known()
    words = {"task": "the task", "gaps": "what goes wrong", "baseline": "whether a prompt was tried",
             "eval_n": "an evaluation", "examples": "the number of examples"}  # fmt: skip
    missing = [text for name, text in words.items() if known.get(name) in (None, ("vague",))]
    if not missing:
        return "a measurement on your own items outweighs it"
    last = f" and {missing[-1]}" if len(missing) > 1 else missing[-1]
    return ", ".join(missing[:-1]) + last + (" are" if len(missing) > 1 else " is") + " still unknown"


def told_move(move: str, advice: Advice, prices: Mapping[str, Any]) -> str:
    """The direct answer to a question about the verdict itself."""
    if move == "why":
        return headline(advice)
    if move == "change":
        flips = " ".join(advice.would_change[:2])
        return flips or "Nothing that I know of: each single change I tried leaves the verdict as it is."
    if move == "cost":
        verdict = advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict
        return (
            cost_line(verdict, advice.signals, prices)
            or "I have no prices for this; add them to bot/prices.yaml."
        )
    if move == "next":
        return advice.next_step
    if move == "sources":
        return f"These passages stand behind “{spoken(advice.verdict)}”; the table's own lines name: {_from(advice)}."
    return "You're welcome. Tell me here how the next step went, with its score, and I will decide again."


def _from(advice: Advice) -> str:
    names = list(dict.fromkeys(rule.source for rule in reasons(advice)))
    return ", ".join(names) or "guide"
