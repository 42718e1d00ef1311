"""A kind for several machines that counts instead of training, with checkpoints, and leaves a trace of every step (for drills)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from finetune.artifacts import write_whole
from finetune.errors import Stopped
from worker.runtime.attempt import Work

SAVE_EVERY = 10


def count(work: Work) -> dict[str, Any]:
    """Counts to spec["steps"] in step with the other ranks; the first rank saves every ten steps and traces each."""
    import torch
    import torch.distributed as dist

    spec, rank = work.envelope.spec, int(os.environ["RANK"])
    saved = work.folder / "checkpoints" / "step"
    begin = int(saved.read_text()) if saved.is_file() else 0
    work.emit({"kind": "phase", "phase": "training"})
    for step in range(begin + 1, int(spec["steps"]) + 1):
        total = torch.ones(1)
        dist.all_reduce(total)
        reason = [work.should_stop() if rank == 0 else None]
        dist.broadcast_object_list(reason, src=0)
        if reason[0]:
            raise Stopped(reason[0])
        if rank == 0:
            trace(Path(spec["trace"]), work.envelope.fence, step, int(total.item()))
            if step % SAVE_EVERY == 0:
                write_whole(saved, str(step))
        time.sleep(0.2)
        work.emit({"kind": "step", "step": step, "steps": int(spec["steps"]), "loss": 1.0 / step})
    work.emit({"kind": "phase", "phase": "evaluating"})
    model = work.folder / "model"
    model.mkdir(exist_ok=True)
    (model / "model.safetensors").write_bytes(b"counted")
    return {"kind": "finetune", "headline": "counted", "notes": []}


def count_or_train(work: Work) -> dict[str, Any]:
    """Counts where the recipe says where to trace it, and else fine-tunes for real."""
    from worker.kinds.finetune import KIND

    return count(work) if "trace" in work.envelope.spec else KIND.run(work)


def trace(path: Path, tag: str, step: int, ranks: int) -> None:
    """One line: which submission did which step when, with how many ranks."""
    line = json.dumps({"tag": tag, "step": step, "ranks": ranks, "pid": os.getpid(), "at": time.time()})
    with path.open("a") as stream:
        stream.write(line + "\n")


def main() -> None:
    """`trainwise` with this kind in the place of a fine-tune."""
    from bot.cli import main as trainwise
    from worker.kinds.job_kind import JobKind
    from worker.runtime import remote

    remote.KINDS = {"finetune": JobKind("finetune", "Counting", count_or_train, over_gpus=True)}  # type: ignore[assignment]
    trainwise()


if __name__ == "__main__":
    import tests.platforms.ray_kind as own  # so that ranks on other machines import it by its name

    own.main()
