"""The demo on a machine that has no time for it: twenty processes burn the CPU from its first second to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cpu_load import burning

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(3 * 3600)
def test_the_demo_ends_well_at_a_load_of_twenty(tmp_path: Path) -> None:
    """Started as `make demo` starts it, without a terminal: it comes to the tried ticket and exits 0, however long it takes."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("TRAINWISE_", "SLACK_", "OPENAI_"))}
    env = {**base, "TRAINWISE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with burning(20):
        result = subprocess.run(
            [sys.executable, "-m", "bot.cli", "demo"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    text = " ".join(result.stdout.split())
    places = [text.index(step) for step in ("Prompt first", "now rests on these figures", "After: tuned")]
    assert places == sorted(places)
