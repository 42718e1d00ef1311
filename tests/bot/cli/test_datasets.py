"""`trainwise datasets` and `forget` as a user types them: bad files, the guess, the card, erasing."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

import pytest

from bot.cli import app, console
from tests.finetune.data.test_bad_files import REFUSED, ROWS, save

pytestmark = pytest.mark.integration


class Terminal:
    """Runs a command line in this process the way the console script does, in a folder and home of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.capsys, self.patch = folder, capsys, patch
        patch.setenv("TRAINWISE_HOME", str(folder / "home"))
        patch.setenv("COLUMNS", "300")
        patch.setattr(console.console, "width", 300)  # it took its width when it was first imported
        patch.chdir(folder)

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr. An exception that would be a traceback fails the test."""
        self.patch.setattr(sys, "argv", ["trainwise", *words])
        with pytest.raises(SystemExit) as error:
            app.main()
        text = self.capsys.readouterr()
        return int(error.value.code or 0), text.out, text.err


@pytest.fixture
def trainwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    return Terminal(tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize("command", [["datasets", "add"], ["measure"], ["finetune", "--here"]])
@pytest.mark.parametrize("name", ["empty", "no header, quoted", "one class", "three rows", "random bytes"])
def test_bad_files_end_in_one_message(
    command: list[str], name: str, trainwise: Terminal, tmp_path: Path
) -> None:
    """Whichever command reads the file: exit code 2, what is wrong and what to do, no traceback."""
    data, wrong, way_out = REFUSED[name]
    save(tmp_path, data, "tickets.csv")
    code, out, err = trainwise(command[0], *command[1:], "tickets.csv")
    assert code == 2
    assert wrong in err
    assert way_out in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("command", [["datasets", "add"], ["measure"], ["finetune", "--here"]])
def test_missing_folders_and_huge_files_are_answered_at_once(
    command: list[str], trainwise: Terminal, tmp_path: Path
) -> None:
    """No file, a folder, five (sparse) gigabytes: refused in seconds without reading."""
    (tmp_path / "folder.csv").mkdir()
    with (tmp_path / "huge.csv").open("wb") as stream:
        os.truncate(stream.fileno(), 5 * 10**9)
    start = time.process_time()
    text = {
        "missing.csv": "no file missing.csv",
        "folder.csv": "no file folder.csv",
        "huge.csv": "limit is 4,000 MB",
    }
    for name, message in text.items():
        code, _, err = trainwise(command[0], *command[1:], name)
        assert (code, message in err) == (2, True), err
    assert (
        time.process_time() - start < 30
    )  # imports are most of it; reading five gigabytes takes many minutes


@pytest.mark.parametrize("name", ["../x", "a/b", "A b", "..", "x" * 65])
def test_names_that_could_be_paths_are_refused(name: str, trainwise: Terminal, tmp_path: Path) -> None:
    """The name is checked before the file is read; nothing is written outside the home."""
    save(tmp_path, "text,label\n" + "\n".join(map(",".join, ROWS)))
    code, _, err = trainwise("datasets", "add", "tickets.csv", "--name", name)
    assert code == 2
    assert "lower-case letters, digits and hyphens" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tickets.csv"]


def test_guessed_columns_are_printed_and_can_be_overridden(trainwise: Terminal, tmp_path: Path) -> None:
    """Unknown names are guessed by content and printed; options override them; a wrong name lists the columns."""
    lines = [f"{text},{label},{'xyz'[at % 3]}" for at, (text, label) in enumerate(ROWS)]
    save(tmp_path, "alpha,beta,gamma\n" + "\n".join(lines))
    _, out, _ = trainwise("datasets", "add", "tickets.csv", "--name", "guessed")
    assert "Columns guessed by content: text = 'alpha', label = 'beta'" in out
    options = ["--text-column", "alpha", "--label-column", "gamma", "--name", "named"]
    code, out, _ = trainwise("datasets", "add", "tickets.csv", *options)
    assert (code, "x 10, y 10, z 10" in out, "guessed" in out) == (0, True, False)
    options = ["--text-column", "nope", "--label-column", "gamma"]
    code, _, err = trainwise("datasets", "add", "tickets.csv", *options)
    assert code == 2
    assert "no column 'nope'; it has 'alpha', 'beta', 'gamma'" in err


def test_a_person_confirms_the_guess(
    trainwise: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the guess is asked about, with the first rows; "no" adds nothing."""
    import io

    class Input(io.StringIO):
        def isatty(self) -> bool:
            return True

    save(tmp_path, "alpha,beta\n" + "\n".join(map(",".join, ROWS)))
    monkeypatch.setattr(sys, "stdin", Input("n\n"))
    code, out, err = trainwise("datasets", "add", "tickets.csv")
    assert (code, ROWS[0][0] in out, "Nothing was added" in err) == (2, True, True)
    monkeypatch.setattr(sys, "stdin", Input("y\n"))
    assert trainwise("datasets", "add", "tickets.csv")[0] == 0


