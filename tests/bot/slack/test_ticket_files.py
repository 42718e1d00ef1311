"""Tickets from a growing file: each complete line once, rotation, bad lines, and no loss by a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.settings import SettingsError, load_settings
from bot.slack.ticket_files import LINES_PER_ROUND, read_file
from tests.bot.slack.watches import watch_of
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.duty_files import file_place, note_file_place
from worker.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(str(tmp_path / "ledger.db"))


@pytest.fixture
def watch(ledger: Ledger) -> Watch:
    return duty.open_watch(ledger.engine, watch_of())


def lines(*numbers: int) -> str:
    """A ticket a line."""
    return "".join(json.dumps({"id": n, "text": f"parcel {n}"}) + "\n" for n in numbers)


def keys(ledger: Ledger, watch: Watch) -> list[str]:
    return sorted(one.key for one in duty.tickets_of(ledger.engine, watch.id))


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_lines_appended_after_the_start_are_entered(ledger: Ledger, watch: Watch, tmp_path: Path) -> None:
    """Lines from before the model went on duty are skipped; an unfinished line waits."""
    file = tmp_path / "tickets.jsonl"
    file.write_text(lines(1) + '{"id": 2, "te')
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 0
    append(file, 'xt": "write to jo@example.com"}\n{"id": 3')
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 1
    assert keys(ledger, watch) == ["api:2"]
    assert "jo@example.com" not in duty.tickets_of(ledger.engine, watch.id)[0].text
    append(file, ', "text": "late"}\n')
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 1
    assert keys(ledger, watch) == ["api:2", "api:3"]


def test_a_new_file_of_the_same_name_is_read_from_its_beginning(
    ledger: Ledger, watch: Watch, tmp_path: Path
) -> None:
    """Rotated by renaming, and by cutting; also one that was not there when the model went on duty."""
    file = tmp_path / "tickets.jsonl"
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 0
    file.write_text(lines(1, 2, 3))
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 3
    os.rename(file, tmp_path / "tickets.jsonl.1")
    file.write_text(lines(4, 5, 6))
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 3
    file.write_text(lines(7))
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 1
    assert len(keys(ledger, watch)) == 7


def test_the_rest_of_a_rotated_file_is_read_before_the_new_one(
    ledger: Ledger, watch: Watch, tmp_path: Path
) -> None:
    """What was appended between the last look and the rotation, and while the writer has not turned to the new file yet."""
    file, old = tmp_path / "tickets.jsonl", tmp_path / "tickets.jsonl.1"
    read_file(ledger.engine, watch, file, 5.0)
    file.write_text(lines(1))
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 1
    append(file, lines(2))
    os.rename(file, old)
    file.touch()
    outcome = read_file(ledger.engine, watch, file, 5.0)
    assert (outcome.tickets, outcome.has_more) == (1, True)
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 0
    append(old, lines(3) + '{"id"')
    assert read_file(ledger.engine, watch, file, 5.0).tickets == 1
    append(file, lines(4))
    assert [read_file(ledger.engine, watch, file, 5.0).tickets for _ in range(2)] == [1, 0]
    assert keys(ledger, watch) == ["api:1", "api:2", "api:3", "api:4"]


def test_a_line_that_is_no_ticket_is_told_and_holds_up_no_other(
    ledger: Ledger, watch: Watch, tmp_path: Path
) -> None:
    """Its number and what is wrong with it, never its words."""
    file = tmp_path / "tickets.jsonl"
    read_file(ledger.engine, watch, file, 5.0)
    file.write_text(lines(1) + 'a secret, 12\n\n{"text": "no number"}\n' + lines(2))
    outcome = read_file(ledger.engine, watch, file, 5.0)
    assert (outcome.tickets, outcome.bad_lines, outcome.first_bad_line) == (2, 2, 2)
    assert "2 lines are no tickets, the first is line 2" in outcome.sentence()
    assert "secret" not in outcome.sentence()


def test_a_bad_line_is_told_by_its_number_in_the_file(ledger: Ledger, watch: Watch, tmp_path: Path) -> None:
    """Also where the file had lines, and half of one, before the model went on duty."""
    file = tmp_path / "tickets.jsonl"
    file.write_text(lines(1, 2, 3) + '{"id": 4, "te')
    read_file(ledger.engine, watch, file, 5.0)
    append(file, 'xt": "late"}\n' + lines(5) + "no ticket\n")
    assert read_file(ledger.engine, watch, file, 5.0).first_bad_line == 6


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 400), max_size=8), crashes=st.sets(st.integers(0, 8)))
def test_written_in_any_pieces_and_read_through_crashes_each_comes_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], crashes: set[int]
) -> None:
    """A crash after the tickets were entered and before the place was kept: they are read again and entered once."""
    folder = tmp_path_factory.mktemp("pieces")
    ledger = Ledger(str(folder / "ledger.db"))
    watch = duty.open_watch(ledger.engine, watch_of())
    file = folder / "tickets.jsonl"
    read_file(ledger.engine, watch, file, 5.0)
    text, start = lines(*range(12)), 0
    for number, size in enumerate([*cuts, len(text)]):
        append(file, text[start : start + size])
        start += size
        before = file_place(ledger.engine, watch.id, str(file))
        read_file(ledger.engine, watch, file, 5.0)
        if number in crashes and before:
            note_file_place(ledger.engine, watch.id, str(file), before)
    read_file(ledger.engine, watch, file, 5.0)
    assert keys(ledger, watch) == sorted(f"api:{n}" for n in range(12))


def test_a_long_file_is_read_in_rounds(ledger: Ledger, watch: Watch, tmp_path: Path) -> None:
    """So that no other channel waits for it."""
    file = tmp_path / "tickets.jsonl"
    read_file(ledger.engine, watch, file, 5.0)
    file.write_text("not a ticket\n" * (LINES_PER_ROUND + 1))
    assert read_file(ledger.engine, watch, file, 5.0).has_more
    assert not read_file(ledger.engine, watch, file, 5.0).has_more


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("tickets.jsonl", "write CHANNEL="),
        ("C0123=/tmp/tickets.csv", "write CHANNEL="),
        ("C0123=/no/such/folder/tickets.jsonl", "whose folder is not there"),
    ],
)
def test_a_wrong_setting_says_how_to_write_it(value: str, part: str) -> None:
    with pytest.raises(SettingsError, match=part):
        load_settings({"TRAINWISE_TICKETS_FILES": value})


def test_several_files_of_several_channels() -> None:
    files = load_settings({"TRAINWISE_TICKETS_FILES": "C01=/tmp/a.jsonl, C01=/tmp/b.jsonl,C02=/tmp/c.ndjson"})
    assert files.ticket_files == {
        "C01": (Path("/tmp/a.jsonl"), Path("/tmp/b.jsonl")),
        "C02": (Path("/tmp/c.ndjson"),),
    }
