"""A real worker process that fine-tunes in two processes on the CPU (for tests)."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.kinds.finetune import finetune_kind
from worker.runtime.server import serve

if __name__ == "__main__":
    home, redis_url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    serve(
        redis_url,
        name,
        str(home / "artifacts"),
        str(home / "datasets"),
        keys_folder=home / "keys",
        spool=home / "spool",
        kinds={"finetune": finetune_kind},
        gpu_asked="cpu",
        ranks=2,
    )
