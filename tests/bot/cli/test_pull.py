"""`trainwise datasets pull` as a process of its own, killed on the way; the help desk is on loopback and never run live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.finetune.sources.jira_server import JiraServer

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


def test_a_killed_command_goes_on_where_it_was_and_two_do_not_pull_at_once(tmp_path: Path) -> None:
    """SIGKILL in the middle: the same line again reads the rest at once. While one is at it another is refused."""
    desk = JiraServer()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TRAINWISE_HOME": str(tmp_path / "home"), **desk.settings()}
    env["COLUMNS"] = "200"

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bot.cli", "datasets", "pull", "jira", "SUP", *words]
        return subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    second: list[str] = []

    def interfere(number: int) -> None:
        if number == 4:
            second.append(start().communicate()[0])
            os.kill(first.pid, signal.SIGKILL)

    desk.before = interfere
    first = start("--label-column", "Request Type")
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert f"process {first.pid}" in second[0]
    desk.before = lambda number: None
    out = start("--label-column", "Request Type").communicate()[0]
    assert "Version 1 has 24 tickets" in out
    assert desk.rows <= 24 + desk.page
    out = start().communicate()[0]  # says nothing of the field: it stays
    assert "Nothing new from Jira SUP" in out
    desk.close()
