"""One run in several processes of this machine, one per GPU, under torchrun; the job process watches them.

Each process runs the same kind on the same orders (worker/runtime/rank.py). The first one reports, handles the stop flag
and writes the outcome; the others only train. If a process dies, the attempt ends for all of them, and the next attempt
resumes from the last verified checkpoint. Does not cover several machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from finetune.artifacts import TRAINED, write_whole
from finetune.errors import FinetuneError, Stopped
from finetune.methods import METHODS
from finetune.progress import FINISH
from worker.errors import WorkerError
from worker.kinds.job_kind import JobKind, Run
from worker.runtime import processes
from worker.runtime.attempt import RunCrash, Work

LOOK_S = 0.05
LEAVE_S = 1.0


def over_ranks(kind: JobKind, ranks: int, devices: str = "") -> JobKind:
    """The kind in `ranks` processes, each on its own of `devices` ("0,1"; "": on the CPU).

    `kind.run` must be a function of a module, since each process imports it by name. Runs that do not train
    together (the method is not `distributed`, or only evaluation is left) stay in one process. Does not cover: a
    language model in the first rank, so prompts are scored only by runs in one process.
    """

    def run(work: Work) -> dict[str, Any]:
        if not is_distributed(work):
            return kind.run(work)
        with _place(work, kind.run, devices) as place:
            try:
                return _watch(work, place, _launch(work, place, ranks))
            finally:
                processes.end_attempt(work.envelope.rq_id, -1)

    return replace(kind, run=run)


def is_distributed(work: Work) -> bool:
    """Whether several processes train it: the method supports that, and training is not finished."""
    method = METHODS.get(str(work.envelope.spec.get("method")))
    is_alone = method is not None and not method.distributed
    return not is_alone and not (work.folder / TRAINED).is_file()


def rank_orders(work: Work, run: Run, devices: str = "") -> dict[str, Any]:
    """The orders for each process (worker/runtime/rank.py), as JSON."""
    return {
        "run": [run.__module__, run.__qualname__],
        "envelope": asdict(work.envelope),
        "folder": str(work.folder),
        "datasets_url": work.datasets_url,
        "price_per_hour": work.price_per_hour,
        "prices": dict(work.prices),
        "choosing": work.choosing,
        "devices": [device for device in devices.split(",") if device],
    }


def forward_stop(work: Work, place: Path, last_reason: str | None) -> str | None:
    """Forwards a new reason to stop to the first rank; returns the last reason."""
    if last_reason in (None, FINISH) and (reason := work.should_stop()) and reason != last_reason:
        write_whole(place / "stop", reason)
        return reason
    return last_reason


@contextlib.contextmanager
def _place(work: Work, run: Run, devices: str) -> Iterator[Path]:
    """Orders, the pipe of events, the stop flag, the outcome, the other ranks' folders; on this machine's own disk.

    Not in the attempt's folder: the next attempt begins with a copy of that, and a pipe cannot be copied.
    """
    place = Path(tempfile.mkdtemp(prefix=f"ranks-{work.envelope.rq_id}-"))
    (work.folder / "checkpoints").mkdir(exist_ok=True)
    os.mkfifo(place / "events", 0o600)
    (place / "orders.json").write_text(json.dumps(rank_orders(work, run, devices)))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _launch(work: Work, place: Path, ranks: int) -> subprocess.Popen[bytes]:
    """torchrun, without restarts of its own: a new attempt is the ledger's decision."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "0"]
    run += [
        "--nproc-per-node",
        str(ranks),
        "--monitor-interval",
        "0.1",
        "-m",
        "worker.runtime.rank",
        str(place),
    ]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, processes.MARK: work.envelope.rq_id, "PYTHONPATH": path}
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    return subprocess.Popen(run, env=environment, preexec_fn=_default_signals)