def test_rows_with_several_labels_are_reported_and_asked_about(
    trainwise: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their share and treatment are printed; an option sets the treatment; on a terminal the person is asked."""
    import io

    lines = [
        f'{text},"{"refund, billing" if at % 5 == 0 else label}"' for at, (text, label) in enumerate(ROWS)
    ]
    save(tmp_path, "text,tags\n" + "\n".join(lines))
    code, out, _ = trainwise("datasets", "add", "tickets.csv", "--name", "one")
    assert (code, "20% of the first rows have several labels in 'tags': the first was taken" in out) == (
        0,
        True,
    )
    assert "6 rows have several labels in one cell" in out
    code, out, _ = trainwise("datasets", "add", "tickets.csv", "--several", "leave-out", "--name", "two")
    assert (code, "6 several labels (lines 2, 7, 12, 17, 22, ...)" in out) == (0, True), out
    code, _, err = trainwise("measure", "tickets.csv", "--several", "all")
    assert (code, "--several takes first, frequent, leave-out" in err) == (2, True)

    class Input(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Input("y\n2\n"))
    code, out, _ = trainwise("datasets", "add", "tickets.csv", "--name", "three")
    assert (code, "the one in most rows was taken (labels not used: refund 6)" in out) == (0, True), out


def test_good_rows_are_kept_and_bad_ones_listed_in_a_file(trainwise: Terminal, tmp_path: Path) -> None:
    """The list names line and reason, and its cells are no formulas; the next good file removes an old list."""
    rows = "\n".join(map(",".join, ROWS))
    attack = '=cmd|calc,"bug",extra'
    save(tmp_path, f"text,label\n{attack}\n,bug\n{rows}", "My Tickets (1).csv")
    code, out, _ = trainwise("datasets", "add", "My Tickets (1).csv")
    assert code == 0
    assert "2 rows left out, 0 repaired or noted: see my-tickets-1.problems.csv" in out
    with (tmp_path / "my-tickets-1.problems.csv").open(encoding="utf-8-sig") as stream:
        listing = list(csv.DictReader(stream))
    assert [(row["line"], row["row"][:2]) for row in listing] == [("2", "'="), ("3", ",b")]
    save(tmp_path, f"text,label\n{rows}", "My Tickets (1).csv")
    trainwise("datasets", "add", "My Tickets (1).csv")
    assert not (tmp_path / "my-tickets-1.problems.csv").exists()


@pytest.mark.parametrize("command", [["datasets", "add"], ["measure"], ["finetune", "--here"]])
def test_an_ambiguous_queue_column_is_refused_with_the_option_to_name_it(
    command: list[str], trainwise: Terminal, tmp_path: Path
) -> None:
    """Without a terminal the message lists the columns; with one of them named the file is read."""
    lines = [f"{text},{label},{'xyz'[at // 2 % 3]},open" for at, (text, label) in enumerate(ROWS)]
    save(tmp_path, "text,team,category,status\n" + "\n".join(lines))
    code, out, err = trainwise(*command, "tickets.csv")
    assert code == 2
    assert "several columns could be the queue: 'category', 'team'" in err
    assert '--label-column "team"' in err
    code, out, _ = trainwise("datasets", "add", "tickets.csv", "--label-column", "team")
    assert code == 0
    for part in (
        "label = 'team'",
        "not read: 'category', 'status'",
        "The file's 30 rows: 30 kept, 0 left out.",
    ):
        assert part in out


def test_the_card_is_shown_in_words_and_as_a_picture(trainwise: Terminal, tmp_path: Path) -> None:
    """Lines for people, JSON for programs, a PNG for Slack."""
    code, out, _ = trainwise("datasets", "show", "sample-tickets", "--picture", "card.png")
    assert code == 0
    assert "658 tickets (8 queues" in out
    assert "test = the latest weeks" in out
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    _, out, _ = trainwise("datasets", "show", "sample-tickets", "--json")
    assert json.loads(out)["rows"] == 658
    assert trainwise("datasets", "list")[1].count("sample-tickets") == 1


def test_forget_and_remove_say_what_they_erased(trainwise: Terminal, tmp_path: Path) -> None:
    """A requester's rows leave every dataset and nothing of theirs is left on disk; removal erases the rest."""
    lines = [f"{text},{label},Person{at % 6}@example.com" for at, (text, label) in enumerate(ROWS)]
    save(tmp_path, "text,label,requester_email\n" + "\n".join(lines))
    trainwise("datasets", "add", "tickets.csv")
    _, out, _ = trainwise("forget", "stranger@example.com")
    assert "Give it as the files have it in customer, requester_email." in out
    _, out, _ = trainwise("forget", "PERSON2@example.com")
    assert "tickets: 5 rows erased from 1 versions; version 2 holds the other 25." in out
    rest = [path.read_text() for path in (tmp_path / "home").rglob("*.jsonl") if path.is_file()]
    assert all(text not in rows for rows in rest for at, (text, _) in enumerate(ROWS) if at % 6 == 2)
    assert any(ROWS[0][0] in rows for rows in rest)
    assert "example.com" not in "".join(rest)
    _, out, _ = trainwise("datasets", "remove", "tickets")
    assert "Erased 25 rows of tickets." in out
    assert trainwise("datasets", "show", "tickets")[0] == 2


@pytest.mark.slow  # builds the embedder in a fresh home; the finding itself is tested in test_noise.py
def test_wrong_labels_are_listed_for_a_person(trainwise: Terminal, tmp_path: Path) -> None:
    """`check` writes the doubtful labels with what they might be, and counts them on the card."""
    code, out, _ = trainwise("datasets", "check", "sample-tickets", "--out", "doubts.csv")
    assert code == 0
    assert "of 658 labels look wrong" in out
    with (tmp_path / "doubts.csv").open(encoding="utf-8-sig") as stream:
        listing = list(csv.DictReader(stream))
    assert len(listing) > 3
    assert all(row["given"] != row["suggested"] for row in listing)
    assert f"Labels: {len(listing)} of 658 look wrong" in trainwise("datasets", "show", "sample-tickets")[1]
