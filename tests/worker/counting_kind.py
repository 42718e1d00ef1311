"""A kind for several processes that counts instead of training, and says which processes it runs in (for tests)."""

from __future__ import annotations

import os
import time
from pathlib import Path

from finetune.errors import Stopped
from worker.runtime.attempt import Work


def count(work: Work) -> dict:
    """Counts to spec["steps"]; each rank leaves its pid; the last rank may die at spec["dies_at"]."""
    spec, rank = work.envelope.spec, int(os.environ["RANK"])
    (Path(spec["pids"]) / str(rank)).write_text(str(os.getpid()))
    work.emit({"kind": "phase", "phase": "training"})
    for step in range(1, spec["steps"] + 1):
        if reason := work.should_stop():
            raise Stopped(reason)
        if rank == 1 and step == spec.get("dies_at"):
            while not (Path(spec["pids"]) / "0").exists():  # both are up
                time.sleep(0.01)
            os.kill(os.getpid(), 9)
        time.sleep(0.02)
        work.emit({"kind": "step", "step": step, "steps": spec["steps"]})
    work.emit({"kind": "phase", "phase": "evaluating"})
    assert rank == 0, "only the first rank evaluates"
    return {"headline": "counted", "shared": (work.folder / "checkpoints").is_dir()}
