"""Which GPU a worker may use, asked of nvidia-smi: the worker itself must never start CUDA (it forks)."""

from __future__ import annotations

import subprocess

from worker.errors import WorkerError

MIB_PER_GIB = 1024


def free_memory_gib(smi: str = "nvidia-smi") -> dict[int, float]:
    """Free memory of each GPU by index; empty on a machine without NVIDIA's driver."""
    ask = [smi, "--query-gpu=index,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_free(answer)


def parse_free(answer: str) -> dict[int, float]:
    """nvidia-smi's lines `index, MiB` as {index: GiB}; lines it cannot fill in ([N/A]) are left out."""
    found = {}
    for line in answer.splitlines():
        index, _, free = line.partition(",")
        if index.strip().isdigit() and free.strip().isdigit():
            found[int(index)] = int(free) / MIB_PER_GIB
    return found


def choose(free: dict[int, float], asked: str | None, need_gib: float) -> str:
    """The value for CUDA_VISIBLE_DEVICES: "" for the CPU, else indices with at least `need_gib` free.

    `asked` is None (the emptiest GPU, or the CPU), "cpu", or indices like "0" or "0,1". WorkerError says
    which GPU is missing or too full.
    """
    if asked == "cpu" or (asked is None and not free):
        return ""
    if asked is None:
        asked = str(max(free, key=lambda index: free[index]))
    for part in asked.split(","):
        if not part.strip().isdigit() or int(part) not in free:
            raise WorkerError(
                f"This machine has no GPU {part.strip()}; nvidia-smi lists {sorted(free) or 'none'}."
            )
        if free[int(part)] < need_gib:
            raise WorkerError(
                f"GPU {part} has {free[int(part)]:.1f} GiB free, {need_gib:.1f} are needed: end what runs "
                "there, or give this worker another GPU."
            )
    return ",".join(part.strip() for part in asked.split(","))
