"""Writes the cited answer to a question: collects passages, selects or phrases sentences, checks each against its source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from rag.advice.decide import Advice, verdict_phrase
from rag.advice.document_questions import RequiredMatch
from rag.answer.answerability import load_weights
from rag.answer.evidence import collect_passages, load_phrases, parts_of, queries_for
from rag.answer.extractive import Answer, compose, refusal
from rag.answer.generative import MAX_SENTENCES, Assignment, phrase
from rag.answer.precedence import has_entry
from rag.llm import CallBudget, LanguageModelError
from rag.reply import Verdict
from rag.search.embedding import CachedEmbedder
from rag.search.retrieval import retrieve
from rag.signals.document_injection import is_injection
from rag.signals.rules import EmbeddedReader

if TYPE_CHECKING:
    from rag.index import Index
    from rag.search.embedding import Embedder


class Writer:
    """`writer(question, advice, scopes, budget)` gives the cited sentences; `reader` recognises prompt injections."""

    def __init__(self, index: Index, embed: Embedder, reader: EmbeddedReader) -> None:
        self._index, self._rows, self._reader = index, CachedEmbedder(embed), reader
        self._phrases = load_phrases()

    def __call__(
        self,
        question: str,
        advice: Advice,
        scopes: frozenset[str],
        budget: CallBudget | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> Answer:
        """The answer from passages that readers of `scopes` may see; a failure of the model is stored in `budget.failure`."""
        step("searching")
        queries = queries_for(advice, self._phrases)
        passages = collect_passages(self._index, question, queries, scopes)
        factual = advice.verdict is Verdict.GUIDE_ANSWER
        parts = parts_of(self._index, question, passages, scopes) if factual else []
        step("checking")
        document_count = len(self._index.documents(scopes))
        if budget is not None:
            sources = list({p.chunk_id: p for p in (*parts, *passages)}.values())
            with suppress(LanguageModelError):
                clean_question = self._reader.without_injections(question)
                most = max(MAX_SENTENCES, len(parts))
                decision = describe_decision(advice)
                assignment = Assignment(clean_question, decision, tuple(sources), is_injection, most)
                answer = phrase(assignment, budget, self._rows)
                if answer is not None and (answer.claims or factual):
                    return answer if answer.claims else refusal(passages, document_count)
        return compose(
            question,
            passages,
            self._rows,
            queries=queries,
            parts=parts,
            document_count=document_count,
            skip=is_injection,
        )

    def answer_if_certain(
        self, question: str, scopes: frozenset[str], own: bool, bar: RequiredMatch
    ) -> Answer:
        """The answer to a message that may not be a question of fact: given only where a passage contains it with certainty.

        `own`: from the team's own documents alone.
        """
        passages = retrieve(self._index, question, scopes)
        documents = self._index.documents(scopes)
        if own:
            mine = {document.id for document in documents if document.root != "guide"}
            passages = [passage for passage in passages if passage.doc_id in mine] if mine else []
        if bar is RequiredMatch.ENTRY:
            passages = [passage for passage in passages if has_entry(question, passage)]
        return compose(
            question,
            passages,
            self._rows,
            document_count=len(documents),
            min_log_odds=None if bar is RequiredMatch.USUAL else load_weights().min_log_odds_unasked,
            skip=is_injection,
        )


def describe_decision(advice: Advice) -> str:
    """The table's decision and the lines behind it, for the model that phrases it; empty for a factual question."""
    if advice.verdict is Verdict.GUIDE_ANSWER:
        return ""
    verdict = str(advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict)
    lines = [advice.gate.say] if advice.gate else []
    lines += [rule.say for rule in advice.active_rules if rule.when and rule.points.get(verdict, 0) > 0]
    return f"{verdict_phrase(advice.verdict)}. What decided: {'; '.join(lines) or 'the cheapest thing is tried first'}."
