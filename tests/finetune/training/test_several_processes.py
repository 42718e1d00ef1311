"""Several processes train one model: torchrun with two on this CPU over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.training.checkpoints import newest_intact
from tests.finetune.tiny import save_causal

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
SCRIPT = "tests/finetune/training/two_processes.py"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def train(base: Path, folder: Path, processes: int, stop_at: int = 0) -> list[dict]:
    """What each process told."""
    folder.mkdir()
    launcher = TORCHRUN if processes > 1 else ()
    command = [sys.executable, *launcher, SCRIPT, str(base), str(folder), str(stop_at)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return [json.loads((folder / f"told-{rank}.json").read_text()) for rank in range(processes)]


@pytest.mark.slow
def test_two_processes_take_the_steps_that_one_would(tmp_path):
    """The same rows a step, halved between two: the loss curve is one process's, both end with equal weights."""
    base = save_causal(tmp_path / "base")
    (alone,) = train(base, tmp_path / "one", 1)
    first, second = train(base, tmp_path / "two", 2)
    assert first["loss"] == pytest.approx(alone["loss"], rel=1e-3)
    assert first["weights"] == second["weights"]
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-3)


@pytest.mark.slow
def test_a_stop_that_one_process_hears_ends_both_after_the_same_step(tmp_path):
    """Else the other would wait for gradients for ever; an intact checkpoint of that step is left."""
    report = train(save_causal(tmp_path / "base"), tmp_path / "cut", 2, stop_at=3)
    assert [one["stopped"] for one in report] == ["cancel", "cancel"]
    assert [one["steps"] for one in report] == [3, 3]
    newest, _ = newest_intact(tmp_path / "cut")
    assert newest is not None
    assert newest.name == "checkpoint-3"
