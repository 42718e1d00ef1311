"""The adviser: one question in, one Reply out - read, decide, search, cite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, get_args

from rag.advice.conversation import (
    MAX_TEXT,
    Thread,
    TurnDecision,
    about_decision,
    correct,
    decide_turn,
    update_thread,
)
from rag.advice.cost_line import cost_line
from rag.advice.decide import decide, verdict_phrase
from rag.advice.decision_table import load_table
from rag.advice.document_questions import may_be_fact, own_only_steps, required_match
from rag.advice.explanation import answer_move, headline, next_step, question_words, would_change
from rag.advice.facts import facts_of
from rag.advice.menus import Correction, changes_between, choice_of, menus_of, parse_correction
from rag.advice.moves import Move, MoveReader, Service
from rag.advice.phrases import Phrases, load_phrases_of
from rag.advice.turns import in_language_of, thread_after, turn_of
from rag.answer.extractive import Answer
from rag.answer.writer import Writer
from rag.llm import CallBudget, LanguageModel, LanguageModelError
from rag.llm.waiting import waiting_steps
from rag.reply import Choice, Menu, Reply, State, Verdict
from rag.search.embedding import CachedEmbedder
from rag.signals.confidence import share_right
from rag.signals.learning import LearningHead
from rag.signals.llm_reader import LlmReader
from rag.signals.model_vote import with_model_vote
from rag.signals.reading import Conflict, Reading
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals, after_measuring
from rag.signals.tuned import ReaderPair, load_tuned_reader

if TYPE_CHECKING:
    from rag.index import Index
    from rag.search.embedding import MiniLM

WORKSPACE = frozenset({"workspace"})


@dataclass(frozen=True)
class TurnContext:
    """The context of one turn: the thread before it, the words of its language, the asker's scopes, the progress callback."""

    thread: Thread
    words: Phrases
    scopes: frozenset[str]
    step: Callable[[str], None]


