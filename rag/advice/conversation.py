"""The state of a thread, as plain JSON, and how a message changes it; no clock, no I/O.

Covers follow-ups that refine the signals, corrections, answers to the question that was asked, and new subjects that
start a new case. Confirmed, stated and guessed signals are kept apart: a guess never replaces the
other two. Does not phrase anything (see rag/advice/explanation.py, rag/adviser.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from rag.advice.assertions import certain_signals
from rag.advice.decide import Advice, advise
from rag.advice.decision_table import Table
from rag.advice.menus import Correction, apply_corrections
from rag.advice.moves import bare
from rag.advice.phrases import Phrases, load_phrases_of
from rag.advice.plain_words import CORRECTS, FACTS_FINE, replaced_counts, replaced_gaps, with_plain_words
from rag.reply import FollowUp, State, Verdict
from rag.signals.language import LANGUAGES
from rag.signals.schema import PER_MESSAGE, SIGNAL_NAMES, Signals, merge

VERSION = 3
ASKS = re.compile(
    r"^\W*(?:(?:and|but|so|ok|okay|btw|by the way)\W+)*(?:what|how|who|whose|when|where|which (?!(?:change|are|is|must|have|has)\b)|why|is|are|does|did|do|can|could|should|would|"
    r"wie|was|wer|wo|wann|warum|quoi|comment|qui|quand|où|pourquoi|qué|cómo|quién|cuándo|por qué|che cosa|come|chi|quando|perché|o que|como|quem|wat|hoe|wie|wanneer|waarom|что|как|кто|когда|почему)\b",
    re.IGNORECASE,
)
READABLE = (2, 3)  # 2 had neither confirmed signals nor a language
MAX_QUESTIONS = 3
MAX_TEXT = 300  # of the opening question that a thread keeps
NEW_SUBJECT = re.compile(
    r"\b(?:new|another|different|separate|unrelated|other) (?:question|topic|subject|project|case|thing|one)\b"
    r"|neues thema|andere frage|autre (?:question|sujet)|otr[ao] (?:pregunta|tema)",
    re.IGNORECASE,
)
REFERS_BACK = re.compile(
    r"^\W*(?:ok|okay|yes|no|so|and|but|well|update|done|did|we did|now)\b|\b(?:did that|did it|as you|you (?:said|proposed))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Thread:
    """The state of a thread: its signals, the confirmed ones among them, the ids of the questions asked, the pending
    question, the opening message, the language."""

    signals: Signals | None = None
    past_questions: tuple[str, ...] = ()
    pending: str | None = None
    question: str = ""
    confirmations: frozenset[str] = frozenset()
    language: str = "en"
    fresh: bool = field(default=False, compare=False)

    @property
    def certain(self) -> frozenset[str]:
        """The signals that the person confirmed or said; all others are guesses."""
        return certain_signals(self.signals, self.confirmations) if self.signals else self.confirmations

    def to_json(self) -> State:
        """Plain data of a few KB at most."""
        signals = self.signals.model_dump(mode="json", exclude_none=True) if self.signals else None
        return {
            "version": VERSION,
            "signals": signals,
            "asked": list(self.past_questions),
            "pending": self.pending,
            "question": self.question,
            "confirmed": sorted(self.confirmations),
            "language": self.language,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any] | None) -> Thread:
        """What `to_json` wrote; an empty thread for None, another version or anything that does not fit."""
        if not isinstance(state, Mapping) or state.get("version") not in READABLE:
            return cls()
        try:
            signal_values = state.get("signals")
            signals = Signals.model_validate(signal_values) if signal_values else None
            questions = tuple(str(name) for name in state.get("asked") or ())
            confirmations = frozenset(state.get("confirmed") or ()) & set(SIGNAL_NAMES)
        except (ValidationError, TypeError):
            return cls()
        pending, language = state.get("pending"), state.get("language")
        return cls(
            signals,
            questions,
            str(pending) if pending else None,
            str(state.get("question", "")),
            confirmations,
            language if language in LANGUAGES else "en",
        )


def update_thread(
    thread: Thread,
    text: str,
    read: Callable[[str], Signals],
    table: Table,
    read_case: Callable[[str], Signals] | None = None,
) -> Thread:
    """The thread after a message that is not a move: refined, corrected, or restarted with a new case.

    `signals.topic` is that of this message; a message about something else leaves the other signals as they are.
    `read_case` (default: `read`) reads a statement in a thread about a case, where "which change monthly" is no small talk.
    """
    words = load_phrases_of(thread.language)
    if thread.pending and (answer := _pending_answer(thread.pending, text, table, words)) is not None:
        names = frozenset(answer.known_values()) - set(PER_MESSAGE)
        return replace(_refine(thread, answer), confirmations=thread.confirmations | names)
    old = thread.signals
    follows_up = old is not None and not asks_something(text)
    new = with_plain_words((read_case or read)(text) if follows_up else read(text), text)
    if old is None or _begin_new_subject(thread, old, new, text):
        return Thread(new, question=text[:MAX_TEXT], language=thread.language, fresh=True)
    signal_names = set(new.known_values()) - set(PER_MESSAGE)
    if new.topic in ("other", "concierge") and not signal_names and thread.pending is None:
        return replace(thread, signals=_about(old, new.topic))
    if new.topic in ("document", "people", "injection"):
        return replace(thread, signals=_about(old, new.topic))
    if new.topic == "guide" and not signal_names & SUBSTANCE:
        return replace(thread, signals=_about(old, new.topic))
    new = _with_replacements(old, new, text)
    if FACTS_FINE.search(text) and set(new.gaps) - {
        "knowledge",
        "vague",
    }:  # what was taken for missing facts is not
        thread = replace(thread, signals=_without(old, "knowledge"))
        new = _without(new, "knowledge")
    new = new.model_copy(update={"topic": "decision"})
    return _refine(thread, new, corrects=bool(CORRECTS.search(text)))


SUBSTANCE = frozenset({"examples", "score", "eval_n", "per_class", "baseline", "monthly_cost", "latency_ms"})


def asks_something(text: str) -> bool:
    """Whether a message of a thread asks, so that it may be about something else than the case."""
    return bool(re.search(r"[?？]", text) or ASKS.search(text))


def _with_replacements(old: Signals, new: Signals, text: str) -> Signals:
    """The reading with the replacements that "300, not 30" and "facts, not tone" express."""
    values = dict(replaced_counts(old, new, text))
    if (gaps := replaced_gaps(text)) is not None:
        values["gaps"] = gaps
    quotes = {**new.quotes, **{name: text.strip()[:90] for name in values}}
    return new.model_copy(update={**values, "quotes": quotes}) if values else new


def correct(thread: Thread, corrections: list[Correction]) -> Thread:
    """The thread after corrections by buttons or text: their signals are set and confirmed."""
    old = thread.signals or Signals.model_validate({})
    signals, names = apply_corrections(old, corrections, thread.certain)
    return replace(
        thread,
        signals=signals.model_copy(update={"topic": "decision", "injection": None}),
        confirmations=thread.confirmations | names,
        pending=None,
        fresh=False,
    )


def _without(signals: Signals, gap: str) -> Signals:
    return signals.model_copy(update={"gaps": tuple(name for name in signals.gaps if name != gap)})


def _about(old: Signals, topic: Any) -> Signals:
    return old.model_copy(update={"topic": topic, "injection": None})


def _refine(thread: Thread, new: Signals, corrects: bool = False) -> Thread:
    """The thread with a message's signals: a statement replaces a value, a guess only fills an unknown one.

    A signal that was confirmed stays confirmed until another statement takes its place.
    """
    old = thread.signals or Signals.model_validate({})
    statements = frozenset(new.quotes)
    guesses = {n for n in new.known_values() if n not in statements and n not in PER_MESSAGE}
    certain_guesses = {n for n in guesses if _has_value(old, n) and (n in thread.certain or n == "task")}
    new = new.model_copy(update={n: () if n == "gaps" else None for n in certain_guesses})
    if new.gaps and "gaps" in statements and (corrects or "gaps" not in thread.certain):
        old = _clear(old, {"gaps"})
    if new.baseline is not None and new.baseline != old.baseline:  # the score went with the other baseline
        old = _clear(old, {"score", "eval_n"} - new.known_values().keys())
    replacements = {n for n in statements & thread.confirmations if getattr(new, n) != getattr(old, n)}
    return replace(
        thread,
        signals=merge(old, new),
        confirmations=thread.confirmations - replacements,
        pending=None,
        fresh=False,
    )


def _has_value(signals: Signals, name: str) -> bool:
    return getattr(signals, name) not in (None, (), ("vague",))


def _clear(signals: Signals, names: set[str]) -> Signals:
    empty = {name: () if name == "gaps" else None for name in names}
    quotes = {name: words for name, words in signals.quotes.items() if name not in names}
    return signals.model_copy(update={**empty, "quotes": quotes})


def _begin_new_subject(thread: Thread, old: Signals, new: Signals, text: str) -> bool:
    """Starts a new case: the person says so, or asks a complete question about another task without referring back."""
    if NEW_SUBJECT.search(text) and new.topic in ("decision", "guide"):
        return True
    if new.task == "foundation" and old.task not in (None, "foundation"):
        return True
    if thread.pending or new.topic != "decision" or REFERS_BACK.search(text) or len(text.split()) < 8:
        return False
    whole = bool(new.gaps) or len(new.known_values()) >= 4 or "?" in text
    return (
        old.task is not None
        and new.task not in (None, old.task)
        and whole
        and not _are_related_tasks(old.task, new.task)
    )


def _are_related_tasks(one: str, other: str) -> bool:
    """Whether people use these two task names for each other within one conversation."""
    return any({one, other} <= kin for kin in ({"qa", "reply", "search"}, {"reply", "extract", "summarise"}))


def answers_pending(thread: Thread, text: str, table: Table, words: Phrases) -> bool:
    """Whether the message answers the pending question: an option's words, a bare number, "no"."""
    return thread.pending is not None and _pending_answer(thread.pending, text, table, words) is not None