def _default_signals() -> None:
    """The job process ignores some signals; its ranks must not."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _watch(work: Work, place: Path, torchrun: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Waits for the first rank's report; raises Stopped, FinetuneError or RunCrash instead."""
    pipe, rest, last_reason = os.open(place / "events", os.O_RDWR | os.O_NONBLOCK), b"", None
    try:
        while True:
            over = torchrun.poll() is not None
            rest = _forward(work, pipe, rest)
            if (place / "end.json").is_file():
                _forward(work, pipe, rest)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    torchrun.wait(LEAVE_S)  # the others exit by themselves, or are killed after this time
                return outcome(json.loads((place / "end.json").read_text()))
            if over:
                break
            last_reason = forward_stop(work, place, last_reason)
            time.sleep(LOOK_S)
    finally:
        os.close(pipe)
    if last_reason not in (
        None,
        FINISH,
    ):  # it was asked to stop and ended without an outcome: that counts as stopped
        raise Stopped((place / "stop").read_text())
    raise RunCrash(
        "One of the training processes of this run died, so all of them were ended; "
        "training goes on from the last good checkpoint."
    )


def _forward(work: Work, pipe: int, rest: bytes) -> bytes:
    """Forwards each complete line of the first rank's events; returns the incomplete rest."""
    while True:
        try:
            data = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return rest
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            work.emit(json.loads(line))


def outcome(end: dict[str, Any]) -> dict[str, Any]:
    """The report in what the first rank left, or what it raises."""
    kind, data = end["kind"], end["data"]
    if kind == "finished":
        report: dict[str, Any] = data["report"]
        return report
    if kind == "stopped":
        raise Stopped(data["reason"])
    raise (RunCrash if data.get("retryable") else FinetuneError)(data["error"])


MIB_PER_GIB = 1024


def free_memory_gib(smi: str = "nvidia-smi") -> dict[int, float]:
    """Free memory of each GPU by index; empty on a machine without NVIDIA's driver."""
    return _query(smi, "memory.free")


def smallest_memory_gib(devices: str, smi: str = "nvidia-smi") -> float:
    """The whole memory of the smallest of `devices` ("0,1"), which limits a model; 0.0 for the CPU ("")."""
    if not devices:
        return 0.0
    memory = _query(smi, "memory.total")
    return min((memory.get(int(index), 0.0) for index in devices.split(",") if index.isdigit()), default=0.0)


def _query(smi: str, figure: str) -> dict[int, float]:
    ask = [smi, f"--query-gpu=index,{figure}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_free(answer)


def parse_free(answer: str) -> dict[int, float]:
    """nvidia-smi's lines `index, MiB` as {index: GiB}; lines it cannot fill in ([N/A]) are left out."""
    free_gib = {}
    for line in answer.splitlines():
        index, _, free = line.partition(",")
        if index.strip().isdigit() and free.strip().isdigit():
            free_gib[int(index)] = int(free) / MIB_PER_GIB
    return free_gib


def choose_devices(free: dict[int, float], choice: str | None, need_gib: float) -> str:
    """The value for CUDA_VISIBLE_DEVICES: "" for the CPU, else indices with at least `need_gib` free.

    `choice` is None (the emptiest GPU, or the CPU), "cpu", or indices like "0" or "0,1". WorkerError says
    which GPU is missing or too full.
    """
    if choice == "cpu" or (choice is None and not free):
        return ""
    if choice is None:
        choice = str(max(free, key=lambda index: free[index]))
    for part in choice.split(","):
        if not part.strip().isdigit() or int(part) not in free:
            raise WorkerError(
                f"This machine has no GPU {part.strip()}; nvidia-smi lists {sorted(free) or 'none'}."
            )
        if free[int(part)] < need_gib:
            raise WorkerError(
                f"GPU {part} has {free[int(part)]:.1f} GiB free, {need_gib:.1f} are needed: end what runs "
                "there, or give this worker another GPU."
            )
    return ",".join(part.strip() for part in choice.split(","))
