"""One rank of a distributed run, started by torchrun or by Ray; it reads its orders from the run's folder.

The first rank reports, handles the stop flag, evaluates and writes the outcome. The others run the same code until
training ends, in their own folders with shared checkpoints, and report nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.artifacts import write_whole
from worker.kinds.job_kind import Run
from worker.runtime.attempt import Work, run_attempt
from worker.runtime.processes import die_with_parent
from worker.transport.signing import Envelope

PHASES_AFTER_TRAINING = ("evaluating", "reporting")


class RankEnd(BaseException):
    """This rank has finished; not an Exception, so that no handler treats it as a failure."""


def main(place: Path) -> int:
    """Runs the rank and returns the exit status: 0 also for a first rank that wrote a failure."""
    die_with_parent(os.getppid())
    orders, rank = json.loads((place / "orders.json").read_text()), int(os.environ["RANK"])
    if devices := orders["devices"]:  # each sees its own GPU only, as the first and only one
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[int(os.environ["LOCAL_RANK"])]
        os.environ["LOCAL_RANK"] = "0"
    run_rank(orders, rank, place)
    return 0


def run_rank(orders: dict[str, Any], rank: int, place: Path) -> None:
    """Runs this rank; `place` holds the orders, and the first rank's events and outcome."""
    module, name = orders["run"]
    run: Run = getattr(importlib.import_module(module), name)
    if rank == 0:
        run_first_rank(run, orders, place)
        return
    folder = place / f"rank-{rank}"
    folder.mkdir()
    (folder / "checkpoints").symlink_to(Path(orders["folder"]) / "checkpoints")
    try:
        run(work_for_rank(orders, folder, leave_after_training, lambda: None))
    except RankEnd:
        return


def run_first_rank(run: Run, orders: dict[str, Any], place: Path) -> None:
    """Runs the attempt and writes its outcome atomically."""
    pipe = os.open(place / "events", os.O_WRONLY | os.O_APPEND)

    def emit(event: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(event).encode() + b"\n")

    def stop_reason() -> str | None:
        stop = place / "stop"
        return stop.read_text() if stop.exists() else None

    work = work_for_rank(orders, Path(orders["folder"]), emit, stop_reason)
    end, data = run_attempt(run, work)
    data.pop("plots", None)  # the job process collects them from the folder
    write_whole(place / "end.json", json.dumps({"kind": end, "data": data}))


def work_for_rank(
    orders: dict[str, Any],
    folder: Path,
    emit: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], str | None],
) -> Work:
    """The orders as a kind's `Work`."""
    envelope = Envelope(**orders["envelope"])
    price, prices = orders["price_per_hour"], orders["prices"]
    work = Work(envelope, folder, orders["datasets_url"], emit, should_stop, price, prices)
    return replace(work, choosing=orders.get("choosing"))


def leave_after_training(event: dict[str, Any]) -> None:
    """Ends this rank after training; it gets a stop through the first rank (finetune.training.trainer)."""
    if event.get("kind") == "phase" and event.get("phase") in PHASES_AFTER_TRAINING:
        raise RankEnd


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
