"""Decides a verdict from signals: gates first, then points, then the reasons; pure, no clock, no I/O.

Covers the decision and everything that explains it. Does not cover prices (rag/advice/explanation.py) nor words
of the guide (rag/answer/extractive.py). Only the table has weights; text of users reaches it as signals alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag.advice.assertions import certain_signals, may_state, only, signal_names
from rag.advice.decision_table import Rule, Table, holds
from rag.advice.facts import facts_of
from rag.reply import DecidingSignal, FollowUp, Verdict
from rag.signals.schema import Signals

MAX_CHANGES = 4
CLOSE = 4.0  # a runner-up within so many points, for another gap, is named as the second step


@dataclass(frozen=True)
class Flip:
    """A change of the case that leads to another verdict."""

    id: str
    say: str
    verdict: Verdict


@dataclass(frozen=True)
class Advice:
    """A verdict with its grounds. `active_rules` are the table's lines that held, in its order.

    `points` are by option; `pass_mark` is the score that `next_step` must reach.
    """

    verdict: Verdict
    lean: Verdict
    points: Mapping[str, float]
    active_rules: tuple[Rule, ...]
    gate: Rule | None
    deciding: tuple[DecidingSignal, ...]
    sections: tuple[str, ...]
    next_step: str
    pass_mark: str
    flips: tuple[Flip, ...]
    runner_up: Verdict | None
    combination: str | None
    questions: Mapping[str, FollowUp]
    signals: Signals
    certain: frozenset[str]
    experiment: str = ""

    @property
    def stated_facts(self) -> Signals:
        """The signals that the person said or confirmed; an answer may state them as facts of the case."""
        return only(self.signals, self.certain)


def advise(signals: Signals, table: Table, confirmations: frozenset[str] = frozenset()) -> Advice:
    """The verdict on these signals by this table; `confirmations` names the signals that the person corrected or approved."""
    facts = facts_of(signals)
    certain = certain_signals(signals, confirmations)
    verdict, gate, rules, points = decide(facts, table, certain)
    order = rank_options(points, table, facts, rules)
    lean = Verdict(order[0])
    runner_up = Verdict(order[1]) if points[order[1]] > 0 else None
    open_questions = verdict in (Verdict.OFF_TOPIC, Verdict.GUIDE_ANSWER)
    stated_facts = only(signals, certain)
    pass_mark = _pass_mark(stated_facts)
    experiment = {} if open_questions else _experiment_block(verdict, facts, table)
    return Advice(
        verdict=verdict,
        lean=lean,
        points=points,
        active_rules=rules,
        gate=gate,
        deciding=() if open_questions else deciding(signals, rules, gate, order[:2]),
        sections=() if open_questions else sections(verdict, facts, table),
        next_step=fill_experiment(str(experiment.get("do", "")), stated_facts, pass_mark),
        pass_mark=pass_mark,
        flips=() if open_questions else find_flips(signals, table, verdict),
        runner_up=runner_up,
        combination=_combination(signals, points, lean, facts),
        questions={} if open_questions else questions(facts, table),
        signals=signals,
        certain=certain,
        experiment=str(experiment.get("id", "")),
    )


def decide(
    facts: Mapping[str, Any], table: Table, certain: frozenset[str] = frozenset()
) -> tuple[Verdict, Rule | None, tuple[Rule, ...], dict[str, float]]:
    """The verdict, the gate that forced it (if one did), the rules that fired and the points."""
    rules = tuple(_with_words(rule, facts, certain) for rule in table.rules if holds(rule.when, facts))
    points: dict[str, float] = dict.fromkeys(table.options, 0.0)
    for rule in rules:
        for option, value in rule.points.items():
            points[option] += value
    winner = rank_options(points, table, facts, rules)[0]
    for gate in table.gates:
        if holds(gate.when, facts):
            if gate.verdict == "points":
                break
            return Verdict(str(gate.verdict)), gate, rules, points
    for block in table.blocks:
        if winner in block.verdicts and holds(block.when, facts):
            return Verdict.NEED_MORE_INFO, block, rules, points
    return Verdict(winner), None, rules, points


def _with_words(rule: Rule, facts: Mapping[str, Any], certain: frozenset[str]) -> Rule:
    """The rule with the words that may be used: its own with the asker's figures, or the general ones."""
    if not may_state(rule, facts, certain):
        return replace(rule, say=rule.general)
    if "{" not in rule.say:
        return rule
    return replace(
        rule, say=rule.say.format(**{name: _format(facts[name]) for name in rule.when if name in facts})
    )


