"""Erases a requester from tickets: removes their rows and blanks mentions in other rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from finetune.data.redact import pseudonym
from finetune.data.row_file import collect_rows
from finetune.data.ticket import DatasetError, Ticket, Tickets

MARK = "<ERASED>"
SHORTEST = 3


def erase_requester(tickets: Tickets, requester: str) -> tuple[Tickets, int]:
    """The tickets without the requester, and how many rows went or changed (0: the same tickets).

    Matches the customer field (or the pseudonym made of it) without case, and the words of `requester` in
    text and answer. Does not cover other spellings, nor what tickets tell about a person without the name.
    """
    name = requester.strip().casefold()
    known_as = pseudonym(requester)
    mention = mention_of(requester)
    changes = 0

    def rest() -> Iterator[Ticket]:
        nonlocal changes
        for row in tickets.rows:
            if (row.customer or "").strip().casefold() in (name, known_as):
                changes += 1
                continue
            blank = _blank(row, mention)
            changes += blank != row
            yield blank

    rows = collect_rows(rest())
    return (replace(tickets, rows=rows), changes) if changes else (tickets, 0)


def mention_of(requester: str) -> re.Pattern[str]:
    """Finds the requester's words, whole and in any case; DatasetError when they are too short to be a person."""
    words = requester.strip()
    if len(words) < SHORTEST:
        message = "Forgetting needs the requester as the tickets have it (an address or id)."
        raise DatasetError(message, what_next=f"Give at least {SHORTEST} characters.")
    return re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)


def _blank(row: Ticket, mention: re.Pattern[str]) -> Ticket:
    text = mention.sub(MARK, row.text)
    answer = mention.sub(MARK, row.answer) if row.answer else row.answer
    return replace(row, text=text, answer=answer) if (text, answer) != (row.text, row.answer) else row
