"""`trainwise datasets repair` as a user types it: the list with its commands, answers, and asking on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.bot.cli.test_datasets import Terminal, trainwise
from tests.finetune.data.test_bad_files import ROWS, save

__all__ = ["trainwise"]
pytestmark = pytest.mark.integration


@pytest.fixture
def messy(trainwise: Terminal, tmp_path: Path) -> str:
    """A dataset with labels of two spellings and a row that looks like a test."""
    lines = [f"{text},{label}" for text, label in ROWS]
    label = ROWS[0][1]
    lines += [f"{text} once more for {at},{label}s" for at, (text, own) in enumerate(ROWS) if own == label][
        :4
    ]
    save(tmp_path, "\n".join(["text,label", *lines, f"test 1,{label}"]))
    _, out, _ = trainwise("datasets", "add", "tickets.csv", "--name", "messy")
    assert "1 row that looks like a test" in out
    assert "`trainwise datasets repair messy` asks about them one by one" in out
    return label


def test_without_a_terminal_the_questions_come_with_their_commands(trainwise: Terminal, messy: str) -> None:
    """Each command does what it says; the decision can be taken back by its number."""
    _, out, _ = trainwise("datasets", "repair", "messy")
    assert f"Are “{messy}s” (4) and “{messy}”" in out
    command = next(line.split() for line in out.splitlines() if line.endswith("=merge"))
    assert "version 2" in trainwise(*command[1:])[1]
    _, out, _ = trainwise("datasets", "repair", "messy")
    assert f"1. “{messy}s” counts as “{messy}” (4 rows), by terminal:" in out
    assert "version 3" in trainwise("datasets", "repair", "messy", "--undo", "1")[1]
    code, _, err = trainwise("datasets", "repair", "messy", "--answer", "nothing=merge")
    assert (code, "There is no open question nothing" in err) == (2, True)


def test_on_a_terminal_each_is_asked(
    trainwise: Terminal, messy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter answers, another key asks again, q ends."""

    class Input(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Input("z\nm\nd\n"))
    code, out, _ = trainwise("datasets", "repair", "messy")
    assert (code, "version 2" in out, "version 3" in out, "That was all." in out) == (0, True, True, True)
    assert f"{len(ROWS) + 4} rows" in out
