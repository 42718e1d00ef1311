"""A removed dataset is out of sight at once, can be brought back for a day, and is erased after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from finetune.data.store import DatasetStore
from finetune.data.ticket import DatasetError
from tests.finetune.data.test_store import EVERYONE, HERE, as_they_are, some_tickets, url

__all__ = ["url"]
START = datetime(2026, 11, 29, tzinfo=UTC)


class Clock:
    """The time, moved by the test."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> DatasetStore:
    return DatasetStore(url, now=clock, prepare=as_they_are)


def test_a_removal_hides_and_can_be_undone(store: DatasetStore) -> None:
    """Every version is out of sight and comes back as it was."""
    first = store.keep(some_tickets(), "tickets", "U1", HERE, "mine")
    store.keep(some_tickets("again"), "tickets", "U1", HERE, "mine")
    removal = store.removals.hide("tickets")
    assert store.list() == []
    with pytest.raises(DatasetError, match="There is no dataset"):
        store.get(first.digest)
    assert store.removals.pending(removal.key) == removal
    assert (removal.owner, removal.rows) == ("U1", 24)
    store.removals.restore(removal.key)
    assert [card.version for card in store.versions("tickets")] == [1, 2]
    assert len(store.tickets(first.digest)) == 24
    assert store.removals.pending(removal.key) is None


def test_after_a_day_the_rows_are_erased(store: DatasetStore, clock: Clock) -> None:
    """Not before; rows that another dataset holds stay for it; then nothing brings them back."""
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    shared = store.keep(some_tickets("shared"), "tickets", "U1", EVERYONE, "")
    store.keep(some_tickets("shared"), "other", "U2", EVERYONE, "")
    removal = store.removals.hide("tickets")
    clock.now += timedelta(hours=23)
    assert store.removals.purge() == []
    clock.now += timedelta(hours=1)
    assert store.removals.purge() == [removal.key]
    with pytest.raises(DatasetError, match="are gone"):
        store.tickets(card.digest)
    assert len(store.tickets(shared.digest)) == 24
    with pytest.raises(DatasetError, match="cannot be undone"):
        store.removals.restore(removal.key)


def test_removing_another_dataset_for_good_leaves_what_can_be_brought_back(store: DatasetStore) -> None:
    """The same rows under two names, one removed for a day, the other for good."""
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    store.keep(some_tickets(), "twin", "U1", EVERYONE, "")
    removal = store.removals.hide("tickets")
    store.remove("twin", "U1")
    store.removals.restore(removal.key)
    assert len(store.tickets(card.digest)) == 24


def test_the_name_may_be_taken_meanwhile(store: DatasetStore) -> None:
    """Then bringing back says what to do, and nothing is lost."""
    store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    removal = store.removals.hide("tickets")
    store.keep(some_tickets("new"), "tickets", "U2", EVERYONE, "")
    with pytest.raises(DatasetError, match="another dataset tickets"):
        store.removals.restore(removal.key)
    assert store.removals.pending(removal.key) is not None


def test_forgetting_also_erases_pending_removals(store: DatasetStore) -> None:
    """Forgetting erases every removal that waits."""
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    removal = store.removals.hide("tickets")
    store.forget("user3@example.com", "ana")
    assert store.removals.pending(removal.key) is None
    with pytest.raises(DatasetError, match="are gone"):
        store.tickets(card.digest)


def test_sharing_changes_every_version(store: DatasetStore) -> None:
    """And back."""
    store.keep(some_tickets(), "tickets", "U1", HERE, "")
    store.keep(some_tickets("again"), "tickets", "U1", HERE, "")
    assert store.share("tickets", EVERYONE).scopes == ("workspace",)
    assert {card.scopes for card in store.versions("tickets")} == {("workspace",)}
    store.share("tickets", HERE)
    assert store.list(EVERYONE) == []
