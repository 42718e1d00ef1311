"""The served version is rolled back when it breaks its promise on duty, but only to one that kept it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.slack.served_rollback import roll_back_served_version
from finetune.serving.versions import SERVED, Versions
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label, Watch

WATCH = Watch("w1", "C1", "T1", "new", "d", "new", 0.1, duty.LIVE, duty.LIVE, "everyone", "U1", 1.0, 1.0, "0")


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """`new` is served after `old`."""
    result = Versions(tmp_path, "d")
    for name in ("old", "new"):
        result.add(name, lambda folder: (folder / SERVED).write_text("{}"))
        result.use(name, "test", 0.1)
    return result


def history(version: str, count: int, wrong: int) -> tuple[list[DutyTicket], dict[str, list[Label]]]:
    """Checked answers of a version, `wrong` of them wrong."""
    tickets, labels = [], {}
    for at in range(count):
        key = f"{version}:{at}"
        ranking = (("billing", 0.9), ("login", 0.1))
        tickets.append(
            DutyTicket(
                "w1",
                key,
                "1",
                "x",
                duty.ANSWERED,
                1.0,
                "billing",
                0.9,
                ranking,
                is_audit=True,
                version=version,
            )
        )
        truth = (
            "login"
            if at % max(1, count // max(wrong, 1)) == 0 and at < wrong * (count // max(wrong, 1))
            else "billing"
        )
        labels[key] = [Label(key, "U2", truth, 2.0)]
    return tickets, labels


def test_a_rollback_goes_to_a_version_that_kept_the_promise(versions: Versions, tmp_path: Path) -> None:
    """The pointer moves and stores the reason; the note shows the older version's figures."""
    text = roll_back_served_version(tmp_path, WATCH, *history("old", 60, 2))
    pointer = versions.pointer()
    assert pointer.current == "old"
    assert pointer.why == "broken promise of new on duty in C1"
    assert "goes back from new to old, which kept the promise here (2 of 60" in text
    assert roll_back_served_version(tmp_path, WATCH, *history("old", 60, 2)) == text, (
        "as a second bot tells it that was slower"
    )
    later = replace(WATCH, mode_at=pointer.at + 1)
    assert roll_back_served_version(tmp_path, later, *history("old", 60, 2)) == "", (
        "it is the served one no more"
    )


def test_a_failed_rollback_is_reported(versions: Versions, tmp_path: Path) -> None:
    """It raises no error, because the model goes back to shadow anyway."""
    (versions.folder / "current.json.part").mkdir()
    text = roll_back_served_version(tmp_path, WATCH, *history("old", 60, 2))
    assert "could not be taken back (Is a directory)" in text
    assert "`trainwise versions d --back`" in text
    assert versions.pointer().current == "new"


@pytest.mark.parametrize(("count", "wrong"), [(0, 0), (10, 0), (60, 12)])
def test_there_is_no_rollback_without_a_version_that_kept_the_promise(
    versions: Versions, tmp_path: Path, count: int, wrong: int
) -> None:
    """No checks, too few, or a broken promise of the older version: a person has to decide."""
    text = roll_back_served_version(tmp_path, WATCH, *history("old", count, wrong))
    assert versions.pointer().current == "new"
    assert "--back" in text


def test_another_served_version_is_not_changed(versions: Versions, tmp_path: Path) -> None:
    """The server uses another version, or nothing is served."""
    versions.use("old", "test")
    assert roll_back_served_version(tmp_path, WATCH, *history("old", 60, 0)) == ""
    assert roll_back_served_version(tmp_path / "nowhere", WATCH, *history("old", 60, 0)) == ""
    assert versions.pointer().current == "old"
