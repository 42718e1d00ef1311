"""A real worker whose training counts: seconds instead of hours, and a event_log outside of everything under test.

The event_log (one line per start, step and end, appended by the training process itself) is how a run that was
lost or came twice is seen, whatever ledger and Slack say. Used by benchmarks only: `python counting_worker.py HOME URL
NAME [SECONDS PER STEP]`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from fault_injection.event_log import write_event
from finetune.errors import Stopped
from worker.kinds import finetune
from worker.kinds.job_kind import Run
from worker.runtime.attempt import Work
from worker.runtime.options import WorkerOptions
from worker.runtime.server import serve

STEPS_PER_EPOCH = 10
STEP_S = 0.05


def counting(event_log: Path, step_s: float = STEP_S) -> Run:
    """The kind `finetune`, replaced by counting to ten per epoch with a checkpoint after each step."""

    def count(work: Work) -> dict:
        job, attempt = work.envelope.job, work.envelope.attempt
        steps = int(work.envelope.spec["epochs"]) * STEPS_PER_EPOCH
        checkpoint = work.folder / "count"
        start = int(checkpoint.read_text()) if checkpoint.exists() else 0
        rank = subprocess.Popen(["sleep", "600"], start_new_session=True)  # as torchrun's ranks are
        write_event(event_log, "start", job, attempt, start, rank.pid)
        work.emit({"kind": "phase", "phase": "training"})
        for step in range(start + 1, steps + 1):
            if reason := work.should_stop():
                rank.kill()
                raise Stopped(reason)
            time.sleep(step_s)
            keep(checkpoint, str(step))
            write_event(event_log, "step", job, attempt, step)
            work.emit({"kind": "step", "step": step, "steps": steps, "loss": 1 / step, "eta_s": 0.1})
        rank.kill()
        rank.wait()
        write_event(event_log, "end", job, attempt, steps)
        return {"kind": "finetune", "headline": f"counted to {steps}", "worth_it": "unclear"}

    return count


def keep(path: Path, text: str) -> None:
    """A checkpoint that is whole or not there; a full disk costs it, not the run."""
    try:
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(path)
    except OSError:
        time.sleep(0.2)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    step_s = float((sys.argv[4:] or [STEP_S])[0])
    options = WorkerOptions(
        redis_url=sys.argv[2],
        name=sys.argv[3],
        keys=home / "keys",
        spool=home / "spool",
        artifacts=home / "artifacts",
        datasets_url=str(home / "datasets"),
        kinds={"finetune": replace(finetune.KIND, run=counting(home / "events.pipe", step_s))},
    )
    serve(options)
