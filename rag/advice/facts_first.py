"""Which messages the documents may answer before any verdict: no case at all, a question of a rule, a question of fact."""

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
ASKS_A_VERDICT = re.compile(  # what the table decides, whatever a document has to say
    r"\b(?:train\w*|fine-?\s?tun\w*|finetun\w*|tun(?:e|ing)|prompt\w*|rag|retriev\w*|models?|llms?|gpt\S*)\b",
    re.IGNORECASE,
)


def may_be_fact(question: str, decision: TurnDecision) -> bool:
    """Whether documents may answer: whatever is no case, a question of a rule, a question of fact without a case.

    Advice without a case is looked up too, where an entry has the very question as its heading (`Bar.ENTRY`).
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
    """Whether a message asks what to do, which a document answers only where its author foresaw the question."""
    return bool(ASKS_ADVICE.search(question))


class Bar(StrEnum):
    """What a document must hold to answer before a verdict."""

    USUAL = "usual"
    SURE = "sure"
    ENTRY = "entry"  # an entry with this very question as its heading


def bar_for(question: str, decision: TurnDecision, readings: Sequence[Reading]) -> Bar:
    """USUAL for a question of a rule, or one that either reader took for a document's; ENTRY where advice is asked."""
    if is_advice(question) and decision.advice.verdict is Verdict.NEED_MORE_INFO:
        return Bar.ENTRY
    doubtful = {
        value for one in readings for doubt in one.doubts if doubt.signal == "topic" for value in doubt.values
    }
    topics = {one.signals.topic for one in readings} | doubtful
    return Bar.USUAL if "document" in topics or ASKS_A_RULE.search(question) else Bar.SURE


def own_first(question: str, decision: TurnDecision) -> tuple[bool, ...]:
    """Whose documents speak, in order: True the team's own alone, False the guide's too.

    A rule is the team's to give: the guide, with its prices, is asked only where no document of theirs has one.
    """
    verdict = decision.advice.verdict
    if ASKS_A_RULE.search(question):
        return (True,) if is_case(decision) and verdict is not Verdict.OFF_TOPIC else (True, False)
    return (is_case(decision),)


def is_case(decision: TurnDecision) -> bool:
    """Whether a message named a case of its own: then only the team's own documents may speak before the verdict."""
    return decision.advice.verdict not in (Verdict.NEED_MORE_INFO, Verdict.GUIDE_ANSWER)
