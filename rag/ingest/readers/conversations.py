"""Messages of a chat grouped by what is talked about, so that a question and the answer to it share a passage.

A thread is one conversation. Other messages stand together until a new question comes after an answer, the talk pauses,
or the passage is full. Pure: takes and gives values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

PAUSE_S = 4 * 3600  # between two messages of a talk that nobody asked anything in
ANSWER_S = 3 * 86_400  # a question waits longer for the next message
FOLLOW_UP_S = 10 * 60  # the asker's next question this soon belongs to the first
FULL_WORDS = 110  # about CHUNK_TOKENS wordpieces with the names of who speaks
_QUESTION = re.compile(
    r"[?？](?:[\"')\]*_~]|\s|$)|^\W*(?:(?:hi|hey|hello|morning|quick question|question)\b[^\n]{0,40}?[,:!.]?\s+)?(?:how (?:do|can|to|long|many|much)|what(?:'s| is| are)"
    r"|where (?:is|do|can)|who (?:is|owns|knows|do)|when (?:is|do|does|will)|which|why (?:is|do|does)|does any(?:one|body)|any(?:one|body) (?:know|got|seen)|can (?:i|we|any|some)"
    r"|is there|wie|was|wo|wer|wann|warum|weiß jemand|kann (?:ich|man|jemand)|comment|quel\w*|où|qui sait|cómo|dónde|alguien sabe)\b",
    re.I | re.M,
)


@dataclass(frozen=True)
class Message:
    """One message as a person reads it: `at` is in seconds since 1970, `thread` the time of the message it answers."""

    at: float
    author: str
    text: str
    thread: str = ""

    @property
    def asks(self) -> bool:
        return bool(_QUESTION.search(self.text))


@dataclass
class Conversation:
    """Messages that belong together, in order; a message outside a thread is a run of one."""

    messages: list[Message] = field(default_factory=list)

    @property
    def first_question(self) -> Message:
        """The first message that asks, else the first."""
        return next((message for message in self.messages if message.asks), self.messages[0])

    @property
    def words(self) -> int:
        return sum(len(message.text.split()) for message in self.messages)

    @property
    def is_answered(self) -> bool:
        """Whether somebody else said something that is no question after the last question."""
        places = [n for n, message in enumerate(self.messages) if message.asks]
        if not places:
            return True
        asker = self.messages[places[0]].author
        return any(not m.asks and m.author != asker for m in self.messages[places[-1] + 1 :])


def group(messages: Sequence[Message]) -> list[Conversation]:
    """The conversations of one channel, ordered by their first message; no message is in two."""
    threads: dict[str, list[Message]] = {}
    for message in sorted(messages, key=lambda m: m.at):
        threads.setdefault(message.thread or f"{message.at}/{message.author}", []).append(message)
    conversations: list[Conversation] = []
    open_talk: Conversation | None = None
    for thread in sorted(threads.values(), key=lambda t: t[0].at):
        if len(thread) > 1:
            conversations.append(Conversation(thread))
            continue
        message = thread[0]
        if open_talk is None or not _belongs(message, open_talk):
            open_talk = Conversation()
            conversations.append(open_talk)
        open_talk.messages.append(message)
    return conversations


def _belongs(message: Message, talk: Conversation) -> bool:
    """Whether a message goes on with the talk."""
    last = talk.messages[-1]
    gap = message.at - last.at
    if not talk.is_answered:  # what comes next may be the answer, however long it is
        too_many = talk.words > FULL_WORDS and sum(m.asks for m in talk.messages) > 1
        return gap <= ANSWER_S and not (message.asks and (too_many or gap > PAUSE_S))
    if gap > PAUSE_S or talk.words + len(message.text.split()) > FULL_WORDS:
        return False
    if message.asks:
        asked_before = any(m.asks and m.author == message.author for m in talk.messages)
        nobody_asked = not any(m.asks for m in talk.messages)
        return (asked_before and gap <= FOLLOW_UP_S) or (
            nobody_asked and gap <= FOLLOW_UP_S and talk.words < 20
        )
    return True
