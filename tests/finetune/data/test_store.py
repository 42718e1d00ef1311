"""The team's datasets: versions, scopes, erasing, forgetting, two adders at once, and names that attack."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from finetune.data.card import Card
from finetune.data.store import DatasetStore, check_name, suggest_name
from finetune.data.ticket import DatasetError, Ticket, Tickets

EVERYONE = frozenset({"workspace"})
HERE, THERE = frozenset({"channel:C1"}), frozenset({"channel:C2"})


def words(seed: str) -> str:
    """Eight words that no other seed gives."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(8))


def some_tickets(extra: str = "", customers: int = 8) -> Tickets:
    """24 tickets of three queues, no two alike, one customer each until they run out."""
    rows = [
        Ticket(
            id=f"t{at}-{place}",
            text=f"{words(f'{label} {at} {customers}')} {extra}".strip(),
            label=label,
            customer=f"user{at % customers}@example.com",
            created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=at),
        )
        for place, label in enumerate(("billing", "login", "bug"))
        for at in range(8)
    ]
    return Tickets(tuple(rows), "triage")


def as_they_are(tickets: Tickets) -> tuple[Tickets, Mapping[str, Any]]:
    return tickets, {}


@pytest.fixture(params=["folder", "memory", pytest.param("bucket", marks=pytest.mark.integration)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A local folder, a store that only speaks fsspec, and a bucket behind S3's real wire."""
    if request.param == "folder":
        return str(tmp_path / "store")
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return str(request.getfixturevalue("s3_here").bucket(uuid.uuid4().hex))


@pytest.fixture
def store(url: str) -> DatasetStore:
    return DatasetStore(url, now=lambda: datetime(2026, 11, 24, tzinfo=UTC), prepare=as_they_are)


def test_a_removed_dataset_can_be_restored(store: DatasetStore) -> None:
    """Rows and card round-trip; the digest is of the rows; the card says who, when, licence and scope."""
    tickets = some_tickets()
    card = store.keep(tickets, "tickets", "U1", HERE, "internal", "export.csv")
    assert store.tickets(card.digest).rows == tickets.rows
    assert card.digest == tickets.digest
    assert store.get("tickets") == card == Card.from_json(json.loads(json.dumps(card.to_json())))
    assert (card.version, card.added_by, card.licence, card.scopes) == (1, "U1", "internal", ("channel:C1",))
    assert card.added_at == "2026-11-24T00:00:00+00:00"
    assert store.get(card.digest[:12]) == card


def test_versions_count_up_and_equal_rows_are_one(store: DatasetStore) -> None:
    """The same rows again are the same version; other rows are the next, and the old one stays readable."""
    first = store.keep(some_tickets(), "tickets", "U1", HERE, "internal")
    assert store.keep(some_tickets(), "tickets", "U2", HERE, "internal") == first
    second = store.keep(some_tickets("again"), "tickets", "U1", HERE, "internal")
    assert [card.version for card in store.versions("tickets")] == [1, 2]
    assert store.get("tickets") == second
    assert len(store.tickets(first.digest)) == 24


def test_a_channel_sees_its_own_and_the_workspace_datasets_only(store: DatasetStore) -> None:
    """By name, by digest and in lists; a name that moved elsewhere keeps its older version here."""
    mine = store.keep(some_tickets("one"), "mine", "U1", HERE, "")
    all_of_us = store.keep(some_tickets("two"), "ours", "U1", EVERYONE, "")
    assert [card.name for card in store.list(HERE)] == ["mine", "ours"]
    assert store.list(THERE) == [all_of_us]
    for key in ("mine", mine.digest, mine.digest[:12]):
        with pytest.raises(DatasetError, match="There is: ours"):
            store.get(key, THERE)
    elsewhere = store.keep(some_tickets("three"), "mine", "U1", THERE, "")
    assert store.get("mine", HERE) == mine
    assert store.get("mine", THERE) == elsewhere
    assert mine.licence == "not stated"


@pytest.mark.parametrize("scopes", [set(), {"everyone"}, {"channel:../x"}, {"workspace", "channel:c1"}])
def test_a_dataset_belongs_somewhere_real(scopes: set[str], tmp_path: Path) -> None:
    """Unknown scopes are refused before anything is written."""
    store = DatasetStore(str(tmp_path), prepare=as_they_are)
    with pytest.raises(DatasetError, match="belongs to the workspace or to channels"):
        store.keep(some_tickets(), "tickets", "U1", frozenset(scopes), "")
    assert store.list() == []


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        "a/b",
        "/etc/passwd",
        "A",
        "a b",
        "",
        "-a",
        "a-",
        "a" * 65,
        "ａ",
        "a\n",
        "a\0",
        "x.csv",
        "é",
    ],
)
def test_names_that_could_be_paths_are_refused(name: str, tmp_path: Path) -> None:
    """Adding, reading, listing versions and removing check the name first; the error suggests one."""
    store = DatasetStore(str(tmp_path), prepare=as_they_are)
    for act in (
        lambda: store.keep(some_tickets(), name, "U1", EVERYONE, ""),
        lambda: store.get(name),
        lambda: store.tickets(name),
        lambda: store.versions(name),
        lambda: store.remove(name, "U1"),
    ):
        with pytest.raises(DatasetError):
            act()
    assert check_name(suggest_name(name))


