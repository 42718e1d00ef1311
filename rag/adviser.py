"""The adviser: one question in, one Reply out - read, decide, search, cite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag.advice.conversation import (
    MOST_TEXT,
    Decided,
    Move,
    MoveReader,
    Thread,
    about_decision,
    decide_turn,
    listen,
)
from rag.advice.decide import Advice, advise, spoken
from rag.advice.decision_table import load_table
from rag.advice.explanation import cost_line, headline, told_move
from rag.answer.answerability import SURE, unheard
from rag.answer.evidence import gather, load_phrases, parts_of, sought
from rag.answer.extractive import Answer, compose, refusal
from rag.answer.generative import MAX_SENTENCES, Assignment, phrase
from rag.llm import CallBudget, LanguageModel, LanguageModelError
from rag.llm.waiting import waiting_steps
from rag.reply import Reply, Verdict
from rag.search.embedding import Remembered
from rag.search.retrieval import retrieve
from rag.signals.llm_reader import LlmReader
from rag.signals.model_vote import with_model_vote
from rag.signals.reading import Reading
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals, after_measuring

if TYPE_CHECKING:
    from rag.index import Index
    from rag.search.embedding import Embedder, MiniLM

OFF_TOPIC = (
    "I help with one thing: whether to prompt, retrieve, fine-tune or train a model. "
    "Ask me about a task you want a model to do."
)


class Adviser:
    """Answers questions over an index; `prices` is the dated table of bot/prices.yaml."""

    def __init__(
        self, index: Index, embed: MiniLM, prices: Mapping[str, Any], chat: LanguageModel | None = None
    ) -> None:
        self._prices, self._chat = prices, chat
        self._reader, self._table = EmbeddedReader(embed), load_table()
        self._llm_reader = LlmReader(self._reader)
        self._moves = MoveReader(embed)
        self._write = Writer(index, embed, self._reader)

    def ask(
        self,
        question: str,
        *,
        state: dict[str, Any] | None = None,
        scopes: frozenset[str] = frozenset({"workspace"}),
        on_step: Callable[[str], None] | None = None,
    ) -> Reply:
        """The reply to one message of a thread; `state` is the last reply's (JSON), None at the start.

        `on_step` hears "reading", "searching", "checking", and lines of rag/llm/waiting.py while a language model is waited for; what
        it raises ends the work.
        """
        step = on_step or (lambda name: None)
        step("reading")
        thread = Thread.from_json(state)
        if thread.signals is not None and (move := self._moves(question)):
            return self._direct(move, thread, scopes, step)
        budget = self._chat.budget(waiting_steps(step)) if self._chat else None
        heard = listen(thread, question, lambda text: self._read(text, budget, thread.signals), self._table)
        decided = decide_turn(heard, self._table)
        if decided.advice.verdict is Verdict.OFF_TOPIC:
            if decided.advice.signals.topic in ("other", "concierge"):
                answer = self._write.from_team(question, scopes)
                if answer.claims:
                    return noted(self._from_documents(answer, thread), budget)
            return noted(Reply(Verdict.OFF_TOPIC, 0.0, OFF_TOPIC, state=thread.to_json()), budget)
        answer = self._write(question, decided.advice, scopes, budget, step)
        return noted(self._reply(decided, answer), budget)

    def measured(
        self,
        question: str,
        found: Mapping[str, Any],
        said: str,
        *,
        state: dict[str, Any] | None = None,
        scopes: frozenset[str] = frozenset({"workspace"}),
    ) -> Reply:
        """The verdict on `question` once more, after a measurement found these signals and `said` its headline."""
        thread = Thread.from_json(state)
        signals = after_measuring(thread.signals or self._reader(question), found)
        thread = replace(thread, signals=signals, question=thread.question or question[:MOST_TEXT])
        decided = decide_turn(thread, self._table)
        reply = self._reply(decided, self._write(question, decided.advice, scopes))
        return replace(reply, headline=f"Measured on your own tickets. {said}")

    def _read(self, question: str, budget: CallBudget | None, known: Signals | None) -> Signals:
        """The signals of one message, after the language model's vote where it answers; `budget` keeps its failure."""
        reading = Reading(self._reader(question))
        if budget is None or reading.signals.topic == "injection":
            return reading.signals
        with suppress(LanguageModelError):
            model = self._llm_reader(question, budget, known)
            if model is not None:
                reading = with_model_vote(reading, model, self._verdict_of)
        return reading.signals

    def _verdict_of(self, signals: Signals) -> str:
        return str(advise(signals, self._table).verdict)

    def _reply(self, decided: Decided, answer: Answer) -> Reply:
        advice, state = decided.advice, decided.thread.to_json()
        if advice.verdict is Verdict.GUIDE_ANSWER:
            return self._from_documents(answer, decided.thread)
        return Reply(
            verdict=advice.verdict,
            confidence=advice.confidence,
            headline=headline(advice, decided.committed),
            why=answer.claims,
            signals=advice.deciding,
            citations=answer.citations,
            next_step=advice.next_step,
            would_change=advice.would_change,
            cost_line=cost_line(advice.verdict, advice.signals, self._prices),
            follow_up=decided.follow_up,
            lean=advice.lean,
            note=answer.note,
            state=state,
        )

    def _from_documents(self, answer: Answer, thread: Thread) -> Reply:
        found = "This is what they say:" if answer.claims else (answer.note or "")
        note = answer.note if answer.claims else None
        return Reply(
            Verdict.GUIDE_ANSWER,
            0.0,
            found,
            answer.claims,
            citations=answer.citations,
            note=note,
            state=thread.to_json(),
        )

    def _direct(
        self, move: Move, thread: Thread, scopes: frozenset[str], step: Callable[[str], None]
    ) -> Reply:
        """The answer to a question about the verdict itself, from the thread's state and the documents."""
        decided = decide_turn(
            replace(thread, signals=about_decision(thread.signals)), self._table, again=True
        )
        advice = decided.advice
        reply = Reply(
            verdict=advice.verdict,
            confidence=advice.confidence,
            headline=told_move(move, advice, self._prices),
            lean=advice.lean,
            follow_up=decided.follow_up,
            state=thread.to_json(),
        )
        if move == "thanks":
            return reply
        if move == "cost":
            verdict = advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict
            factual = replace(advice, verdict=Verdict.GUIDE_ANSWER)
            answer = self._write(
                f"What does it cost and how long does it take: {spoken(verdict)}?", factual, scopes, step=step
            )
        else:
            answer = self._write(thread.question, advice, scopes, step=step)
        note = None if answer.claims else answer.note
        reply = replace(reply, why=answer.claims, citations=answer.citations, note=note)
        if move == "why":
            return replace(reply, signals=advice.deciding)
        return replace(reply, would_change=advice.would_change) if move == "change" else reply


