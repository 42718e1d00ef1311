"""Commands start quickly: a command imports its libraries when it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

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


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        (["ask", "should we train?"], "Reading the question"),
        (["doctor"], "Looking at this machine"),
        (["try", "nowhere", "a ticket"], "Loading the model"),
    ],
)
def test_a_person_at_a_terminal_sees_a_sign_of_life_at_once(
    tmp_path: Path, words: list[str], sign: str
) -> None:
    """What is being done stands there while libraries and models are loaded; it is ended as soon as it has been seen."""
    ours, theirs = os.openpty()
    env = {**os.environ, "TRAINWISE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    command = [sys.executable, "-m", "bot.cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=tmp_path, env=env)
    os.close(theirs)
    text = ""
    with suppress(OSError):  # the other end is closed when the process has ended
        while sign not in text and (chunk := os.read(ours, 4096)):
            text += chunk.decode(errors="replace")
    process.kill()
    process.wait()
    os.close(ours)
    assert sign in text
