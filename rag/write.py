"""From a decision to the sentences of its answer: search, phrase with a language model if there is one, check.

The extracted answer (rag/answer/extractive.py) is always at hand; a phrased one (rag/answer/generative.py) takes its place when the
model was there in time and its sentences held.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from rag.advice.decide import Advice, spoken
from rag.answer.answerability import SURE, unheard
from rag.answer.evidence import gather, load_phrases, parts_of, sought
from rag.answer.extractive import Answer, compose, refusal
from rag.answer.generative import MOST_SENTENCES, phrase
from rag.llm import ChatFailed, Turn
from rag.remembered import Remembered
from rag.reply import Verdict
from rag.search.retrieval import retrieve

if TYPE_CHECKING:
    from rag.index import Index
    from rag.search.embedding import Embedder
    from rag.signals.rules import EmbeddedReader


class Writer:
    """`writer(question, advice, scopes, turn)` gives the cited sentences; `reader` knows orders when it sees them."""

    def __init__(self, index: Index, embed: Embedder, reader: EmbeddedReader) -> None:
        self._index, self._rows, self._reader = index, Remembered(embed), reader
        self._phrases = load_phrases()

    def __call__(
        self,
        question: str,
        advice: Advice,
        scopes: frozenset[str],
        turn: Turn | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> Answer:
        """The answer, from what readers of `scopes` may see; a failure of the model stays in `turn.failure`."""
        step("searching")
        wanted = sought(advice, self._phrases)
        passages = gather(self._index, question, wanted, scopes)
        factual = advice.verdict is Verdict.GUIDE_ANSWER
        parts = parts_of(self._index, question, passages, scopes) if factual else []
        step("checking")
        searched = len(self._index.documents(scopes))
        if turn is not None:
            told = list({p.chunk_id: p for p in (*parts, *passages)}.values())
            with suppress(ChatFailed):
                asked = self._reader.without_orders(question)
                most = max(MOST_SENTENCES, len(parts))
                skip = self._reader.is_order
                phrased = phrase(asked, decided(advice), told, turn, self._rows, skip, most)
                if phrased is not None and (phrased.claims or factual):
                    return phrased if phrased.claims else refusal(passages, searched)
        return compose(
            question,
            passages,
            self._rows,
            sought=wanted,
            parts=parts,
            searched=searched,
            unheard=unheard(question, self._index.store, scopes),
            skip=self._reader.is_order,
        )

    def from_team(self, question: str, scopes: frozenset[str]) -> Answer:
        """The answer from the team's own documents alone, for a question that is not about training."""
        own = {document.id for document in self._index.documents(scopes) if document.root != "guide"}
        passages = [p for p in retrieve(self._index, question, scopes) if p.doc_id in own] if own else []
        return compose(
            question,
            passages,
            self._rows,
            searched=len(own),
            least=SURE,
            unheard=unheard(question, self._index.store, scopes),
            skip=self._reader.is_order,
        )


def decided(advice: Advice) -> str:
    """What the table decided and by which lines, for the model that phrases it; empty for a factual question."""
    if advice.verdict is Verdict.GUIDE_ANSWER:
        return ""
    wanted = str(advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict)
    lines = [advice.gate.say] if advice.gate else []
    lines += [rule.say for rule in advice.fired if rule.when and rule.points.get(wanted, 0) > 0]
    return (
        f"{spoken(advice.verdict)}. What decided: {'; '.join(lines) or 'the cheapest thing is tried first'}."
    )