def _pending_answer(pending: str, text: str, table: Table, words: Phrases) -> Signals | None:
    """The signals behind an option of the pending question, or behind a bare number or "no"."""
    line = next((line for line in table.questions if line["id"] == pending), None)
    if line is None:
        return None
    message = bare(text)
    for number, option in enumerate(line["options"]):
        if message in (bare(option["say"]), bare(words.get(f"question.{pending}.{number}", option["say"]))):
            return _answer_signals(option["set"], text)
    if message in NONE_YET and "none" in line:
        return _answer_signals(line["none"], text)
    figure = re.fullmatch(
        r"(?:about|around|roughly|maybe|some|etwa|environ|unos)?\s*(\d[\d., ]*)\s*(%|k)?",
        without_end_mark(text),
    )
    if figure is None or "number" not in line:
        return None
    value = float(re.sub(r"[, ]", "", figure[1]).rstrip(".")) * (1000 if figure[2] == "k" else 1)
    if line["number"] == "score":
        return _answer_signals({"score": value, "baseline": "tried_fail"}, text) if value <= 100 else None
    return _answer_signals({line["number"]: int(value)}, text)


NONE_YET = {"no", "none", "nope", "nothing", "never", "not yet", "nothing yet", "nein", "keine", "non", "aucun",
            "rien", "ninguno", "nada", "zero"}  # fmt: skip


