"""What goes wrong at Slack's doors ends in a sentence for the person: which field or line, and what to do."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import ROOT, LocalStack, environment
from bot.playground import Person
from bot.slack.files import BadFile, downloader
from tests.integration.conftest import (
    CHANNEL,
    DATASET,
    MENTION,
    add_dataset,
    answer,
    appears,
    few_tickets,
    offer_file,
    private_reply,
    text_of,
)

pytestmark = pytest.mark.integration
GOOD = few_tickets(30)
FIRST_QUEUE = GOOD.splitlines(True)[1].rpartition(b",")[2]


def test_an_empty_question_gets_an_example(maya: Person) -> None:
    """In the channel for the asker alone, and in the direct conversation."""
    assert "for example" in private_reply(maya, lambda: maya.say(CHANNEL, f"{MENTION}  "))


def test_an_endless_question_is_named_with_both_numbers(maya: Person) -> None:
    """40,000 characters by mention, by command and by direct message; the bot goes on answering."""
    endless = "why? " * 7_990
    for act in (
        lambda: maya.say(CHANNEL, f"{MENTION} {endless}"),
        lambda: maya.command("/should-i-train", endless, CHANNEL),
    ):
        text = private_reply(maya, act)
        assert "39,9" in text
        assert "12,000" in text
    assert "12,000" in private_reply(maya, lambda: maya.say("@trainwise", endless), "@trainwise")
    question = maya.say(CHANNEL, f"{MENTION} our help center changes weekly, fine-tune on it?")
    assert answer(maya, question["ts"])


BAD_FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty.csv": (b"", ("empty.csv", "empty")),
    "blank.csv": (b"\n\n  \n", ("blank.csv",)),
    "header-only.csv": (b"text,label\n", ("header-only.csv", "no rows")),
    "no-header.csv": (GOOD.split(b"\n", 1)[1], ("line 1", "no header", "names the columns")),
    "one-class.csv": (
        b"".join(line for line in GOOD.splitlines(True) if line.endswith((b"label\r\n", FIRST_QUEUE))),
        ("one class only", "label"),
    ),
    "three-rows.csv": (b"".join(GOOD.splitlines(True)[:4]), ("3 usable rows", "10")),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, ("picture.csv",)),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_dataset_is_refused_by_name_and_line(maya: Person, name: str) -> None:
    """Uploaded through the form; nothing is added under the name."""
    content, parts = BAD_FILES[name]
    form = offer_file(maya, name, content or b" ")
    if form["callback_id"] == "dataset_columns":  # the head was fine
        text = private_reply(maya, lambda: maya.submit(form))
    else:
        text = text_of(form)
        assert "Nothing was added" in text
        maya.close(form)
    for part in parts:
        assert part in text
    listing = private_reply(maya, lambda: maya.command("/datasets", "", CHANNEL))
    assert name.removesuffix(".csv") not in listing


def test_columns_that_cannot_be_guessed_are_asked_for(maya: Person) -> None:
    """A field left empty, or a column taken twice, is named on the form; nothing is added before it fits."""
    days = b"".join(b"2026-01-0%d,%d\n" % (n, n * 7) for n in range(1, 10)) * 3
    form = offer_file(maya, "wrong-columns.csv", b"when,amount\n" + days)
    assert set(maya.submit(form)["errors"]) == {"text"}
    amount = {"text": "c1", "label": "none", "answer": "none", "customer": "none", "created_at": "none"}
    assert "queue" in maya.submit(form, amount)["errors"]["label"]
    assert "already taken" in maya.submit(form, amount | {"label": "c1"})["errors"]["label"]
    assert "one thing" in maya.submit(form, amount | {"label": "c0", "answer": "c0"})["errors"]["answer"]
    maya.close(form)
    assert "wrong-columns" not in private_reply(maya, lambda: maya.command("/datasets", "", CHANNEL))


def test_mixed_encodings_and_a_nul_byte_cost_their_lines_only(maya: Person) -> None:
    """The good rows become a dataset; the card counts what was left out or repaired."""
    content = GOOD + "Die Rückgabe nach Größe klappt nicht mehr,".encode("cp1252") + FIRST_QUEUE
    content += b"the login\x00 page shows nothing at all," + FIRST_QUEUE
    form = offer_file(maya, "mixed.csv", content)
    card = text_of(appears(maya, lambda: maya.submit(form), "added *mixed*"))
    assert "31 triage tickets" in card
    assert "1 damaged" in card
    assert "1 other encodings" in card
    message = maya.wait_message("@trainwise", lambda m: "mixed.problems.csv" in str(m.get("files")))
    assert b"left out" in maya.file(message["files"][0]["id"])
    assert "*Queues*" in private_reply(maya, lambda: maya.command("/datasets", "mixed", CHANNEL))


def test_a_gigabyte_is_refused_before_a_byte_is_fetched(stack: LocalStack, maya: Person) -> None:
    """Slack's own figure decides; the sentence has both sizes and another way."""

    def gigabyte(file: str) -> None:
        stack.workspace.workspace.files[file]["size"] = 1_000_000_000

    form = offer_file(maya, "huge.csv", GOOD, gigabyte)
    text = text_of(form)
    maya.close(form)
    assert "1,000 MB" in text
    assert "200 MB" in text
    assert "trainwise datasets add" in text


