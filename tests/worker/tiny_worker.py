"""A real worker process that also knows the kind "tiny": counts steps instead of training (for tests)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from finetune.errors import FinetuneError, Stopped
from worker.kinds.job_kind import JobKind
from worker.logs import start_logging
from worker.runtime.attempt import Work
from worker.runtime.options import WorkerOptions
from worker.runtime.server import serve

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def tiny(work: Work) -> dict:
    """Counts to spec["steps"], `pause_s` apart, remembering the count in its folder; may fail on request."""
    spec = work.envelope.spec
    path = work.folder / "count"
    start = int(path.read_text()) if path.exists() else 0
    if spec.get("rank"):  # a child in a session of its own, as torchrun's ranks are
        rank = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        (work.folder / "rank.pid").write_text(str(rank.pid))
        if spec.get("rank_file"):
            Path(spec["rank_file"]).write_text(json.dumps([os.getpid(), rank.pid]))
    work.emit({"kind": "phase", "phase": "training"})
    if spec.get("fail"):
        raise FinetuneError("The dataset has one class only.")
    if spec.get("crash") and start == 0:
        path.write_text("1")
        raise RuntimeError("boom")
    for step in range(start + 1, spec["steps"] + 1):
        reason = work.should_stop()
        if reason and not spec.get("deaf"):
            raise Stopped(reason)
        time.sleep(spec.get("pause_s", 0.01))
        (work.folder / "draft").write_text(str(step))
        (work.folder / "draft").replace(path)  # whole or not at all: it may be killed here
        work.emit({"kind": "step", "step": step, "steps": spec["steps"], "loss": 1 / step, "eta_s": 0.0})
    (work.folder / "loss.png").write_bytes(PNG)
    return {"kind": "tiny", "headline": "counted", "started_at_step": start, "plots": [{"file": "loss.png"}]}


if __name__ == "__main__":
    home = Path(sys.argv[1])
    start_logging("info", form=sys.argv[4])
    options = WorkerOptions(
        redis_url=sys.argv[2],
        name=sys.argv[3],
        keys=home / "keys",
        spool=home / "spool",
        artifacts=home / "artifacts",
        datasets_url=str(home / "datasets"),
        kinds={"tiny": JobKind("tiny", "Tiny", tiny)},
        price_per_hour=float(os.environ.get("TINY_PRICE", "0")),
    )
    serve(options)
