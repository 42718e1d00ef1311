"""Versions and their pointer: whole or not there, a steady share, and a way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.serving.server.health import Health
from finetune.serving.versions import SERVED, Pointer, VersionError, Versions, name_of


def place_with(tmp_path: Path, *names: str) -> Versions:
    """A served name with empty versions."""
    versions = Versions(tmp_path, "Support tickets")
    for name in names:
        versions.add(name, lambda folder: (folder / SERVED).write_text("{}"))
    return versions


def test_the_pointer_moves_and_goes_back(tmp_path: Path) -> None:
    """A rollback lets the version before answer; there is only one step back."""
    versions = place_with(tmp_path, "a", "b")
    assert versions.use("a", "first", 0.05).current == "a"
    assert versions.roll_back("nothing before") is None
    assert versions.use("b", "better").previous == "a"
    back = versions.roll_back("latency")
    assert back is not None
    assert (back.current, back.why, back.error_rate) == ("a", "latency", 0.05)
    assert versions.roll_back("again") is None


def test_a_share_is_steady_by_ticket_and_of_the_right_size(tmp_path: Path) -> None:
    """The same id always goes to the same version; about a tenth goes to the trial, more with a larger share."""
    versions = place_with(tmp_path, "a", "b")
    versions.use("a", "first")
    pointer = versions.share("b", 10, "try")
    first = {str(n) for n in range(5_000) if pointer.version_for(str(n)) == "b"}
    assert 400 < len(first) < 600
    assert {str(n) for n in range(5_000) if pointer.version_for(str(n)) == "b"} == first
    wider = versions.share("b", 30, "more")
    assert first <= {str(n) for n in range(5_000) if wider.version_for(str(n)) == "b"}
    assert versions.roll_back("bad", "b") == versions.pointer()
    assert versions.pointer().trial is None


def test_an_unfinished_version_is_not_there(tmp_path: Path) -> None:
    """A writer that breaks leaves nothing that could be named."""
    versions = place_with(tmp_path, "a")

    def break_off(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        versions.add("b", break_off)
    assert versions.list() == ["a"]
    with pytest.raises(VersionError, match=r"has no version `b`\. There are: a"):
        versions.use("b", "no")


@pytest.mark.parametrize("version", ["../a", "", ".hidden", "a/b", "x" * 90])
def test_a_version_s_name_leads_nowhere_else(tmp_path: Path, version: str) -> None:
    """No path, nothing hidden."""
    with pytest.raises(VersionError):
        place_with(tmp_path).folder_of(version)


def test_a_missing_or_damaged_pointer_says_what_to_do(tmp_path: Path) -> None:
    """Nothing served yet, and a file that is no pointer."""
    versions = place_with(tmp_path, "a")
    with pytest.raises(VersionError, match="trainwise serve JOB"):
        versions.pointer()
    versions.use("a", "first")
    (versions.folder / "current.json").write_text("{")
    with pytest.raises(VersionError, match="--use VERSION"):
        versions.pointer()
    assert versions.use("a", "repaired") == versions.pointer()


def test_names_are_simple() -> None:
    """A dataset's name becomes a folder's."""
    assert name_of("Support Tickets 2026") == "support-tickets-2026"
    with pytest.raises(VersionError):
        name_of("…")
    assert Pointer("a").version_for("x") == "a"


def test_a_version_s_health_shows_in_failures_and_times() -> None:
    """Two failures in fifty are too many, so is a slow tail; fewer than fifty tickets say nothing."""
    health = Health(0.5)
    for _ in range(49):
        health.record(0.01, failure=True)
    assert health.complaint() == ""
    health.record(0.01, failure=True)
    assert health.complaint().startswith("error rate")
    slow = Health(0.5)
    for at in range(100):
        slow.record(0.9 if at % 10 == 0 else 0.01, failure=False)
    assert slow.complaint().startswith("latency")
