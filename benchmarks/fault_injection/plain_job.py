"""The same counting for plain RQ: what its workers import and run; the callback is its final report."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from fault_injection.event_log import write_event

STEP_S = 0.05


def count(event_log: str, job: str, steps: int) -> str:
    """Counts to `steps`; a run that is tried again begins anew, RQ keeps no checkpoint."""
    rank = subprocess.Popen(["sleep", "600"], start_new_session=True)
    write_event(Path(event_log), "start", job, os.getpid() % 10**6, 0, rank.pid)
    for step in range(1, steps + 1):
        time.sleep(STEP_S)
        write_event(Path(event_log), "step", job, os.getpid() % 10**6, step)
    rank.kill()
    rank.wait()
    write_event(Path(event_log), "end", job, os.getpid() % 10**6, steps)
    return f"counted to {steps}"


def report(job: Any, connection: Any, *result: Any) -> None:
    """Called by RQ at the end, well or badly."""
    write_event(Path(job.args[0]), "report", job.args[1], 0, 0)
