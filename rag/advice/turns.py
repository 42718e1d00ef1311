"""What kind of turn a message is: a correction, a question about the verdict, one about the bot, or something to read.

The adviser and its evaluation both ask here, so that what is measured is what a person meets. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from rag.advice.conversation import Thread, answers_pending, hear
from rag.advice.decision_table import Table
from rag.advice.facts_first import ASKS_A_RULE
from rag.advice.menus import Correction, typed_correction
from rag.advice.moves import Move, Service
from rag.advice.phrases import load_phrases_of
from rag.signals.language import language_of
from rag.signals.schema import Signals

WHO_SEES = re.compile(
    r"\bwho (?:can|may) (?:see|read)\b", re.IGNORECASE
)  # no rule of the team's: the bot knows


class Moves(Protocol):
    """What is used of rag/advice/moves.py."""

    def __call__(self, text: str) -> Move | None: ...

    def service(self, text: str) -> Service | None: ...


def in_language_of(thread: Thread, text: str) -> Thread:
    """The thread in the language of this message; a short one keeps the thread's."""
    return replace(thread, language=language_of(text, thread.language))


def turn_of(thread: Thread, text: str, moves: Moves, table: Table) -> Correction | Move | Service | None:
    """A typed correction, a move (only once there is a verdict), a service, or None for a message to be read.

    What a team may do with its tickets is a rule of the team's, not what the bot does with them.
    """
    if thread.signals is not None and (correction := typed_correction(text)):
        return correction
    if answers_pending(thread, text, table, load_phrases_of(thread.language)):
        return None
    if thread.signals is not None and (move := moves(text)):
        return move
    service = moves.service(text)
    return None if service == "privacy" and ASKS_A_RULE.search(WHO_SEES.sub("", text)) else service


def after_hearing(thread: Thread, text: str, read: Callable[[str, bool], Signals], table: Table) -> Thread:
    """The thread after a message that is to be read; `read(text, in_case)` reads it."""
    return hear(
        thread, text, lambda message: read(message, False), table, lambda message: read(message, True)
    )
