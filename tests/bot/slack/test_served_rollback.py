"""The served version goes back where its promise breaks on duty, but only to one that is known to have kept it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.slack.served_rollback import roll_served_back
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
    """So many answers of a version that people checked, some of them wrong."""
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


def test_it_goes_back_to_a_version_that_kept_the_promise(versions: Versions, tmp_path: Path) -> None:
    """The pointer moves, says why, and the channel is told what the older one did here."""
    text = roll_served_back(tmp_path, WATCH, *history("old", 60, 2))
    pointer = versions.pointer()
    assert pointer.current == "old"
    assert pointer.why == "broken promise of new on duty in C1"
    assert "goes back from new to old, which kept the promise here (2 of 60" in text
    assert roll_served_back(tmp_path, WATCH, *history("old", 60, 2)) == text, (
        "as a second bot tells it that was slower"
    )
    later = replace(WATCH, mode_at=pointer.at + 1)
    assert roll_served_back(tmp_path, later, *history("old", 60, 2)) == "", "it is the served one no more"


def test_a_pointer_that_cannot_be_moved_is_told(versions: Versions, tmp_path: Path) -> None:
    """No error comes of it, as the model has to leave its duty all the same."""
    (versions.folder / "current.json.part").mkdir()
    text = roll_served_back(tmp_path, WATCH, *history("old", 60, 2))
    assert "could not be taken back (Is a directory)" in text
    assert "`trainwise versions d --back`" in text
    assert versions.pointer().current == "new"


@pytest.mark.parametrize(("count", "wrong"), [(0, 0), (10, 0), (60, 12)])
def test_it_stays_where_no_version_is_known_to_be_better(
    versions: Versions, tmp_path: Path, count: int, wrong: int
) -> None:
    """Nothing known, too little, or the older one broke it too: a person decides."""
    text = roll_served_back(tmp_path, WATCH, *history("old", count, wrong))
    assert versions.pointer().current == "new"
    assert "--back" in text


def test_what_is_served_elsewhere_is_left_alone(versions: Versions, tmp_path: Path) -> None:
    """Another version answers over HTTP, or none is served at all."""
    versions.use("old", "test")
    assert roll_served_back(tmp_path, WATCH, *history("old", 60, 0)) == ""
    assert roll_served_back(tmp_path / "nowhere", WATCH, *history("old", 60, 0)) == ""
    assert versions.pointer().current == "old"
