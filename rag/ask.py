"""The adviser: one question in, one Reply out - read, decide, search, cite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag.advise import Advice, advise, spoken
from rag.answer import Answer
from rag.chat import Chat, ChatFailed, Turn
from rag.read_embedded import EmbeddedReader
from rag.read_llm import LlmReader
from rag.reply import FollowUp, Reply, Verdict
from rag.signals import Signals, after_measuring, merge
from rag.table import load_table
from rag.write import Writer

if TYPE_CHECKING:
    from rag.embed import MiniLM
    from rag.index import Index

STATE_VERSION = 1
MOST_QUESTIONS = 3
STILL = ""  # no new step: only asks whether to go on
OFF_TOPIC = (
    "I help with one thing: whether to prompt, retrieve, fine-tune or train a model. "
    "Ask me about a task you want a model to do."
)


class Adviser:
    """Answers questions over an index; `prices` is the dated table of bot/prices.yaml."""

    def __init__(
        self, index: Index, embed: MiniLM, prices: Mapping[str, Any], chat: Chat | None = None
    ) -> None:
        self._prices, self._chat = prices, chat
        self._reader, self._table = EmbeddedReader(embed), load_table()
        self._llm_reader = LlmReader(self._reader)
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

        `on_step` hears "reading", "searching", "checking", and STILL while a language model is waited for; what
        it raises ends the work.
        """
        step = on_step or (lambda name: None)
        step("reading")
        old, asked = remembered(state)
        turn = self._chat.turn(alive=lambda: step(STILL)) if self._chat else None
        signals = self._read(question, turn, old)
        if old:
            signals = merge(old, signals)
        if old and signals.topic == "other":
            signals = signals.model_copy(update={"topic": "decision"})
        advice = advise(signals, self._table)
        if advice.verdict is Verdict.OFF_TOPIC:
            return noted(Reply(advice.verdict, 0.0, OFF_TOPIC, state=memory(old, asked)), turn)
        answer = self._write(question, advice, scopes, turn, step)
        return noted(self._reply(advice, answer, asked), turn)

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
        old, asked = remembered(state)
        advice = advise(after_measuring(old or self._reader(question), found), self._table)
        reply = self._reply(advice, self._write(question, advice, scopes), asked)
        return replace(reply, headline=f"Measured on your own tickets. {said}")

    def _read(self, question: str, turn: Turn | None, known: Signals | None) -> Signals:
        """The signals of one message, by the language model where it answers; the turn keeps its failure."""
        if turn is not None:
            with suppress(ChatFailed):
                return self._llm_reader(question, turn, known)
        return self._reader(question)

    def _reply(self, advice: Advice, answer: Answer, asked: int) -> Reply:
        if advice.verdict is Verdict.GUIDE_ANSWER:
            found = "From the documents:" if answer.claims else (answer.note or "")
            state = memory(advice.signals, asked)
            return Reply(advice.verdict, 0.0, found, answer.claims, citations=answer.citations, state=state)
        follow_up = self._follow_up(advice, asked)
        return Reply(
            verdict=advice.verdict,
            confidence=advice.confidence,
            headline=headline(advice),
            why=answer.claims,
            signals=advice.deciding,
            citations=answer.citations,
            next_step=advice.next_step,
            would_change=advice.would_change,
            cost_line=cost_line(advice.verdict, self._prices),
            follow_up=follow_up,
            lean=advice.lean,
            note=answer.note,
            state=memory(advice.signals, asked + (follow_up is not None)),
        )

    def _follow_up(self, advice: Advice, asked: int) -> FollowUp | None:
        """The next question, one at a time, three in a thread at most, and only where it is needed."""
        if advice.verdict is not Verdict.NEED_MORE_INFO or asked >= MOST_QUESTIONS or not advice.questions:
            return None
        return advice.questions[0]


def noted(reply: Reply, turn: Turn | None) -> Reply:
    """The reply with a plain sentence in its note when the language model failed."""
    if turn is None or turn.failure is None:
        return reply
    return replace(reply, note=" ".join(filter(None, (reply.note, str(turn.failure)))))


def remembered(state: Mapping[str, Any] | None) -> tuple[Signals | None, int]:
    """The thread's signals and how many questions were asked; nothing from a state of another version."""
    if not state or state.get("version") != STATE_VERSION or not state.get("signals"):
        return None, 0
    return Signals.model_validate(state["signals"]), int(state.get("asked", 0))


def memory(signals: Signals | None, asked: int) -> dict[str, Any]:
    """What a thread keeps, as JSON."""
    kept = signals.model_dump(mode="json", exclude_none=True) if signals else None
    return {"version": STATE_VERSION, "signals": kept, "asked": asked}


def headline(advice: Advice) -> str:
    """One plain sentence: the verdict with the strongest reasons of the table."""
    verdict = spoken(advice.verdict)
    if advice.verdict is Verdict.NEED_MORE_INFO:
        reason = f" {advice.gate.say.capitalize().rstrip('.')}." if advice.gate else ""
        return f"I need to know more before a verdict.{reason} My lean for now: {spoken(advice.lean)}."
    reasons = [
        rule.say.rstrip(".")
        for rule in advice.fired
        if rule.points.get(str(advice.verdict), 0) > 0 and rule.when
    ]
    because = f": {'; '.join(reasons[:3])}" if reasons else ""
    more = f" {advice.combination}" if advice.combination else ""
    return f"{verdict[0].upper()}{verdict[1:]}{because}.{more}"


def cost_line(verdict: Verdict, prices: Mapping[str, Any]) -> str:
    """What the verdict costs, from the dated table; empty where nothing is built."""
    as_of = prices.get("as_of", "undated")
    gpus = {name: row["usd"] for name, row in prices.get("gpu_hour", {}).items()}
    apis = prices.get("api_per_million", {})
    if verdict in (Verdict.PROMPT, Verdict.RAG) and apis:
        name, row = min(apis.items(), key=lambda item: item[1]["in"])
        return f"From ${row['in']:.2f} in and ${row['out']:.2f} out per million tokens ({name}); prices as of {as_of}."
    if verdict in (Verdict.FINE_TUNE, Verdict.FOUNDATION_MODEL) and gpus:
        name = min(gpus, key=lambda key: gpus[key])
        return f"GPU time from ${gpus[name]:.2f} an hour ({name}); prices as of {as_of}."
    if verdict is Verdict.SMALL_MODEL:
        cpu = prices.get("cpu_hour", {}).get("usd")
        return f"Minutes on a CPU at ${cpu:.2f} an hour; prices as of {as_of}." if cpu else ""
    return ""