def rank_options(
    points: Mapping[str, float], table: Table, facts: Mapping[str, Any], rules: Sequence[Rule]
) -> list[str]:
    """The options, most points first.

    A tie goes to an option that some rule speaks for, then to one that `ties` does not put last, then to the one
    that the table names first.
    """
    options = {option for rule in rules for option, value in rule.points.items() if value > 0}
    last = {line["option"] for line in table.ties if holds(line["when"], facts)}
    return sorted(table.options, key=lambda name: (-points[name], name not in options, name in last))


def deciding(
    signals: Signals, rules: tuple[Rule, ...], gate: Rule | None, first: list[str]
) -> tuple[DecidingSignal, ...]:
    """The signals that moved the two `first` options, strongest first, each with the user's words."""
    strength: dict[str, float] = {}
    effects: dict[str, list[str]] = {}
    for rule in (*([gate] if gate else []), *rules):
        effect_by_option = {option: value for option, value in rule.points.items() if option in first}
        if rule.points and not effect_by_option:
            continue
        weight = max((abs(v) for v in effect_by_option.values()), default=9.0)
        points = ", ".join(f"{option} {value:+g}" for option, value in effect_by_option.items())
        for name in signal_names(rule.when):
            strength[name] = max(strength.get(name, 0), weight + (0.5 if first[0] in effect_by_option else 0))
            effect = f"{rule.say} ({points})" if points else rule.say
            if effect not in effects.setdefault(name, []):
                effects[name].append(effect)
    values = signals.known_values()
    signals_told = [
        DecidingSignal(name, _format(values[name]), signals.quotes.get(name, ""), "; ".join(effects[name]))
        for name in sorted(strength, key=lambda name: -strength[name])
        if name in values and name != "topic"
    ]
    return tuple(signals_told[:6])


