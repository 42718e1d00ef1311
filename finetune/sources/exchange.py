"""A ticket's messages as question and reply: the customer's first words, and the team's first public reply to them. Pure.

Internal notes are never read: a message counts only where the source says that the customer could see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

QUESTION, REPLY = "customer's first message", "team's first reply"
"""Under these names a source adds both to a ticket's row."""


@dataclass(frozen=True)
class Message:
    """One message that the customer could see, and who wrote it: the team, or anybody else."""

    text: str
    is_by_team: bool
    author: str = ""


def with_exchange(row: Mapping[str, Any], messages: Iterable[Message]) -> dict[str, Any]:
    """The ticket's row with the customer's first message and the first reply after it; None for what there is not.

    `messages` are public and in order of time. Their authors' names come with the row, so that they are redacted.
    """
    question = reply = None
    for message in messages:
        if not message.text.strip():
            continue
        if not message.is_by_team:
            question = question or message
        elif question is not None:
            reply = message
            break
    names = {
        name: message.author
        for name, message in (("requester name", question), ("agent name", reply))
        if message is not None and message.author
    }
    texts = {
        QUESTION: question.text if question else None,
        REPLY: reply.text if reply else None,
    }
    return {**row, **names, **texts}


def words_of(value: Any) -> str:
    """A field's text; "" for anything else."""
    return value if isinstance(value, str) else ""
