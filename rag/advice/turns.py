"""Classifies a message as a correction, a question about the verdict, a question about the bot, or a message to read.

The adviser and its evaluation share this code, so that the evaluation measures what a person gets. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from rag.advice.conversation import Thread, answers_pending, update_thread
from rag.advice.decision_table import Table
from rag.advice.document_questions import ASKS_A_RULE
from rag.advice.menus import Correction, typed_correction
from rag.advice.moves import Move, Service
from rag.advice.phrases import load_phrases_of
from rag.signals.language import language_of
from rag.signals.schema import Signals

WHO_SEES = re.compile(
    r"\bwho (?:can|may) (?:see|read)\b", re.IGNORECASE
)  # no rule of the team's: the bot knows


class Moves(Protocol):
    """The part of rag/advice/moves.py that is used here."""

    def __call__(self, text: str) -> Move | None: ...

    def service(self, text: str) -> Service | None: ...


def in_language_of(thread: Thread, text: str) -> Thread:
    """The thread in the language of this message; a short one keeps the thread's."""
    return replace(thread, language=language_of(text, thread.language))


def turn_of(thread: Thread, text: str, moves: Moves, table: Table) -> Correction | Move | Service | None:
    """A typed correction, a move (only once there is a verdict), a service, or None for a message to be read.

    A question about what a team may do with its tickets is about a rule of the team, not about the bot.
    """
    if thread.signals is not None and (correction := typed_correction(text)):
        return correction
    if answers_pending(thread, text, table, load_phrases_of(thread.language)):
        return None
    if thread.signals is not None and (move := moves(text)):
        return move
    service = moves.service(text)
    return None if service == "privacy" and ASKS_A_RULE.search(WHO_SEES.sub("", text)) else service


def thread_after(thread: Thread, text: str, read: Callable[[str, bool], Signals], table: Table) -> Thread:
    """The thread after a message to read; `read(text, in_case)` reads it."""
    return update_thread(
        thread, text, lambda message: read(message, False), table, lambda message: read(message, True)
    )
