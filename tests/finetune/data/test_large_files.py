"""Files that are too large for memory: rows on disk, the same dataset, and imports that are cut off and go on."""

from __future__ import annotations

import csv
import multiprocessing
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

from finetune.data import redact, row_file
from finetune.data.checkpoints import Checkpoints, drop_stale
from finetune.data.importing import ImportOrder, _listen, add_file, add_file_in_subprocess
from finetune.data.row_file import RowFile, collect_rows
from finetune.data.store import DatasetStore
from finetune.data.ticket import DatasetError, Ticket, Tickets
from finetune.errors import Stopped

ROWS, PART = 1_200, 100
Event = dict[str, Any]


def write_tickets(path: Path, rows: int = ROWS, first: int = 0) -> Path:
    """Tickets with what is cleaned, redacted, repaired and left out among them."""
    queues = ("billing", "login", "bug")
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text", "queue", "created_at", "agent name"])
        for at in range(first, first + rows):
            text = f"<p>My invoice no{at} is wrong, write to kim{at}@example.com</p>"
            if at % 40 == 7:
                text = "Thanks, that is the very same text again"
            label = "" if at % 97 == 3 else queues[at % 3]
            writer.writerow([at, text, label, f"2026-0{1 + at % 9}-11", "Ada Lovelace"])
    return path


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go to disk after a few thousand characters, and are redacted a hundred at a time."""
    monkeypatch.setattr(row_file, "IN_MEMORY", 5_000)
    monkeypatch.setattr(redact, "PART_ROWS", PART)


def order_of(folder: Path, path: Path, store: str = "store") -> ImportOrder:
    everyone = frozenset({"workspace"})
    places = str(folder / store), folder / "imports", path, "large"
    return ImportOrder(*places, "U1", everyone, "internal", {}, folder / "problems.csv")


def parts_left(folder: Path) -> int:
    return Checkpoints(folder / "imports" / "large").count()


def test_rows_on_disk_are_a_sequence_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Length, places from both ends, slices, order, equality, and a copy for another process."""
    monkeypatch.setattr(row_file, "IN_MEMORY", 500)
    rows = tuple(
        Ticket(str(at), f"text ü\n{at}", "a", names=("Ada",), line=at, thread=None) for at in range(1_100)
    )
    on_disk = collect_rows(iter(rows))
    assert isinstance(on_disk, RowFile)
    assert (len(on_disk), on_disk[3], on_disk[-1], on_disk[5:8]) == (1_100, rows[3], rows[-1], rows[5:8])
    assert (on_disk[3].names, on_disk[-1].line) == (("Ada",), 1_099)
    assert list(on_disk) == list(rows)
    assert on_disk == rows
    assert pickle.loads(pickle.dumps(on_disk)) == rows
    with pytest.raises(IndexError):
        on_disk[1_100]
    assert Tickets(on_disk, "triage").digest == Tickets(rows, "triage").digest
    assert isinstance(collect_rows(rows[:3]), tuple)


