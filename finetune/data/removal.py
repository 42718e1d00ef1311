"""Removal of a dataset: it can be restored for a day, then its rows are erased.

Until then it is hidden, no job can use it, and its name is free. A request to forget a person ends every pending removal
at once (`DatasetStore.forget`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finetune.data.card import Card
from finetune.data.object_store import ObjectStore
from finetune.data.ticket import DatasetError

KEEP = timedelta(days=1)
KEY = re.compile(r"(?P<name>[a-z0-9-]{1,64})\.(?P<at>\d{9,12})")


@dataclass(frozen=True)
class PendingRemoval:
    """A removal that can be undone until `until`, by its `key`; `owner` is who had added the dataset."""

    key: str
    name: str
    rows: int
    digests: tuple[str, ...]
    owner: str
    until: datetime


def hide_dataset(objects: ObjectStore, name: str, now: datetime) -> PendingRemoval:
    """Hide every version of a dataset; DatasetError if there is none of that name."""
    cards = objects.versions(name)
    if not cards:
        raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
    key = f"{name}.{int(now.timestamp())}"
    objects.hide(cards, key)
    return _pending_removal(key, cards, now + KEEP)


def pending_removal(objects: ObjectStore, key: str) -> PendingRemoval | None:
    """The pending removal with this key, if any."""
    cards = objects.removals().get(key)
    match = KEY.fullmatch(key)
    if not cards or match is None:
        return None
    at = datetime.fromtimestamp(int(match["at"]), tz=UTC)
    return _pending_removal(key, cards, at + KEEP)


def restore_dataset(objects: ObjectStore, key: str) -> Card:
    """Restore a dataset; returns its newest card. DatasetError when the removal is over or the name is taken."""
    cards = objects.removals().get(key)
    if not cards:
        raise DatasetError("This removal cannot be undone any more.", what_next="Add the file again.")
    name = cards[-1].name
    if objects.versions(name):
        raise DatasetError(
            f"There is another dataset {name} by now.", what_next="Remove or rename that one first."
        )
    objects.restore(cards, key)
    return cards[-1]


def purge(objects: ObjectStore, is_over: Callable[[str], bool]) -> list[str]:
    """Erase the rows of each removal whose key `is_over`, except rows shared with others; returns the keys."""
    keys = [key for key in objects.removals() if is_over(key)]
    for key in keys:
        cards = objects.removals()[key]
        for card in cards:
            objects.erase_rows(card.digest, keep_for_others_than=key)
        objects.drop_removal(cards, key)
        if not objects.versions(cards[-1].name):
            objects.pulls.drop(cards[-1].name)
    return keys


def older_than_a_day(now: datetime) -> Callable[[str], bool]:
    """A predicate: the removal with this key is older than a day at `now`."""

    def is_over(key: str) -> bool:
        match = KEY.fullmatch(key)
        return match is None or now.timestamp() - int(match["at"]) >= KEEP.total_seconds()

    return is_over


def _pending_removal(key: str, cards: list[Card], until: datetime) -> PendingRemoval:
    digests = tuple(dict.fromkeys(card.digest for card in cards if not card.erased))
    return PendingRemoval(key, cards[-1].name, cards[-1].rows, digests, cards[-1].added_by, until)


class Removals:
    """The removals of one store; `now` gives the time."""

    def __init__(self, objects: ObjectStore, now: Callable[[], datetime]) -> None:
        self._objects, self._now = objects, now

    def hide(self, name: str) -> PendingRemoval:
        """Hide a dataset; `restore` undoes it for a day, then `purge` erases its rows."""
        return hide_dataset(self._objects, name, self._now())

    def pending(self, key: str) -> PendingRemoval | None:
        """The pending removal with this key; None once it is over."""
        return pending_removal(self._objects, key)

    def restore(self, key: str) -> Card:
        """Restore the dataset; returns its newest card."""
        return restore_dataset(self._objects, key)

    def purge(self) -> list[str]:
        """Erase the rows of removals older than a day; returns their keys."""
        return purge(self._objects, older_than_a_day(self._now()))
