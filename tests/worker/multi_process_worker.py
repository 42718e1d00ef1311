"""A real worker process that fine-tunes in two processes on the CPU (for tests)."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.kinds import finetune
from worker.runtime.options import WorkerOptions
from worker.runtime.server import serve

if __name__ == "__main__":
    home = Path(sys.argv[1])
    options = WorkerOptions(
        redis_url=sys.argv[2],
        name=sys.argv[3],
        keys=home / "keys",
        spool=home / "spool",
        artifacts=home / "artifacts",
        datasets_url=str(home / "datasets"),
        kinds={"finetune": finetune.KIND},
        gpus="cpu",
        ranks=2,
    )
    serve(options)