def test_a_download_that_grows_past_the_limit_is_cut_off(
    stack: LocalStack, maya: Person, tmp_path: Path
) -> None:
    """Whatever size was declared, no more than the limit is written."""
    url = maya.upload(None, "long.csv", GOOD * 500)["file"]["url_private_download"]
    host = stack.url.removeprefix("http://")
    fetch = downloader(lambda: stack.workspace.bot_token, frozenset({host}), most=100_000)
    with pytest.raises(BadFile, match="is the most"):
        fetch(url, tmp_path / "long.csv")
    assert (tmp_path / "long.csv").stat().st_size <= 100_000
    with pytest.raises(BadFile, match="not kept by Slack"):
        fetch("http://example.org/long.csv", tmp_path / "long.csv")


@pytest.mark.parametrize(
    ("values", "field", "part"),
    [
        ({"epochs": "-2"}, "epochs", "whole number from 1 to 100"),
        ({"epochs": "0"}, "epochs", "whole number from 1 to 100"),
        ({"budget_usd": "lots"}, "budget_usd", "number"),
        ({"budget_usd": "-1"}, "budget_usd", "from 0.01"),
        ({"base_model": "gpt-17"}, "base_model", "not a model we know"),
        ({"hub_model": "gpt-17"}, "hub_model", "not a model we know"),
        ({"method": "magic"}, "method", "not known"),
        ({"dataset": DATASET, "task": "reply"}, "dataset", "triage"),
    ],
)
def test_a_wrong_field_of_the_form_is_named_under_it(
    maya: Person, values: dict[str, str], field: str, part: str
) -> None:
    """Typed or forged (an option that the form never offered): the form stays open, nothing is launched."""
    maya.command("/finetune", "", CHANNEL)
    first = maya.wait_view()
    maya.use(first, "dataset", DATASET)  # other tests may have added one that stands before it
    view = maya.wait_view()
    form = {
        name: {"type": "static_select", "selected_option": {"value": value}}
        if name in ("base_model", "method", "task")
        else value
        for name, value in values.items()
    }
    response = maya.submit(view, form)
    assert part in response["errors"][field]
    maya.close(view)


def test_a_dataset_that_went_meanwhile_is_named_on_its_field(
    stack: LocalStack, maya: Person, ravi: Person
) -> None:
    """Removed by its owner while another has the form open."""
    add_dataset(stack.home / "datasets", "a-short-life")
    maya.command("/finetune", "", CHANNEL)
    view = maya.wait_view()
    before = {m["ts"] for m in ravi.messages(CHANNEL)}
    assert "brought back for a day" in private_reply(
        ravi, lambda: ravi.command("/datasets", "remove a-short-life", CHANNEL)
    )
    (question,) = [m for m in ravi.messages(CHANNEL) if m["ts"] not in before and "Remove" in text_of(m)]
    ravi.click(CHANNEL, question["ts"], "dataset_remove")
    ravi.wait_message(CHANNEL, lambda m: m["ts"] == question["ts"] and "is removed" in text_of(m))
    response = maya.submit(view, {"dataset": "a-short-life", "method": "linear"})
    assert "a-short-life" in response["errors"]["dataset"]
    assert DATASET in response["errors"]["dataset"]
    maya.close(view)
    ravi.click(CHANNEL, question["ts"], "dataset_undo")
    ravi.wait_message(CHANNEL, lambda m: m["ts"] == question["ts"] and "is back" in text_of(m))
    assert "a-short-life" in private_reply(maya, lambda: maya.command("/datasets", "a-short-life", CHANNEL))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (f"{DATASET} epochs=-2", ("epochs", "from 1 to 100")),
        (f"{DATASET} model=gpt-17", ("base_model", "not a model we know")),
        (f"{DATASET} budget=lots", ("budget_usd", "not a number")),
        (f"{DATASET} colour=red", ("colour", "no such setting")),
        ("nowhere linear", ("dataset", DATASET)),
        (f"{DATASET} linear please", ("please", "key=value")),
    ],
)
def test_a_wrong_word_of_the_command_is_named(maya: Person, words: str, parts: tuple[str, ...]) -> None:
    """The same sentences as on the form, for the person alone."""
    text = private_reply(maya, lambda: maya.command("/finetune", words, CHANNEL))
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("command", "words", "part"),
    [
        ("/jobs", "open nosuchjo", "no job nosuchjo"),
        ("/jobs", "cancel", "Which job"),
        ("/jobs", "explode abc", "I do not know"),
        ("/datasets", "nowhere", "no dataset nowhere"),
        ("/datasets", "show", "/datasets show NAME"),
        ("/datasets", "remove sample-tickets", "Only the person who added"),
        ("/docs", "add not-a-link", "https://"),
    ],
)
def test_a_command_that_makes_no_sense_says_what_does(
    maya: Person, command: str, words: str, part: str
) -> None:
    """Unknown ids, missing ids, unknown verbs."""
    assert part in private_reply(maya, lambda: maya.command(command, words, CHANNEL))