def noted(reply: Reply, budget: CallBudget | None) -> Reply:
    """The reply with a plain sentence in its note when the language model failed."""
    if budget is None or budget.failure is None:
        return reply
    return replace(reply, note=" ".join(filter(None, (reply.note, str(budget.failure)))))


class Writer:
    """`writer(question, advice, scopes, budget)` gives the cited sentences; `reader` knows orders when it sees them."""

    def __init__(self, index: Index, embed: Embedder, reader: EmbeddedReader) -> None:
        self._index, self._rows, self._reader = index, Remembered(embed), reader
        self._phrases = load_phrases()

    def __call__(
        self,
        question: str,
        advice: Advice,
        scopes: frozenset[str],
        budget: CallBudget | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> Answer:
        """The answer, from what readers of `scopes` may see; a failure of the model stays in `budget.failure`."""
        step("searching")
        wanted = sought(advice, self._phrases)
        passages = gather(self._index, question, wanted, scopes)
        factual = advice.verdict is Verdict.GUIDE_ANSWER
        parts = parts_of(self._index, question, passages, scopes) if factual else []
        step("checking")
        searched = len(self._index.documents(scopes))
        if budget is not None:
            told = list({p.chunk_id: p for p in (*parts, *passages)}.values())
            with suppress(LanguageModelError):
                asked = self._reader.without_orders(question)
                most = max(MAX_SENTENCES, len(parts))
                assignment = Assignment(asked, decided(advice), tuple(told), self._reader.is_order, most)
                phrased = phrase(assignment, budget, self._rows)
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
