"""Time limits count this process's work: waiting and other people's load change no decision."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from finetune.device import work_seconds
from finetune.measurement.run import Budget
from tests.cpu_load import burning
from tests.finetune.measurement.measuring import CountingEmbedder, measurement_of, sample_rows, tickets


def test_waiting_is_no_work() -> None:
    """While this process sleeps the work clock stands still; while it multiplies it runs."""
    began = work_seconds()
    threading.Event().wait(0.5)
    wait = work_seconds() - began
    matrix = np.random.default_rng(0).normal(size=(400, 400))
    until = time.process_time() + 0.3
    while time.process_time() < until:
        matrix = matrix @ matrix
        matrix /= np.abs(matrix).max()
    assert wait < 0.2
    assert work_seconds() - began > wait


def test_a_budget_counts_from_its_clock_alone() -> None:
    """What is left is what is allowed, less the reserve, less what its clock says."""
    now = [100.0]
    budget = Budget(lambda: now[0], 60.0)
    assert budget.left == 50.0
    now[0] = 130.0
    assert budget.left == 20.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_load_changes_no_decision(tmp_path: Path) -> None:
    """The same request alone and beside burners on every core: same decision, same scores, same pilot."""
    rows = tickets(sample_rows()[:240])
    alone = measurement_of(rows, 0.9, tmp_path / "alone", CountingEmbedder())
    with burning(4):
        beside = measurement_of(rows, 0.9, tmp_path / "beside", CountingEmbedder())
    assert alone["decision"] == beside["decision"]
    assert [line["accuracy"] for line in alone["ladder"]] == [line["accuracy"] for line in beside["ladder"]]
    assert alone["tuned_pilot"]["rows"] == beside["tuned_pilot"]["rows"]