@pytest.mark.parametrize(
    ("token", "variable", "advice"),
    [("bot", "SLACK_BOT_TOKEN", "Install App"), ("app", "SLACK_APP_TOKEN", "connections:write")],
)
def test_a_revoked_token_ends_the_start_with_what_to_do(
    stack: LocalStack, tmp_path: Path, token: str, variable: str, advice: str
) -> None:
    """`trainwise up` exits with 2 and names the variable, the reason and the page."""
    wrong = {"bot": {"SLACK_BOT_TOKEN": "xoxb-gone"}, "app": {"SLACK_APP_TOKEN": "xapp-gone"}}[token]
    for folder in ("cache", "index"):
        shutil.copytree(stack.home / folder, tmp_path / folder)
    error = up(stack, tmp_path, wrong)
    assert error.returncode == 2
    assert variable in error.stderr
    assert "invalid_auth" in error.stderr
    assert advice in " ".join(error.stderr.split())
    assert "Traceback" not in error.stderr


def test_a_slack_out_of_reach_ends_the_start_with_what_to_do(stack: LocalStack, tmp_path: Path) -> None:
    """No traceback, but the address and what to check."""
    error = up(stack, tmp_path, {"SLACK_API_URL": "http://127.0.0.1:9/api/"})
    assert error.returncode == 2
    assert "127.0.0.1:9" in error.stderr
    assert "Check the network" in " ".join(error.stderr.split())
    assert "Traceback" not in error.stderr


def test_a_missing_token_ends_the_start_with_what_to_do(stack: LocalStack, tmp_path: Path) -> None:
    """All missing ones at once."""
    error = up(stack, tmp_path, {"SLACK_BOT_TOKEN": "", "SLACK_APP_TOKEN": ""})
    assert error.returncode == 2
    assert "SLACK_BOT_TOKEN" in error.stderr
    assert "SLACK_APP_TOKEN" in error.stderr


def up(stack: LocalStack, home: Path, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`trainwise up` until it ends by itself."""
    env = {**environment(home, stack.workspace, stack.redis.url, None), **more}
    argv = [sys.executable, "-m", "bot.cli", "up"]
    return subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A disk of one megabyte, filled to the last; skips where nothing can be mounted."""
    place = Path(tempfile.mkdtemp(prefix="twfull"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("no right to mount a small tmpfs here; test_a_ledger_that_cannot_grow runs everywhere")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
        place.rmdir()


def fill(place: Path) -> None:
    """Uses up what is left of the disk."""
    with contextlib.suppress(OSError), (place / "ballast").open("wb", buffering=0) as out:
        while True:
            out.write(b"\0" * 4096)


def test_a_full_disk_keeps_the_old_data_and_says_what_to_do(full_disk: Path) -> None:
    """The dataset store refuses with a sentence, the ledger loses nothing; both work again with space."""
    from finetune.data.store import DatasetStore
    from finetune.data.ticket import DatasetError
    from worker.ledger.ledger import Ledger

    store, ledger = DatasetStore(str(full_disk / "datasets")), Ledger(str(full_disk / "ledger.db"))
    file = full_disk / "good.csv"
    file.write_bytes(GOOD)
    rest = submit(ledger, "first")
    fill(full_disk)
    with pytest.raises(DatasetError, match="Free some disk space"):
        store.add(file, "good", "U1", frozenset({"workspace"}), "ours")
    text = refused_by(lambda: [submit(ledger, f"k{n}") for n in range(200)])
    assert "disk is full" in text
    (full_disk / "ballast").unlink()
    assert store.add(file, "good", "U1", frozenset({"workspace"}), "ours").rows == 30
    assert submit(ledger, "later").id != rest.id
    assert ledger.job(rest.id).state == "queued"
    ledger.close()


def test_a_ledger_that_cannot_grow_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    """The same by a limit on file sizes, in a process of its own, wherever nothing can be mounted."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.integration.test_bad_input import refused_by, submit\n"
        "from worker.ledger.ledger import Ledger\n"
        "ledger = Ledger(sys.argv[1]); kept = submit(ledger, 'first')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "print(refused_by(lambda: [submit(ledger, f'k{n}') for n in range(500)]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print(ledger.job(kept.id).state, submit(ledger, 'later').state)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "ledger.db")]
    error = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert "queued queued" in error.stdout, error.stderr
    assert "disk" in error.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def submit(ledger: Any, key: str) -> Any:
    """A job whose recipe fills a page of the database."""
    from worker.jobs.records import JobRequest

    spec = {"note": "x" * 4000}
    return ledger.submit(JobRequest("finetune", spec, "good", "U1", "maya", "T1", "C1", None, key))


def refused_by(act: Callable[[], Any]) -> str:
    """What the person would be told about the failure of `act`."""
    from bot.slack.failures import error_text

    try:
        act()
    except Exception as error:  # what the listeners' edge would catch
        return error_text(error)
    return "nothing failed"
