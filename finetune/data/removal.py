"""Removing a dataset so that it can be brought back for a day; then its rows are erased for good.

While it can be brought back nobody sees it, nothing can be launched on it, and its name is free. Whoever asks to be
forgotten is erased at once: that ends every removal that waits (`DatasetStore.forget`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finetune.data.card import Card
from finetune.data.object_store import Shelf
from finetune.data.ticket import DatasetError

KEEP = timedelta(days=1)
KEY = re.compile(r"(?P<name>[a-z0-9-]{1,64})\.(?P<at>\d{9,12})")


@dataclass(frozen=True)
class Absence:
    """A removal that can be undone until `until`, by its `key`; `owner` is who had added the dataset."""

    key: str
    name: str
    rows: int
    digests: tuple[str, ...]
    owner: str
    until: datetime


def hide(shelf: Shelf, name: str, now: datetime) -> Absence:
    """Take every version of a dataset out of sight. DatasetError if there is none of that name."""
    cards = shelf.versions(name)
    if not cards:
        raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
    key = f"{name}.{int(now.timestamp())}"
    shelf.set_aside(cards, key)
    return _absence(key, cards, now + KEEP)


def absence(shelf: Shelf, key: str) -> Absence | None:
    """The removal of this key, if it can still be undone."""
    cards = shelf.removals().get(key)
    match = KEY.fullmatch(key)
    if not cards or match is None:
        return None
    at = datetime.fromtimestamp(int(match["at"]), tz=UTC)
    return _absence(key, cards, at + KEEP)


def bring_back(shelf: Shelf, key: str) -> Card:
    """Undo a removal: the newest version's card. DatasetError when it is over, or its name has been taken."""
    cards = shelf.removals().get(key)
    if not cards:
        raise DatasetError("This removal cannot be undone any more.", what_next="Add the file again.")
    name = cards[-1].name
    if shelf.versions(name):
        raise DatasetError(
            f"There is another dataset {name} by now.", what_next="Remove or rename that one first."
        )
    shelf.bring_back(cards, key)
    return cards[-1]


def purge(shelf: Shelf, is_over: Callable[[str], bool]) -> list[str]:
    """Erase the rows of each removal whose key `is_over`; their keys. Rows that something else holds stay for it."""
    keys = [key for key in shelf.removals() if is_over(key)]
    for key in keys:
        cards = shelf.removals()[key]
        for card in cards:
            shelf.erase_rows(card.digest, keep_for_others_than=key)
        shelf.drop_removal(cards, key)
        if not shelf.versions(cards[-1].name):
            shelf.pulls.drop(cards[-1].name)
    return keys


def older_than_a_day(now: datetime) -> Callable[[str], bool]:
    """Whether a removal of this key was made more than a day before `now`."""

    def is_over(key: str) -> bool:
        match = KEY.fullmatch(key)
        return match is None or now.timestamp() - int(match["at"]) >= KEEP.total_seconds()

    return is_over


def _absence(key: str, cards: list[Card], until: datetime) -> Absence:
    digests = tuple(dict.fromkeys(card.digest for card in cards if not card.erased))
    return Absence(key, cards[-1].name, cards[-1].rows, digests, cards[-1].added_by, until)


class Removals:
    """The removals of one store; `now` gives the time."""

    def __init__(self, shelf: Shelf, now: Callable[[], datetime]) -> None:
        self._shelf, self._now = shelf, now

    def hide(self, name: str) -> Absence:
        """Take a dataset out of sight; `bring_back` undoes it for a day, then `purge` erases its rows."""
        return hide(self._shelf, name, self._now())

    def absence(self, key: str) -> Absence | None:
        """The removal of this key, while it can be undone."""
        return absence(self._shelf, key)

    def bring_back(self, key: str) -> Card:
        """Undo a removal; the dataset's newest card."""
        return bring_back(self._shelf, key)

    def purge(self) -> list[str]:
        """Erase the rows of removals that are older than a day; their keys."""
        return purge(self._shelf, older_than_a_day(self._now()))
