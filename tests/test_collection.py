"""The unit layer begins within seconds: collecting it loads no training library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.test_house import ROOT


@pytest.mark.integration
def test_collecting_the_unit_tests_loads_no_training_library() -> None:
    """tests/conftest.py refuses it; the unit layer's collection ends well."""
    expression = "not integration and not slow and not live"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-p",
        "no:cacheprovider",
        "-m",
        expression,
    ]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    assert outcome.stdout.count("test_") > 800
