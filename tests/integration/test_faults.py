"""The short form of the fault matrix: real processes, eight faults, nothing lost and nothing doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration


def test_eight_faults_lose_and_double_nothing(embed_cache: Path) -> None:
    """benchmarks/faults.py --quick, as the README tells people to run it; the whole matrix is in docs/reliability.md."""
    command = [sys.executable, "benchmarks/faults.py", "--quick", "--no-baseline", "--json"]
    command += ["--cache", str(embed_cache)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500)
    assert result.returncode == 0, result.stdout + result.stderr
    match = json.loads(result.stdout.splitlines()[-1])
    assert match["runs"] == 8
    assert match["jobs"] >= 8
    for what in ("lost", "doubled", "reports_missing", "reports_doubled", "cards_wrong"):
        assert match[what] == 0, result.stdout
    assert match["recovery_p95"] <= 20
    assert match["cancel_p95"] is None or match["cancel_p95"] <= 5
