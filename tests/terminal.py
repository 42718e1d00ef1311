"""The command `trainwise` as a person runs it: a process of its own, its words and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
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


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """The one error message of a command that said no, without a traceback."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())
