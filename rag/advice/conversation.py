"""What a thread knows and how a message changes it: one state of plain JSON, no clock, no I/O.

Covers follow-ups that refine the signals, answers to the question that was asked, questions about the verdict
itself ("why?"), and new subjects that begin afresh. Does not phrase anything (see rag/advice/explanation.py, rag/adviser.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import yaml
from pydantic import ValidationError

from rag.advice.decide import Advice, advise
from rag.advice.decision_table import Table
from rag.errors import RagError
from rag.reply import FollowUp, Verdict
from rag.search.embedding import Embedder
from rag.signals.lexicon import load_glossary
from rag.signals.schema import PER_MESSAGE, Signals, merge

VERSION = 2
MOST_QUESTIONS = 3
MOST_TEXT = 300  # of the opening question that a thread keeps
MOVES = Path(__file__).parents[1] / "data" / "moves.yaml"
ALIKE = 0.5  # cosine from which a short message is the same as a known one; `none` lines hold the look-alikes
MOST_WORDS = 12
AFRESH = re.compile(
    r"\b(?:new|another|different|separate|unrelated|other) (?:question|topic|subject|project|case|thing|one)\b"
    r"|neues thema|andere frage|autre (?:question|sujet)|otr[ao] (?:pregunta|tema)",
    re.IGNORECASE,
)
BACK = re.compile(
    r"^\W*(?:ok|okay|yes|no|so|and|but|well|update|done|did|we did|now)\b|\b(?:did that|did it|as you|you (?:said|proposed))\b",
    re.IGNORECASE,
)
FACTS_FINE = re.compile(
    r"\b(?:facts?|answers?|contents?) (?:are|is) (?:all )?(?:right|fine|ok|okay|correct|true)\b|inhaltlich (?:richtig|gut|ok)"
    r"|(?:faits|réponses) sont (?:justes|exact\w+|correct\w*)|(?:datos|respuestas) son correct\w+",
    re.IGNORECASE,
)
Move = Literal["why", "change", "cost", "next", "sources", "thanks"]


@dataclass(frozen=True)
class Thread:
    """What is kept of a thread: its signals, the ids of what was asked, the one that waits, how it began."""

    signals: Signals | None = None
    asked: tuple[str, ...] = ()
    pending: str | None = None
    question: str = ""
    fresh: bool = field(default=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data of a few KB at most."""
        kept = self.signals.model_dump(mode="json", exclude_none=True) if self.signals else None
        return {
            "version": VERSION,
            "signals": kept,
            "asked": list(self.asked),
            "pending": self.pending,
            "question": self.question,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any] | None) -> Thread:
        """What `to_json` wrote; an empty thread for None, another version or anything that does not fit."""
        if not isinstance(state, Mapping) or state.get("version") != VERSION:
            return cls()
        try:
            kept = state.get("signals")
            signals = Signals.model_validate(kept) if kept else None
            asked = tuple(str(name) for name in state.get("asked") or ())
        except (ValidationError, TypeError):
            return cls()
        pending = state.get("pending")
        return cls(signals, asked, str(pending) if pending else None, str(state.get("question", "")))


class MoveReader:
    """`moves(text)` tells what a short message asks about the verdict itself, or None."""

    def __init__(self, embed: Embedder, path: Path = MOVES) -> None:
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            lines = [(name, text) for name, texts in raw.items() for text in texts]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
            raise RagError(f"The moves {path} cannot be used: {error}. Restore it with git.") from error
        self._embed, self._gloss = embed, load_glossary()
        self._names = [name for name, _ in lines]
        self._known = {_core(_bare(text)): name for name, text in lines}
        self._rows = embed([text for _, text in lines])

    def __call__(self, text: str) -> Move | None:
        """Only for a message without figures of at most twelve words."""
        bare = _bare(text)
        name = self._known.get(_core(bare))
        if name is None:
            if not bare or len(bare.split()) > MOST_WORDS or re.search(r"\d", bare):
                return None
            near = self._rows @ self._embed([text])[0]
            best = int(np.argmax(near))
            name = self._names[best] if near[best] >= ALIKE else "none"
        return None if name == "none" else cast(Move, name)


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s'’]", " ", text.lower()).split())


FILLING = re.compile(
    r"\b(?:ok|okay|so|and|but|well|hmm?|oh|ah|exactly|then|please|really|actually|just|now|alors|donc|denn|also|bitte|y|"
    r"pues|et|und|guys|bot|a|lot|much|very|all)\b"
)


def _core(bare: str) -> str:
    return " ".join(FILLING.sub(" ", bare).split())


