"""Decides which messages documents may answer before a verdict: no case, a question about a rule, a question of fact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from rag.advice.conversation import TurnDecision
from rag.reply import Verdict
from rag.signals.reading import Reading

ASKS_A_FACT = re.compile(
    r"^\W*(?:(?:and|but|so|ok|hi|hello|hey|quick question)\W+)*(?:what|how|who|whom|whose|when|where|which|is|are|does|did|may|can|was|were|"
    r"wie|wer|wo|wann|welche\w*|darf|dürfen|qui|quand|comment|où|quel\w*|combien|quién|qué|cómo|cuándo|dónde|cuál|"
    r"chi|come|quando|dove|quale|wat|hoe|wie|waar|mogen)\b",
    re.IGNORECASE,
)
ASKS_A_RULE = re.compile(
    r"\b(?:may|are|is|can) (?:we|i|one|it|our \w+|the \w+|agents?|employees?|they)\b[^?]{0,20}\b(?:allowed|permitted|send|share|upload|use|paste|put|store|give|train)\b"
    r"|\b(?:allowed|permitted|permission) to\b|\bwho (?:approves|decides|may|can|owns)\b|\b(?:our|the company'?s) (?:policy|rule|limit|handbook)\b"
    r"|\bdürfen wir\b|\bpeut-on\b|\bavons-nous le droit\b|\bpodemos\b|\bmogen we\b|\bpossiamo\b|\bpodemos\b",
    re.IGNORECASE,
)
ASKS_ADVICE = re.compile(
    r"\b(?:should|better|worth|recommend|need to|do we need|sollen|faut-il|devrions|deberíamos)\b",
    re.IGNORECASE,
)
ASKS_A_VERDICT = re.compile(  # the table decides these, whatever a document says
    r"\b(?:train\w*|fine-?\s?tun\w*|finetun\w*|tun(?:e|ing)|prompt\w*|rag|retriev\w*|models?|llms?|gpt\S*)\b",
    re.IGNORECASE,
)


def may_be_fact(question: str, decision: TurnDecision) -> bool:
    """Whether documents may answer: messages without a case, questions about a rule, questions of fact.

    Advice without a case is looked up too, where an entry has the very question as its heading (`RequiredMatch.ENTRY`).
    """
    verdict = decision.advice.verdict
    if verdict is Verdict.OFF_TOPIC:
        return True
    if is_advice(question):
        is_open = verdict is Verdict.NEED_MORE_INFO and decision.thread.fresh
        return is_open and not ASKS_A_VERDICT.search(question)
    if ASKS_A_RULE.search(question):
        return True
    if verdict is Verdict.GUIDE_ANSWER:
        return False
    return verdict is Verdict.NEED_MORE_INFO and decision.thread.fresh and bool(ASKS_A_FACT.search(question))


def is_advice(question: str) -> bool:
    """Whether a message asks for advice; a document answers that only with an entry for this very question."""
    return bool(ASKS_ADVICE.search(question))


class RequiredMatch(StrEnum):
    """How closely a document must match a question to answer before a verdict."""

    USUAL = "usual"
    SURE = "sure"
    ENTRY = "entry"  # an entry with this very question as its heading


def required_match(question: str, decision: TurnDecision, readings: Sequence[Reading]) -> RequiredMatch:
    """USUAL for a question about a rule or one that a reader sent to the documents; ENTRY where the message asks for advice."""
    if is_advice(question) and decision.advice.verdict is Verdict.NEED_MORE_INFO:
        return RequiredMatch.ENTRY
    doubtful = {
        value
        for one in readings
        for doubt in one.conflicts
        if doubt.signal == "topic"
        for value in doubt.values
    }
    topics = {one.signals.topic for one in readings} | doubtful
    return RequiredMatch.USUAL if "document" in topics or ASKS_A_RULE.search(question) else RequiredMatch.SURE


def own_only_steps(question: str, decision: TurnDecision) -> tuple[bool, ...]:
    """The searches to try, in order: True searches the team's own documents alone, False the guide's too.

    A team sets its own rules: the guide, with its prices, is searched only where no document of theirs has a rule.
    """
    verdict = decision.advice.verdict
    if ASKS_A_RULE.search(question):
        return (True,) if is_case(decision) and verdict is not Verdict.OFF_TOPIC else (True, False)
    return (is_case(decision),)


def is_case(decision: TurnDecision) -> bool:
    """Whether a message describes a case: then only the team's own documents may answer before the verdict."""
    return decision.advice.verdict not in (Verdict.NEED_MORE_INFO, Verdict.GUIDE_ANSWER)
