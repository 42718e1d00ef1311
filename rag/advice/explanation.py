"""Words a decision: the headline, the next step, the direct answers in a thread. Pure.

Every sentence about the asker's case is the table's `say` of a rule whose signals were said or confirmed, else its
`general` words (rag/advice/decide.py); facts of the guide are cited elsewhere (rag/answer/extractive.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rag.advice.cost_line import cost_line
from rag.advice.decide import Advice, fill_experiment, pass_mark_figures, verdict_phrase
from rag.advice.decision_table import Rule
from rag.advice.phrases import Phrases
from rag.reply import FollowUp, Verdict

REASONS = 3
AGAINST = -3.0  # a line that costs another option so much is a reason, too


def headline(advice: Advice, words: Phrases, is_early: bool = False) -> str:
    """One plain sentence, the verdict and its strongest reasons; a second one where two ways add up."""
    if advice.verdict is Verdict.NEED_MORE_INFO:
        why = f"{_upper(_gate_words(advice.gate, words))}. " if advice.gate else ""
        return why + words("say.lean", way=words(f"way.{advice.lean}"))
    because = join_reasons([rule_words(rule, words) for rule in reasons(advice)])
    opening = words(f"opening.{_opening(advice)}")
    sentence = f"{opening}: {because}." if because else f"{opening}."
    if is_early:
        sentence = f"{words('say.committed')} {sentence}"
        if words.language == "en":
            sentence += f" Take it with care: {_unknown(advice)}."
    return f"{sentence} {advice.combination}" if advice.combination and words.language == "en" else sentence


def _opening(advice: Advice) -> str:
    learning = advice.verdict is Verdict.FOUNDATION_MODEL and advice.signals.learning
    return "to_learn" if learning else str(advice.verdict)


def rule_words(rule: Rule, words: Phrases) -> str:
    """A rule's words in the asker's language: the case's own in English, the general ones in any other."""
    return rule.say if words.language == "en" else words.get(f"table.{rule.id}", rule.say)


def _gate_words(gate: Rule, words: Phrases) -> str:
    return words.get(f"gate.{gate.id}", gate.say)


def next_step(advice: Advice, words: Phrases) -> str:
    """The cheapest next experiment in the asker's language."""
    text = words.get(f"experiment.{advice.experiment}", "")
    if words.language == "en" or not text:
        return advice.next_step
    signals = advice.stated_facts
    name, figures = pass_mark_figures(signals)
    kind = (
        signals.task
        if signals.task in ("classify", "extract", "reply", "summarise", "translate")
        else "approved"
    )
    rows = words(f"rows.{kind}")
    return fill_experiment(text, signals, words(f"say.passes_{name}", **figures), rows)


def would_change(advice: Advice, words: Phrases) -> tuple[str, ...]:
    """The changes that would lead to another verdict, each with that verdict."""
    lines = []
    for flip in advice.flips:
        text = words.get(f"flip.{flip.id}", flip.say)
        way = words(f"way.{flip.verdict}") if words.language != "en" else verdict_phrase(flip.verdict)
        lines.append(f"{text[0].upper()}{text[1:]} → {way}.")
    return tuple(lines)


def question_words(name: str, question: FollowUp, words: Phrases) -> FollowUp:
    """The question that waits in the asker's language, its options with it."""
    options = [words.get(f"question.{name}.{n}", text) for n, text in enumerate(question.options)]
    return replace(question, text=words.get(f"question.{name}.ask", question.text), options=tuple(options))


def reasons(advice: Advice) -> list[Rule]:
    """The rules that favour the verdict most, or count against its strongest rival; strongest first."""
    winner, strength = str(advice.verdict), {}
    rivals = {"fine_tune", "small_model"} - {winner}
    if {"ambition", "capability"} & set(advice.signals.gaps) or advice.signals.task == "foundation":
        rivals |= {"foundation_model"} - {winner}
    for rule in advice.active_rules:
        if not rule.when or (winner not in rule.points and max(rule.points.values()) > 0):
            continue  # what speaks for another way is no reason for this one
        against = min((rule.points.get(name, 0) for name in rivals), default=0)
        strength[rule.id] = max(rule.points.get(winner, 0), -against - 0.5 if against <= AGAINST else 0)
    if advice.verdict in (
        Verdict.FINE_TUNE,
        Verdict.SMALL_MODEL,
    ):  # what speaks for training is told, not what loses
        strength = {r.id: r.points.get(winner, 0) for r in advice.active_rules if r.when}
    rules = [rule for rule in advice.active_rules if strength.get(rule.id, 0) > 0 and rule.id != "open-ended"]
    return sorted(rules, key=lambda rule: -strength[rule.id])[:REASONS]


def join_reasons(parts: Sequence[str]) -> str:
    """a; b; c, each once."""
    clauses = list(dict.fromkeys(part.rstrip(".。") for part in parts))
    return "; ".join(clauses)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _unknown(advice: Advice) -> str:
    values = advice.signals.known_values()
    words = {"task": "the task", "gaps": "what goes wrong", "baseline": "whether a prompt was tried",
             "eval_n": "an evaluation", "examples": "the number of examples"}  # fmt: skip
    missing = [text for name, text in words.items() if values.get(name) in (None, ("vague",))]
    if not missing:
        return "a measurement on your own items outweighs it"
    last = f" and {missing[-1]}" if len(missing) > 1 else missing[-1]
    return ", ".join(missing[:-1]) + last + (" are" if len(missing) > 1 else " is") + " still unknown"


def answer_move(move: str, advice: Advice, prices: Mapping[str, Any], words: Phrases) -> str:
    """The direct answer to a question about the verdict itself."""
    verdict = advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict
    if move == "why":
        return headline(advice, words)
    if move == "change":
        flips = " ".join(would_change(advice, words)[:2])
        return flips or "Nothing that I know of: each single change I tried leaves the verdict as it is."
    if move == "cost":
        return (
            cost_line(verdict, advice.stated_facts, prices)
            or "I have no prices for this; add them to bot/prices.yaml."
        )
    if move in ("next", "go"):
        return next_step(advice, words)
    if move == "advice":
        step = next_step(replace_verdict(advice, verdict), words)
        return f"{words(f'opening.{verdict}')}. {step}"
    if move == "saving":
        return saving_line(advice, verdict, prices)
    if move == "wrong":
        return words("say.which_wrong")
    if move == "sources":
        return f"These passages stand behind “{verdict_phrase(advice.verdict)}”; the table's own lines name: {_sources_named(advice)}."
    return "You're welcome. Tell me here how the next step went, with its score, and I will decide again."


def replace_verdict(advice: Advice, verdict: Verdict) -> Advice:
    """The advice with this verdict in place of its own; a next step that collects missing facts stays."""
    return advice if advice.verdict is verdict else replace(advice, verdict=verdict)


def saving_line(advice: Advice, verdict: Verdict, prices: Mapping[str, Any]) -> str:
    """The cost of the advised option against today's bill; without a bill, the figures that are missing."""
    signals = advice.stated_facts
    cost = cost_line(verdict, signals, prices)
    if signals.monthly_cost is None:
        missing = "what it costs today a month" + ("" if signals.volume_month else " and the calls a month")
        return f"I cannot say before I know {missing}. {cost}".strip()
    return f"Today it costs ${signals.monthly_cost:,.0f} a month; that is the most that can be saved. {cost}".strip()


def _sources_named(advice: Advice) -> str:
    names = list(dict.fromkeys(rule.source for rule in reasons(advice)))
    return ", ".join(names) or "guide"