def _format(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and value >= 1_000_000:
        size, word = (1e9, "billion") if value >= 1_000_000_000 else (1e6, "million")
        return f"{value / size:.3g} {word}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def sections(verdict: Verdict, facts: Mapping[str, Any], table: Table) -> tuple[str, ...]:
    """The guide's sections that back the verdict."""
    extra = [line["add"] for line in table.sections["extra"] if holds(line["when"], facts)]
    return tuple(dict.fromkeys([*table.sections[str(verdict)], *extra]))


def find_flips(signals: Signals, table: Table, verdict: Verdict) -> tuple[Flip, ...]:
    """The first single-signal changes that lead to another winner, at least one per new winner.

    Skips a flip that repeats a known value or extends a listed flip; lists at most four.
    """
    facts = facts_of(signals)
    flips: list[Flip] = []
    leads: list[tuple[Verdict, Mapping[str, Any]]] = []
    for flip in table.flips:
        values_known = signals.known_values()
        if not holds(flip.get("only", {}), facts) or all(
            values_known.get(k) == _comparable(v) for k, v in flip["set"].items()
        ):
            continue
        values = signals.model_dump() | flip["set"]
        if verdict is Verdict.NEED_MORE_INFO:
            values |= {"in_training": None, "vendor_claim": None}
        other = decide(facts_of(Signals(**values)), table)[0]
        if str(other) not in flip["toward"]:
            continue  # the points may say so, a person would not: "a prompt is good enough, so train"
        repeats = any(
            known_flip.items() <= flip["set"].items()
            for verdict_of_lead, known_flip in leads
            if verdict_of_lead == other
        )
        if not repeats and other not in (
            verdict,
            Verdict.NEED_MORE_INFO,
            Verdict.OFF_TOPIC,
            Verdict.GUIDE_ANSWER,
        ):
            leads.append((other, flip["set"]))
            flips.append(Flip(flip["id"], flip["say"], other))
    first = {flip.verdict: number for number, flip in reversed(list(enumerate(flips)))}
    order = sorted(range(len(flips)), key=lambda number: (number not in first.values(), number))
    return tuple(flips[number] for number in order[:MAX_CHANGES])


def _comparable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


VERDICT_PHRASES = {
    Verdict.PROMPT: "prompt an existing model",
    Verdict.RAG: "retrieval (RAG)",
    Verdict.FINE_TUNE: "fine-tune",
    Verdict.SMALL_MODEL: "train a small model",
    Verdict.FOUNDATION_MODEL: "train a foundation model",
    Verdict.NEED_MORE_INFO: "more information first",
    Verdict.GUIDE_ANSWER: "an answer from the documents",
    Verdict.OFF_TOPIC: "off topic",
}


def verdict_phrase(verdict: Verdict) -> str:
    """The verdict as a person says it."""
    return VERDICT_PHRASES[verdict]


def questions(facts: Mapping[str, Any], table: Table) -> dict[str, FollowUp]:
    """The ids of the questions still worth asking, in the table's order."""
    return {
        line["id"]: FollowUp(line["ask"], tuple(option["say"] for option in line["options"]))
        for line in table.questions
        if not any(facts.get(name) not in (None, False) for name in line["known"])
    }


def half_width(share: float, n: int) -> float:
    """Half of the 95% interval, in points, of a share (0-1) seen on n items (normal approximation)."""
    return 196.0 * math.sqrt(share * (1 - share) / n)


def _eval_items(signals: Signals) -> int:
    return max(signals.eval_n, 100) if signals.eval_n else 200


def one_decimal(percent: float) -> str:
    """A percentage as people read it: `92`, `97.4`; never `97.3684`."""
    return f"{percent:.1f}".removesuffix(".0")


def pass_mark_figures(signals: Signals) -> tuple[str, dict[str, str]]:
    """The kind of pass mark ("target", "score", "default") and its figures; chance alone does not reach it.

    The target if one was said, else today's score plus its interval, else 85%.
    """
    n = _eval_items(signals)
    items = f"{n:,}"
    if signals.target is not None:
        width = half_width(signals.target / 100, n)
        return "target", {"target": one_decimal(signals.target), "width": f"{width:.1f}", "n": items}
    if signals.score is not None and signals.score < 100:
        width = half_width(signals.score / 100, n)
        bar = min(signals.score + width, 99.5)
        return "score", {
            "bar": f"{bar:.0f}",
            "score": one_decimal(signals.score),
            "width": f"{width:.1f}",
            "n": items,
        }
    return "default", {"width": f"{half_width(0.85, n):.1f}", "n": items}


PASS_MARKS = {
    "target": "it passes at {target}% or more (±{width} points at {n} items)",
    "score": "it passes above {bar}%: today's {score}% plus the interval of {n} items (±{width} points)",
    "default": "it passes at 85% right (±{width} points at {n} items)",
}


def _pass_mark(signals: Signals) -> str:
    name, figures = pass_mark_figures(signals)
    return PASS_MARKS[name].format(**figures)


TASK_WORDS = {
    "classify": "labelled items",
    "extract": "checked pairs",
    "reply": "approved replies",
    "summarise": "approved summaries",
    "translate": "approved segment pairs",
}


def _experiment_block(verdict: Verdict, facts: Mapping[str, Any], table: Table) -> Mapping[str, Any]:
    blocks: Sequence[Mapping[str, Any]] = table.experiments[str(verdict)]
    return next(line for line in blocks if holds(line["when"], facts))


def fill_experiment(text: str, signals: Signals, pass_mark: str, rows: str = "") -> str:
    """The next step with the person's figures; without a count of examples it names the number that is needed."""
    words = rows or TASK_WORDS.get(signals.task or "", "approved examples")
    count = f"{signals.examples:,}" if signals.examples else "500+"
    return text.format(eval_n=f"{_eval_items(signals):,}", rows=f"{count} {words}", **{"pass": pass_mark})


def _combination(
    signals: Signals, points: Mapping[str, float], lean: Verdict, facts: Mapping[str, Any]
) -> str | None:
    """Retrieval and tuning add up where the gaps differ: say which comes first."""
    behaviour = [gap for gap in signals.gaps if gap in ("style", "format")]
    close = abs(points["rag"] - points["fine_tune"]) <= CLOSE or signals.examples is not None
    if lean is Verdict.RAG and behaviour and close:
        what = "voice" if "style" in behaviour else "format"
        wait = "" if (signals.examples or 0) >= 500 else " and 500 examples are approved"
        return f"Retrieval comes first, for the facts; tune the {what} later, once it is measured{wait}."
    if lean is Verdict.FINE_TUNE and signals.task in ("reply", "qa", "summarise", "translate"):
        return "Tune for behaviour only; facts (products, prices, policies) stay in retrieval."
    if lean is Verdict.PROMPT and facts.get("facts_missing") and behaviour:
        return "Facts go into the prompt; a tone starts as a style guide in it."
    return None
