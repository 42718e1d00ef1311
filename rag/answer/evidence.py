"""Collects the evidence of an answer: the passages for the question and for each table line that decided.

The phrases of rag/evidence.yaml say what to look for; they are never quoted. Every search is within the scopes
of the asker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rag.advice.decision_table import holds
from rag.advice.explanation import AGAINST
from rag.advice.facts import facts_of
from rag.errors import RagError
from rag.reply import Verdict
from rag.search.retrieval import Passage, retrieve

if TYPE_CHECKING:
    from rag.advice.decide import Advice
    from rag.index import Index

PHRASES = Path(__file__).parents[1] / "evidence.yaml"
MAX_PHRASES = 5
PER_QUESTION, PER_PHRASE = 8, 3


@dataclass(frozen=True)
class Phrases:
    """Search phrases: `lines` by id of the table's lines, `situations` as (when, verdicts, phrase)."""

    lines: Mapping[str, str]
    situations: tuple[tuple[Mapping[str, Any], frozenset[str], str], ...]


def load_phrases(path: Path = PHRASES) -> Phrases:
    """The phrases of evidence.yaml; RagError when the file cannot be used."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        situations = tuple(
            (dict(line["when"]), frozenset(line.get("verdicts", ())), str(line["look_for"]))
            for line in raw["situations"]
        )
        return Phrases({str(name): str(text) for name, text in raw["lines"].items()}, situations)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise RagError(f"{path} cannot be used ({type(error).__name__}). Restore it with git.") from error


def queries_for(advice: Advice, phrases: Phrases) -> tuple[str, ...]:
    """The search phrases for a verdict, the heaviest lines first; none for a question without a verdict."""
    if advice.verdict in (Verdict.GUIDE_ANSWER, Verdict.OFF_TOPIC):
        return ()
    verdict = str(advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict)
    gates = [advice.gate] if advice.gate and advice.gate.id in phrases.lines else []
    rules = [rule for rule in advice.active_rules if rule.when]
    lines = sorted((r for r in rules if r.points.get(verdict, 0) > 0), key=lambda r: -r.points[verdict])
    if verdict != Verdict.FINE_TUNE:
        lines += [r for r in rules if r.points.get("fine_tune", 0) <= AGAINST]
    if verdict == Verdict.PROMPT and len(lines) < 2:
        lines += [rule for rule in advice.active_rules if not rule.when]
    facts = facts_of(advice.signals)
    queries = [phrases.lines[line.id] for line in gates]
    queries += [
        phrase
        for when, verdicts, phrase in phrases.situations
        if holds(when, facts) and (not verdicts or verdict in verdicts)
    ]
    queries += [phrases.lines.get(line.id, line.say) for line in lines]
    if advice.combination:
        queries.insert(min(2, len(queries)), advice.combination)
    return tuple(dict.fromkeys(queries))[:MAX_PHRASES]


_LIST = re.compile(
    r"\b(step|stage|phase|mistake|pitfall|ingredient|option|approache|way|reason|platform|place|tool|requirement"
    r"|part|kind|type)s\b|\bwhat (?:all )?do (?:i|we|you) (need)\b",
    re.IGNORECASE,
)
LISTED = 0.2  # a section whose own words name what is listed and that is this near to the question
MAX_PARTS = 8


def parts_of(
    index: Index, question: str, passages: Sequence[Passage], scopes: frozenset[str]
) -> list[Passage]:
    """One passage per part of the section that a question for a list is about, in the document's order.

    Empty for another kind of question, or where no section names the listed things ("steps", ...).
    """
    match = _LIST.search(question)
    if not match:
        return []
    texts: dict[tuple[str, str], str] = {}
    for passage in passages:
        for path in (passage.heading, passage.heading.rsplit(" > ", 1)[0]):
            if " > " in path:
                key = (passage.doc_id, path)
                texts[key] = (
                    f"{texts.get(key, path.rsplit(' > ', 1)[1])}. {passage.heading.rsplit(' > ', 1)[1]}"
                )
                texts[key] += f" {passage.text}" if path == passage.heading else ""
    noun = (match[1] or match[2]).lower().removesuffix("e")
    candidates = {key: text for key, text in texts.items() if noun in text.lower()}
    if not candidates:
        return []
    rows = index.embed([question, *candidates.values()])
    near = rows[1:] @ rows[0]
    for i in near.argsort()[::-1]:
        section_passages = _inside(index, *list(candidates)[int(i)], scopes) if near[i] >= LISTED else []
        if len(section_passages) > 2:
            return section_passages
    return []


def _inside(index: Index, doc: str, path: str, scopes: frozenset[str]) -> list[Passage]:
    """The first passage of each section right under `path`, as far as the asker may read them."""
    passages: dict[str, Passage] = {}
    for passage in retrieve(index, path, scopes, 5 * MAX_PARTS):
        if passage.doc_id == doc and passage.heading.startswith(f"{path} > "):
            passages.setdefault(passage.heading, passage)
    return sorted(passages.values(), key=lambda passage: int(passage.chunk_id))[:MAX_PARTS]


def collect_passages(
    index: Index, question: str, queries: tuple[str, ...], scopes: frozenset[str]
) -> list[Passage]:
    """The passages for the question, then those for each phrase, each once, best first."""
    passages: dict[str, Passage] = {}
    for query, k in ((question, PER_QUESTION), *((phrase, PER_PHRASE) for phrase in queries)):
        for passage in retrieve(index, query, scopes, k):
            passages.setdefault(passage.chunk_id, passage)
    return list(passages.values())