def listen(thread: Thread, text: str, read: Callable[[str], Signals], table: Table) -> Thread:
    """The thread after one more message that is no move: refined, or begun afresh.

    Its `signals.topic` is this message's; a message off the subject leaves what is known untouched.
    """
    if thread.pending and (chosen := _chosen(thread.pending, text, table)) is not None:
        return replace(_refined(thread, chosen), fresh=False)
    new = read(text)
    old = thread.signals
    if old is None or _afresh(thread, old, new, text):
        return Thread(new, (), None, text[:MOST_TEXT], fresh=True)
    told = set(new.known()) - set(PER_MESSAGE)
    if new.topic in ("other", "concierge") and not told and thread.pending is None:
        return replace(thread, signals=_about(old, new.topic))
    if new.topic in ("guide", "document", "people", "injection") and not (
        new.topic == "guide" and told & SUBSTANCE
    ):
        return replace(thread, signals=_about(old, new.topic))
    if FACTS_FINE.search(text) and set(new.gaps) - {
        "knowledge",
        "vague",
    }:  # what was taken for missing facts is not
        thread = replace(thread, signals=_without(old, "knowledge"))
        new = _without(new, "knowledge")
    return _refined(thread, new.model_copy(update={"topic": "decision"}))


SUBSTANCE = frozenset({"examples", "score", "eval_n", "per_class", "baseline", "monthly_cost", "latency_ms"})


def _without(signals: Signals, gap: str) -> Signals:
    return signals.model_copy(update={"gaps": tuple(name for name in signals.gaps if name != gap)})


def _about(old: Signals, topic: Any) -> Signals:
    return old.model_copy(update={"topic": topic, "injection": None})


def _refined(thread: Thread, new: Signals) -> Thread:
    old = thread.signals or Signals.model_validate({})
    return replace(thread, signals=merge(old, new), pending=None, fresh=False)


def _afresh(thread: Thread, old: Signals, new: Signals, text: str) -> bool:
    """A new subject: said so, or a whole question about another task without a look back."""
    if AFRESH.search(text) and new.topic in ("decision", "guide"):
        return True
    if new.task == "foundation" and old.task not in (None, "foundation"):
        return True
    if thread.pending or new.topic != "decision" or BACK.search(text) or len(text.split()) < 8:
        return False
    whole = bool(new.gaps) or len(new.known()) >= 4 or "?" in text
    return (
        old.task is not None and new.task not in (None, old.task) and whole and not _kin(old.task, new.task)
    )


def _kin(one: str, other: str) -> bool:
    """Tasks that people name for one another in the course of a talk."""
    return any({one, other} <= kin for kin in ({"qa", "reply", "search"}, {"reply", "extract", "summarise"}))


def _chosen(pending: str, text: str, table: Table) -> Signals | None:
    """The signals behind an option of the question that waits, or behind a bare number or "no"."""
    line = next((line for line in table.questions if line["id"] == pending), None)
    if line is None:
        return None
    said = _bare(text)
    for option in line["options"]:
        if said == _bare(option["say"]):
            return _meant(option["set"], text)
    if said in NONE_YET and "none" in line:
        return _meant(line["none"], text)
    bare = re.fullmatch(
        r"(?:about|around|roughly|maybe|some|etwa|environ|unos)?\s*(\d[\d., ]*)\s*(%|k)?", said_number(text)
    )
    if bare is None or "number" not in line:
        return None
    value = float(re.sub(r"[, ]", "", bare[1]).rstrip(".")) * (1000 if bare[2] == "k" else 1)
    if line["number"] == "score":
        return _meant({"score": value, "baseline": "tried_fail"}, text) if value <= 100 else None
    return _meant({line["number"]: int(value)}, text)


NONE_YET = {"no", "none", "nope", "nothing", "never", "not yet", "nothing yet", "nein", "keine", "non", "aucun",
            "rien", "ninguno", "nada", "zero"}  # fmt: skip


def said_number(text: str) -> str:
    """The message in lower case without its end marks."""
    return text.strip().lower().rstrip(".!")


def _meant(values: Mapping[str, Any], text: str) -> Signals:
    quotes = {name: text.strip()[:90] for name in values}
    return Signals.model_validate({**values, "topic": "decision", "quotes": quotes})


@dataclass(frozen=True)
class Decided:
    """The advice of a thread's turn, the question to ask next, and whether it was committed to without knowing all."""

    advice: Advice
    thread: Thread
    follow_up: FollowUp | None = None
    committed: bool = False


def about_decision(signals: Signals | None) -> Signals:
    """The signals with the topic of a decision, whatever the last message was about."""
    return (signals or Signals.model_validate({})).model_copy(update={"topic": "decision"})


def decide_turn(thread: Thread, table: Table, again: bool = False) -> Decided:
    """The verdict on what the thread knows; asks one question of at most three, then commits to its lean.

    `again` repeats the question that waits in place of a further one. A training verdict that a block forbids (personal data without a legal basis) is never committed to.
    """
    advice = advise(thread.signals or Signals.model_validate({}), table)
    if advice.verdict is not Verdict.NEED_MORE_INFO:
        return Decided(advice, thread)
    if again and thread.pending is not None and thread.pending in advice.questions:
        return Decided(advice, thread, advice.questions[thread.pending])
    left = [] if again else [name for name in advice.questions if name not in thread.asked]
    if left and len(thread.asked) < MOST_QUESTIONS:
        waiting = replace(thread, asked=(*thread.asked, left[0]), pending=left[0])
        return Decided(advice, waiting, advice.questions[left[0]])
    if again or (advice.gate is not None and advice.gate.verdicts):
        return Decided(advice, thread)
    told = replace(advice, verdict=advice.lean, confidence=min(advice.confidence, 0.4))
    return Decided(told, thread, committed=True)