def test_the_sample_is_there_and_its_name_is_taken(store: DatasetStore) -> None:
    """It is registered once, and nobody can put other rows under its name."""
    card, replies = store.ensure_samples()
    assert store.ensure_samples() == [card, replies]
    assert (replies.name, replies.kind, replies.rows) == ("support-replies", "reply", 300)
    assert card.rows > 600
    assert len(card.classes) == 8
    with pytest.raises(DatasetError, match="bundled sample"):
        store.keep(some_tickets(), "sample-tickets", "U1", EVERYONE, "")


def test_two_adders_at_once_both_get_a_version(url: str) -> None:
    """Sixteen threads add different rows under one name: sixteen versions, all readable, none lost."""
    adders, gate = 16, threading.Barrier(16)
    cards: list[Card] = []

    def add(place: int) -> None:
        store = DatasetStore(url, prepare=as_they_are)
        tickets = some_tickets(f"by {chr(97 + place) * 3}")
        gate.wait()
        cards.append(store.keep(tickets, "tickets", f"U{place}", EVERYONE, ""))

    threads = [threading.Thread(target=add, args=(place,)) for place in range(adders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = DatasetStore(url)
    assert sorted(card.version for card in cards) == list(range(1, adders + 1))
    assert len({card.digest for card in store.versions("tickets")}) == adders
    assert all(len(store.tickets(card.digest)) == 24 for card in cards)


def test_removing_erases_rows_and_names_the_models(url: str) -> None:
    """Every version's rows go, and the jobs that trained on any of them are listed."""
    store = DatasetStore(url, prepare=as_they_are)
    first = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    second = store.keep(some_tickets("again"), "tickets", "U1", EVERYONE, "")
    jobs = {first.digest: ["j1"], second.digest: ["j2", "j1"]}
    erasure = store.remove("tickets", "U1", lambda digest: jobs[digest])
    assert erasure.models == ("j1", "j2")
    assert set(erasure.digests) == set(jobs)
    for digest in jobs:
        with pytest.raises(DatasetError, match="are gone"):
            store.tickets(digest)
    assert store.list() == []
    with pytest.raises(DatasetError, match="There is no dataset tickets"):
        store.remove("tickets", "U1")


def test_rows_that_another_dataset_shares_stay_for_it(store: DatasetStore) -> None:
    """The same rows under two names: removing one leaves the other whole."""
    card = store.keep(some_tickets(), "kept", "U1", EVERYONE, "")
    store.keep(some_tickets(), "gone", "U1", EVERYONE, "")
    store.remove("gone", "U1")
    assert len(store.tickets(card.digest)) == 24


def test_forgetting_erases_a_requester_everywhere(store: DatasetStore) -> None:
    """Their rows leave all versions of all datasets, old rows are unreadable, mentions elsewhere blanked."""
    old = store.keep(some_tickets("old"), "tickets", "U1", HERE, "mine")
    tickets = some_tickets("USER3@example.com told me", customers=6)
    new = store.keep(tickets, "tickets", "U1", HERE, "mine")
    other = store.keep(some_tickets("other"), "other", "U2", EVERYONE, "")
    shared = store.keep(some_tickets("other"), "same-rows", "U2", EVERYONE, "")
    bystander = store.keep(some_tickets("x", customers=2), "untouched", "U2", EVERYONE, "")
    erasures = {
        one.name: one for one in store.forget(" User3@example.com ", "ana", lambda digest: [digest[:4]])
    }
    assert set(erasures) == {"tickets", "other", "same-rows"}
    assert set(erasures["tickets"].erased) == {old.digest, new.digest}
    assert erasures["tickets"].models == tuple(sorted({old.digest[:4], new.digest[:4]}))
    for digest in (old.digest, new.digest, other.digest, shared.digest):
        with pytest.raises(DatasetError, match="are gone"):
            store.tickets(digest)
    left = store.get("tickets", HERE)
    assert (left.version, left.scopes, left.licence) == (3, ("channel:C1",), "mine")
    assert left.added_by == "U1"  # whoever has somebody forgotten does not become the owner
    rows = store.tickets("tickets").rows
    assert len(rows) == 21
    assert all("user3@" not in (row.text + str(row.customer)).casefold() for row in rows)
    assert "<ERASED> told me" in rows[0].text
    assert len(store.tickets("same-rows")) == 21
    assert store.get("untouched") == bystander
    assert store.forget("user3@example.com", "ana") == []


def test_forgetting_the_last_customers_leaves_no_dataset(store: DatasetStore) -> None:
    """When too little is left the rows go all the same, and there is no successor."""
    card = store.keep(some_tickets(customers=1), "tickets", "U1", EVERYONE, "")
    [erasure] = store.forget("user0@example.com", "ana")
    assert erasure.new is None
    assert store.list() == []
    with pytest.raises(DatasetError, match="are gone"):
        store.tickets(card.digest)


def test_forgetting_needs_a_whole_name(store: DatasetStore) -> None:
    """Two letters would match half the workspace: refused."""
    store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    with pytest.raises(DatasetError, match="at least 3 characters"):
        store.forget("us", "ana")


def test_an_interrupted_erasure_can_be_asked_for_again(tmp_path: Path) -> None:
    """Rows gone but cards left: the datasets disappear from the lists with the next forget."""
    store = DatasetStore(str(tmp_path), prepare=as_they_are)
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    (tmp_path / "rows" / f"{card.digest}.jsonl").unlink()
    assert store.forget("user3@example.com", "ana") == []
    assert store.list() == []


def test_damage_on_disk_is_noticed(tmp_path: Path) -> None:
    """A changed byte in the rows is refused, a torn card is no version."""
    store = DatasetStore(str(tmp_path), prepare=as_they_are)
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    rows = tmp_path / "rows" / f"{card.digest}.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b"billing", b"boiling"))
    with pytest.raises(DatasetError, match="damaged on disk"):
        store.tickets(card.digest)
    (tmp_path / "cards" / "tickets" / "v0002.json").write_text('{"name": "tick')
    assert [one.version for one in store.versions("tickets")] == [1]
    assert store.keep(some_tickets("more"), "tickets", "U1", EVERYONE, "").version == 3


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space: one clear message, no draft left, the old version untouched."""
    import os

    store = DatasetStore(str(tmp_path), prepare=as_they_are)
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"No space left on device.\nFree some disk space"):
        store.keep(some_tickets("more"), "tickets", "U1", EVERYONE, "")
    assert store.list() == [card]
    assert not list(tmp_path.rglob(".draft-*"))


def test_a_file_is_added_with_its_problems_listed(tmp_path: Path) -> None:
    """Reading, cleaning, redacting and keeping in one go; what was left out stands in the list by line."""
    lines = [f"{row.text} from {row.customer},{row.label}" for row in some_tickets().rows]
    automatic = "Automatic reply: out of office,billing"
    path = tmp_path / "Export.csv"
    path.write_text("\n".join(["text,label", *lines, lines[0], automatic, ",login"]))
    problems = tmp_path / "problems.csv"
    card = DatasetStore(str(tmp_path / "s")).add(path, "tickets", "U1", EVERYONE, "", problems_to=problems)
    assert (card.rows, card.rejected, card.source) == (24, 1, "Export.csv")
    assert card.cleaned == {"exact copies": 1, "automatic replies": 1}
    assert card.redactions == {"EMAIL": 24}
    rows = problems.read_text("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in rows] == ["line", "26", "27", "28"]
    assert "Redacted is not anonymous" in card.not_covered


def test_counts_found_later_can_be_added_to_a_card(store: DatasetStore) -> None:
    """Label noise is found after adding: the card changes, rows, digest and version do not."""
    card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    update = store.annotate(card, noise={"suspects": 2})
    assert store.get("tickets") == update == replace(card, noise={"suspects": 2})
    with pytest.raises(DatasetError, match="rows cannot change"):
        store.annotate(card, rows=3)
    store.remove("tickets", "U1")
    with pytest.raises(DatasetError, match="removed meanwhile"):
        store.annotate(card, noise={"suspects": 2})
    assert store.list() == []


def test_an_unknown_kind_of_address_is_refused() -> None:
    """A store URL whose package is missing says what to install."""
    with pytest.raises(DatasetError, match="cannot use nosuch:// addresses"):
        DatasetStore("nosuch://bucket")