class Adviser:
    """Answers questions over an index; `prices` is the dated table of bot/prices.yaml."""

    def __init__(
        self, index: Index, embed: MiniLM, prices: Mapping[str, Any], chat: LanguageModel | None = None
    ) -> None:
        self._prices, self._chat = prices, chat
        shared = CachedEmbedder(embed, most=64)  # several readers look at the same message
        self._reader, self._table = EmbeddedReader(shared), load_table()
        tuned = load_tuned_reader(embed.cache)
        self._pair = ReaderPair(self._reader, tuned, self._verdict_of, LearningHead(shared))
        self._llm_reader = LlmReader(self._reader)
        self._moves = MoveReader(shared)
        self._write = Writer(index, embed, self._reader)

    def over(self, index: Index) -> Adviser:
        """An adviser with the same readers over another index; it cites only that index."""
        other = copy(self)
        other._write = Writer(index, index.embed, self._reader)
        return other

    def ask(
        self,
        question: str,
        *,
        state: State | None = None,
        scopes: frozenset[str] = WORKSPACE,
        on_step: Callable[[str], None] | None = None,
    ) -> Reply:
        """The reply to one message of a thread; `state` is the last reply's (JSON), None at the start.

        `on_step` hears "reading", "searching", "checking", and lines of rag/llm/waiting.py while a language model is
        pending; an exception from it ends the work.
        """
        step = on_step or (lambda name: None)
        step("reading")
        turn = self._turn(question, state, scopes, step)
        kind = turn_of(turn.thread, question, self._moves, self._table)
        if isinstance(kind, Correction):
            return self._after_corrections([kind], turn)
        if kind in get_args(Move):
            return self._answer_move(cast(Move, kind), turn)
        if kind is not None:
            return self._about_the_bot(cast(Service, kind), turn)
        return self._answer(question, turn)

    def correct(
        self,
        corrections: Sequence[str],
        *,
        question: str = "",
        state: State | None = None,
        scopes: frozenset[str] = WORKSPACE,
    ) -> Reply:
        """The new verdict after corrections by buttons or `--set`, such as "task=reply"; they count as confirmed.

        Without a state the question is read first. RagError lists the valid corrections where one is invalid.
        """
        parsed_corrections = [parse_correction(text) for text in corrections]
        turn = self._turn(question, state, scopes)
        if turn.thread.signals is None:
            fresh = update_thread(
                turn.thread, question, lambda text: self._read(text, None, None).signals, self._table
            )
            turn = replace(turn, thread=fresh)
        return self._after_corrections(parsed_corrections, turn)

    def measured(
        self,
        question: str,
        signals: Mapping[str, Any],
        result: str,
        *,
        state: State | None = None,
        scopes: frozenset[str] = WORKSPACE,
    ) -> Reply:
        """The new verdict on `question`, after a measurement found these signals, with `result` as its headline.

        Where no prompt was scored, the verdict says that a prompt remains to be measured.
        """
        turn = self._turn(question, state, scopes)
        signals_before = turn.thread.signals or self._reader(question)
        thread = replace(
            turn.thread,
            signals=after_measuring(signals_before, signals),
            question=turn.thread.question or question[:MAX_TEXT],
            confirmations=turn.thread.confirmations | (frozenset(signals) & frozenset(Signals.model_fields)),
        )
        decision = decide_turn(thread, self._table)
        reply = self._reply(decision, self._write(question, decision.advice, scopes), turn)
        prompt_left = reply.verdict is Verdict.PROMPT and signals.get("measured_best") != "prompt"
        left = (
            " No prompt was scored: that is what is left to measure."
            if prompt_left and not signals.get("baseline")
            else ""
        )
        return replace(reply, headline=f"Measured on your own tickets. {result}{left}")

    def _turn(
        self,
        question: str,
        state: State | None,
        scopes: frozenset[str],
        step: Callable[[str], None] = lambda name: None,
    ) -> TurnContext:
        thread = in_language_of(Thread.from_json(state), question)
        return TurnContext(thread, load_phrases_of(thread.language), scopes, step)

    def _answer(self, question: str, turn: TurnContext) -> Reply:
        """The reply to a case or a question of fact."""
        thread = turn.thread
        budget = self._chat.budget(waiting_steps(turn.step)) if self._chat else None
        readings: list[Reading] = []

        def read(text: str, in_case: bool) -> Signals:
            readings.append(self._read(text, budget, thread.signals, in_case))
            return readings[-1].signals

        decision = decide_turn(thread_after(thread, question, read, self._table), self._table)
        if may_be_fact(question, decision):
            bar = required_match(question, decision, readings)
            for own in own_only_steps(question, decision):
                answer = self._write.answer_if_certain(question, turn.scopes, own=own, bar=bar)
                if answer.claims:
                    return with_failure_note(self._from_documents(answer, thread), budget)
        if decision.advice.verdict is Verdict.OFF_TOPIC:
            text, state = turn.words("service.off_topic"), thread.to_json()
            return with_failure_note(
                Reply(Verdict.OFF_TOPIC, 0.0, text, language=thread.language, state=state), budget
            )
        answer = self._write(question, decision.advice, turn.scopes, budget, turn.step)
        share = share_right(readings[-1]) if readings and not decision.is_early else None
        reply = replace(self._reply(decision, answer, turn), confidence=share or 0.0)
        choice = self._choice(
            decision, [conflict for reading in readings for conflict in reading.conflicts], turn.words
        )
        return with_failure_note(replace(reply, choice=choice), budget)

    def _choice(self, decision: TurnDecision, conflicts: Sequence[Conflict], words: Phrases) -> Choice | None:
        """The readers' first conflict that decides the verdict and that a menu can resolve, as a question."""
        if decision.advice.verdict is Verdict.GUIDE_ANSWER:
            return None
        open_conflicts = (
            d
            for d in conflicts
            if d.decisive
            and d.signal not in decision.thread.confirmations
            and self._still_decides(d, decision.advice.signals)
        )
        return next(filter(None, (choice_of(d.signal, d.values, words) for d in open_conflicts)), None)

    def _still_decides(self, conflict: Conflict, signals: Signals) -> bool:
        """Whether the two values lead to different verdicts, given the thread's signals and fixed phrases."""
        one, other = (signals.model_copy(update={conflict.signal: value}) for value in conflict.values)
        return self._verdict_of(one) != self._verdict_of(other)

    def _after_corrections(self, corrections: Sequence[Any], turn: TurnContext) -> Reply:
        """The reply after corrections, with a line per change."""
        before, words = turn.thread, turn.words
        old = decide_turn(replace(before, signals=about_decision(before.signals)), self._table, again=True)
        after = correct(before, list(corrections))
        decision = decide_turn(after, self._table)
        reply = self._reply(decision, self._write(after.question, decision.advice, turn.scopes), turn)
        changes = changes_between(self._menus(old, words), reply.menus, words)
        has_moved = old.advice.verdict is not reply.verdict
        verdict = (
            words("say.changed_verdict", old=words(f"badge.{old.advice.verdict}"))
            if has_moved
            else words("say.same_verdict")
        )
        return replace(reply, changes=(*changes, verdict))

    def _menus(self, decision: TurnDecision, words: Phrases) -> tuple[Menu, ...]:
        advice = decision.advice
        return menus_of(advice.signals, advice.certain, decision.thread.confirmations, words)

    def _read(
        self, question: str, budget: CallBudget | None, context: Signals | None, in_case: bool = False
    ) -> Reading:
        """The reading of one message, with the language model's vote if it answers; `budget` stores its failure."""
        reading = self._pair(question, in_case)
        if budget is None or reading.signals.topic == "injection":
            return reading
        with suppress(LanguageModelError):
            model = self._llm_reader(question, budget, context)
            if model is not None:
                reading = with_model_vote(reading, model, self._verdict_of)
        return reading

    def _verdict_of(self, signals: Signals) -> str:
        return str(decide(facts_of(signals), self._table)[0])

    def _reply(self, decision: TurnDecision, answer: Answer, turn: TurnContext) -> Reply:
        advice, words = decision.advice, turn.words
        if advice.verdict is Verdict.GUIDE_ANSWER:
            return self._from_documents(answer, decision.thread)
        menus = self._menus(decision, words)
        pending = decision.thread.pending
        return Reply(
            verdict=advice.verdict,
            confidence=0.0,
            headline=headline(advice, words, decision.is_early),
            why=answer.claims,
            signals=advice.deciding,
            citations=answer.citations,
            next_step=next_step(advice, words),
            would_change=would_change(advice, words),
            cost_line=cost_line(advice.verdict, advice.stated_facts, self._prices),
            follow_up=question_words(pending, decision.follow_up, words)
            if pending and decision.follow_up
            else decision.follow_up,
            lean=advice.lean,
            note=answer.note,
            menus=menus,
            menus_open=decision.is_early,
            language=words.language,
            state=decision.thread.to_json(),
        )

    def _from_documents(self, answer: Answer, thread: Thread) -> Reply:
        headline = "This is what they say:" if answer.claims else (answer.note or "")
        note = answer.note if answer.claims else None
        return Reply(
            Verdict.GUIDE_ANSWER,
            0.0,
            headline,
            answer.claims,
            citations=answer.citations,
            note=note,
            language=thread.language,
            state=thread.to_json(),
        )

    def _about_the_bot(self, service: Service, turn: TurnContext) -> Reply:
        """A short factual answer to a question about the bot itself; the caller adds jobs and buttons."""
        where = "_model" if self._chat else "_local"
        key = f"{service}{where}" if service == "privacy" else service
        return Reply(
            Verdict.OFF_TOPIC,
            0.0,
            turn.words(f"service.{key}"),
            service=service,
            language=turn.words.language,
            state=turn.thread.to_json(),
        )

    def _answer_move(self, move: Move, turn: TurnContext) -> Reply:
        """The answer to a question about the verdict itself, from the thread's state and the documents."""
        thread, words = turn.thread, turn.words
        decision = decide_turn(
            replace(thread, signals=about_decision(thread.signals)), self._table, again=True
        )
        advice = decision.advice
        reply = Reply(
            verdict=advice.verdict,
            confidence=0.0,
            headline=answer_move(move, advice, self._prices, words),
            lean=advice.lean,
            follow_up=decision.follow_up,
            menus=self._menus(decision, words),
            menus_open=move == "wrong",
            language=words.language,
            state=thread.to_json(),
        )
        if move in ("thanks", "wrong", "go", "advice", "saving"):
            return reply
        if move == "cost":
            verdict = advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict
            factual = replace(advice, verdict=Verdict.GUIDE_ANSWER)
            question = f"What does it cost: {verdict_phrase(verdict)}?"
            answer = self._write(question, factual, turn.scopes, step=turn.step)
        else:
            answer = self._write(thread.question, advice, turn.scopes, step=turn.step)
        note = None if answer.claims else answer.note
        reply = replace(reply, why=answer.claims, citations=answer.citations, note=note)
        if move == "why":
            return replace(reply, signals=advice.deciding)
        return replace(reply, would_change=would_change(advice, words)) if move == "change" else reply


def with_failure_note(reply: Reply, budget: CallBudget | None) -> Reply:
    """The reply with a note when the language model failed."""
    if budget is None or budget.failure is None:
        return reply
    return replace(reply, note=" ".join(filter(None, (reply.note, str(budget.failure)))))
