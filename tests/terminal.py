"""The command `trainwise` as a person runs it: a process of its own, its words and its exit code."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "HF_TOKEN_FILE")


def trainwise(home: Path, env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`trainwise WORDS` in `home`, with nothing of this machine's own accounts."""
    base = {name: value for name, value in os.environ.items() if name not in OTHERS}
    text = {"TRAINWISE_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "bot.cli", *words],
        env={**base, **text, **env},
        capture_output=True,
        text=True,
        timeout=1500,
        cwd=home,
    )


WARM = multiprocessing.get_context("forkserver")
"""Starts each command from a process that has imported the terminal's code already: many starts cost one."""
WARM.set_forkserver_preload(
    [
        "bot.cli.app",
        "bot.wiring",
        "bot.factories",
        "finetune.spec",
        "finetune.data.store",
        "rag.index",
        "chromadb",
    ]
)


def warm_trainwise(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`trainwise WORDS` with exactly this environment, in a process of its own that need not import anything anew."""
    with tempfile.TemporaryDirectory() as folder:
        process = WARM.Process(target=_run_here, args=(list(words), dict(env), folder))  # type: ignore[attr-defined]
        process.start()
        process.join(1500)
        out, err = (Path(folder, name).read_text("utf-8") for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _run_here(arguments: list[str], env: dict[str, str], folder: str) -> None:
    """The command in this process, its output in files of `folder`; exits with the command's code."""
    from bot.cli import console, main

    os.environ.clear()
    os.environ.update(env)
    console.console.width = int(env["COLUMNS"])  # it took its width when it was first imported
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder, name), os.O_CREAT | os.O_WRONLY), number)
    sys.argv = ["trainwise", *arguments]
    main()


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """The one error message of a command that said no, without a traceback."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())