@pytest.mark.usefixtures("small_memory")
def test_a_large_file_gives_the_dataset_of_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, digest, problems and the whole import report are the same, whether rows lie on disk or in memory."""
    path = write_tickets(tmp_path / "tickets.csv")
    on_disk = add_file(order_of(tmp_path, path), lambda event: None)
    rows_again = DatasetStore(str(tmp_path / "store")).tickets("large")
    assert isinstance(rows_again.rows, RowFile)
    monkeypatch.undo()
    in_memory = add_file(order_of(tmp_path, path, "other"), lambda event: None)
    assert on_disk.to_json() | {"added_at": ""} == in_memory.to_json() | {"added_at": ""}
    assert rows_again.digest == in_memory.digest
    assert rows_again.rows == DatasetStore(str(tmp_path / "other")).tickets("large").rows
    report = on_disk.intake
    assert report["rows"] == ROWS == report["kept"] + sum(report["left_out"].values())
    assert on_disk.redactions["EMAIL"] > 1_000


@pytest.mark.usefixtures("small_memory")
def test_a_cancelled_import_adds_nothing_and_goes_on(tmp_path: Path) -> None:
    """Cancelled half-way through redacting: no version, finished parts stay; the next try uses them and says so."""
    path, events, notes = write_tickets(tmp_path / "tickets.csv"), list[Event](), list[str]()

    def stop_half_way() -> str | None:
        return "cancel" if parts_left(tmp_path) >= 4 else None

    with pytest.raises(Stopped):
        add_file(order_of(tmp_path, path), events.append, stop_half_way, every_s=0)
    assert DatasetStore(str(tmp_path / "store")).versions("large") == []
    left = parts_left(tmp_path)
    assert left >= 4
    card = add_file(order_of(tmp_path, path), lambda event: notes.append(str(event.get("text", ""))))
    assert any(note.startswith(f"Going on: an earlier import had finished {left} parts") for note in notes)
    whole = add_file(order_of(tmp_path, path, "other"), lambda event: None)
    assert (card.digest, card.redactions, card.intake) == (whole.digest, whole.redactions, whole.intake)
    assert parts_left(tmp_path) == 0


@pytest.mark.usefixtures("small_memory")
def test_other_rows_start_anew_and_say_so(tmp_path: Path) -> None:
    """Parts of another file, or damaged ones, are never used; what nobody goes on with is gone after a week."""
    path = write_tickets(tmp_path / "tickets.csv")
    with pytest.raises(Stopped):
        add_file(
            order_of(tmp_path, path),
            lambda event: None,
            lambda: "cancel" if parts_left(tmp_path) >= 4 else None,
            every_s=0,
        )
    for part in (tmp_path / "imports" / "large").glob("*.jsonl"):
        part.write_text('{"EMAIL": 1}\n{"id": "tor', encoding="utf-8")
    notes: list[str] = []
    other = write_tickets(tmp_path / "tickets.csv", first=9_000)
    card = add_file(order_of(tmp_path, other), lambda event: notes.append(str(event.get("text", ""))))
    assert any(note.startswith("Starting anew") for note in notes)
    assert card.rows > 1_000
    left = tmp_path / "imports" / "left"
    left.mkdir(parents=True)
    assert drop_stale(tmp_path / "imports") == 0
    os.utime(left, (0, 0))
    assert drop_stale(tmp_path / "imports") == 1


def _import_until_killed(order: ImportOrder, parts: int) -> None:
    """In a process of its own: kill -9 itself as soon as so many parts are finished."""
    row_file.IN_MEMORY, redact.PART_ROWS = 5_000, PART

    def stop() -> str | None:
        if Checkpoints(order.work / order.name).count() >= parts:
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    add_file(order, lambda event: None, stop, every_s=0)


@pytest.mark.integration
@pytest.mark.usefixtures("small_memory")
def test_a_killed_import_leaves_no_half_version(tmp_path: Path) -> None:
    """kill -9 in the middle: no card, no rows, no version; the next try goes on and ends in the same dataset."""
    order = order_of(tmp_path, write_tickets(tmp_path / "tickets.csv"))
    child = multiprocessing.get_context("spawn").Process(target=_import_until_killed, args=(order, 5))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    store = DatasetStore(order.url)
    assert store.versions("large") == []
    assert not list(Path(order.url).rglob("*.jsonl"))
    left, notes = parts_left(tmp_path), list[str]()
    assert left >= 5
    card = add_file(order, lambda event: notes.append(str(event.get("text", ""))))
    assert any("Going on" in note for note in notes)
    assert (card.version, card.digest) == (1, store.tickets("large").digest)


@pytest.mark.integration
def test_an_import_apart_tells_its_steps_and_can_be_stopped(tmp_path: Path) -> None:
    """In a process of its own: phases arrive, the card comes back; a refusal is the same error; a stop ends it."""
    path, phases = write_tickets(tmp_path / "tickets.csv"), list[str]()
    order = order_of(tmp_path, path)
    card = add_file_in_subprocess(order, lambda event: phases.append(event.get("phase", "")), lambda: None)
    assert [phase for phase in phases if phase] == [
        "reading",
        "cleaning",
        "redacting",
        "describing",
        "storing",
    ]
    assert DatasetStore(order.url).get("large") == card
    with pytest.raises(Stopped):
        add_file_in_subprocess(order, lambda event: None, lambda: "cancel")
    bad = tmp_path / "bad.csv"
    bad.write_text("id,text,queue\n1,only one,a\n")
    with pytest.raises(DatasetError, match="at least 10"):
        add_file_in_subprocess(order_of(tmp_path, bad), lambda event: None, lambda: None)


def test_a_cancel_that_comes_too_late_does_not_hide_what_was_added(tmp_path: Path) -> None:
    """The card lies in the pipe already: nobody is told that nothing was added."""
    card = add_file(order_of(tmp_path, write_tickets(tmp_path / "few.csv", 60)), lambda event: None)
    here, there = multiprocessing.Pipe(duplex=False)
    there.send(("event", {"kind": "phase", "phase": "storing"}))
    there.send(("card", card.to_json()))
    assert _listen(here, lambda event: None, lambda: "cancel") == card
    with pytest.raises(Stopped):
        _listen(here, lambda event: None, lambda: "cancel")
