"""Bad input at the command line: one clear message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal import warm_trainwise

pytestmark = pytest.mark.integration

CASES = {
    "empty question": (["ask", ""], "Ask me in a sentence"),
    "blank question": (["ask", " \n "], "Ask me in a sentence"),
    "endless question": (["ask", "why train? " * 4000], "44,000 characters"),
    "unknown dataset": (["finetune", "nope"], "no dataset nope"),
    "unknown method": (["finetune", "sample-tickets", "--method", "banana"], "Choose one of: lora"),
    "negative epochs": (["finetune", "sample-tickets", "--epochs", "-3"], "epochs"),
    "setting without a value": (["finetune", "--set", "max_length"], "--set max_length=512"),
    "unknown setting": (["finetune", "--set", "colour=red"], "colour: There is no such setting"),
    "setting out of range": (["finetune", "--set", "max-length=1"], "max_length: Give a whole number from 8"),
    "no such platform": (["finetune", "--where", "moon/big", "--budget-usd", "5"], "No platform `moon`"),
    "an order of nobody": (
        ["remote", "/nowhere/tw-a-b-1", "--bot-key", "x", "--run-key", "ab" * 32],
        "no Trainwise public key",
    ),
    "a run without its key": (["remote", "/nowhere/tw-a-b-1", "--bot-key", "x"], "TRAINWISE_RUN_KEY"),
    "model of no job": (["try", "zzz", "hello"], "`trainwise jobs list` shows"),
    "serving no job": (["serve", "zzz"], "no job zzz"),
    "serving with no error rate": (["serve", "zzz", "--error-rate", "5"], "0.1 for 10%"),
    "versions of nothing": (["versions", "zzz"], "Nothing is served as `zzz`"),
    "unknown job": (["jobs", "show", "zzz"], "no job zzz"),
    "no file of questions": (["eval", "advice", "/nope.jsonl"], "no file /nope.jsonl"),
    "no Slack tokens": (["up"], "SLACK_BOT_TOKEN: is missing. Copy the xoxb-"),
    "no queue": (["worker"], "TRAINWISE_REDIS_URL"),
}


def environment(home: Path) -> dict[str, str]:
    """A home of its own and no settings from outside."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "TRAINWISE_HOME": str(home), "COLUMNS": "200"}


def trainwise(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    command = [sys.executable, "-m", "bot.cli", *arguments]
    return subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_message(name: str, tmp_path: Path) -> None:
    """Exit code 2, the field and the way out on stderr, no traceback."""
    arguments, text = CASES[name]
    result = warm_trainwise(environment(tmp_path), *arguments)
    assert result.returncode == 2, result.stdout + result.stderr
    assert text in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 100 KiB; needs root and mount, as CI has them."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder], check=False)
    if mount.returncode:
        pytest.skip("this container may not mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    "arguments",
    [["ask", "should we train?"], ["datasets", "list"], ["jobs", "list"], ["finetune", "sample-tickets"]],
)
def test_a_full_disk_is_named(arguments: list[str], tiny_disk: Path) -> None:
    """Whichever file is written first, the message names the full disk, and no partial file stays."""
    result = trainwise(tiny_disk / "home", *arguments)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "space" in result.stderr or "disk is not full" in result.stderr
    assert "Traceback" not in result.stderr
