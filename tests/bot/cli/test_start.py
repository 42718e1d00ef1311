"""The first word of every command comes at once: what a command needs is loaded when it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.terminal import ROOT

HEAVY = {
    "numpy",
    "sqlalchemy",
    "slack_sdk",
    "chromadb",
    "openai",
    "torch",
    "pyarrow",
    "ftfy",
    "bot.settings",
    "rich.markdown",
}
PROBE = f"""
import sys
from typer.testing import CliRunner
from bot.cli import app
app.register()
for words in sys.argv[1:]:
    outcome = CliRunner().invoke(app.app, [*words.split(), "--help"])
    assert outcome.exit_code == 0, outcome.output
print(sorted({HEAVY} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "words", [("",), ("ask", "demo", "doctor", "datasets add", "finetune", "measure", "index add")]
)
def test_help_loads_no_library_that_the_help_does_not_need(words: tuple[str, ...]) -> None:
    """`--help` of the program and of its commands; seconds of CPU are in benchmarks/first_run.py."""
    command = [sys.executable, "-c", PROBE, *words]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=300)
    assert outcome.stdout.strip() == "[]", outcome.stdout + outcome.stderr