def without_end_mark(text: str) -> str:
    """The message in lower case without its end marks."""
    return text.strip().lower().rstrip(".!")


def _answer_signals(values: Mapping[str, Any], text: str) -> Signals:
    quotes = {name: text.strip()[:90] for name in values}
    return Signals.model_validate({**values, "topic": "decision", "quotes": quotes})


@dataclass(frozen=True)
class TurnDecision:
    """The advice of a turn, the question to ask next, and whether the verdict came early, with questions left."""

    advice: Advice
    thread: Thread
    follow_up: FollowUp | None = None
    is_early: bool = False


def about_decision(signals: Signals | None) -> Signals:
    """The signals with the topic of a decision, whatever the last message was about."""
    return (signals or Signals.model_validate({})).model_copy(update={"topic": "decision"})


def decide_turn(thread: Thread, table: Table, again: bool = False) -> TurnDecision:
    """The verdict on the thread's signals; asks one question per turn, three at most, then gives the verdict that the points favour.

    `again` repeats the pending question in place of a new one. A training verdict that a block forbids (personal
    data without a legal basis) is never given.
    """
    advice = advise(thread.signals or Signals.model_validate({}), table, thread.confirmations)
    if advice.verdict is not Verdict.NEED_MORE_INFO:
        return TurnDecision(advice, thread)
    if again and thread.pending is not None and thread.pending in advice.questions:
        return TurnDecision(advice, thread, advice.questions[thread.pending])
    left = [] if again else [name for name in advice.questions if name not in thread.past_questions]
    if left and len(thread.past_questions) < MAX_QUESTIONS:
        waiting = replace(thread, past_questions=(*thread.past_questions, left[0]), pending=left[0])
        return TurnDecision(advice, waiting, advice.questions[left[0]])
    if again or (advice.gate is not None and advice.gate.verdicts):
        return TurnDecision(advice, thread)
    flips = tuple(flip for flip in advice.flips if flip.verdict is not advice.lean)
    lean_advice = replace(advice, verdict=advice.lean, flips=flips)
    return TurnDecision(lean_advice, thread, is_early=True)
