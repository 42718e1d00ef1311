"""Commands start quickly: a command imports its libraries when it runs."""

from __future__ import annotations

import os
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


PRODUCTS = """
import sys
from bot.cli.app import up
from bot.errors import BotError
try:
    up()  # it ends here: no Slack is configured
except BotError:
    pass
import numpy, threadpoolctl
print({library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"})
"""


def test_the_bot_computes_matrix_products_on_one_thread() -> None:
    """`trainwise up` limits numpy to the calling thread: spinning threads tripled the CPU of a question."""
    mine = ("SLACK", "NUM_THREADS")
    environment = {name: text for name, text in os.environ.items() if not any(m in name for m in mine)}
    command = [sys.executable, "-c", PRODUCTS]
    outcome = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=300
    )
    assert outcome.stdout.strip() == "{1}", outcome.stdout + outcome.stderr
