"""This machine's processor: which device trains, whether bfloat16 is fast, CPU seconds used."""

from __future__ import annotations

import os
import resource
import time
from functools import cache
from pathlib import Path
from typing import Any

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
GIB = 2**30


def cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_gib() -> float:
    """This machine's memory in GiB, or what its container may use where that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(CGROUP_LIMIT.read_text())
    except (OSError, ValueError):  # no cgroup of version 2, or "max"
        limit = physical
    return min(physical, limit) / GIB


def work_seconds() -> float:
    """A clock of this process's own work: CPU seconds of all threads over the cores it may use.

    On an idle machine it runs about as fast as the wall's; other people's load does not move it. Where a GPU
    does the work the wall's clock is used: a busy CPU hardly slows a GPU down.
    """
    if pick_device() == "cuda":
        return time.monotonic()
    return cpu_seconds() / threads()


def threads() -> int:
    """How many threads torch computes with on a CPU."""
    import torch

    return max(1, torch.get_num_threads())


def pick_device() -> str:
    """The accelerator where there is one, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def bf16_is_fast(device: str) -> bool:
    """Whether this chip multiplies bfloat16 in hardware and, on a CPU, whether a probe on it came out faster."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    has = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(test() for test in has if test is not None) and _bf16_gain() > MIN_BF16_GAIN


MIN_BF16_GAIN = 1.2
PROBE_ROWS, PROBE_TURNS = 64, 5


@cache
def _bf16_gain() -> float:
    """How many times faster a few layers are in bfloat16 on this CPU than in float32; tens of milliseconds, once.

    The instruction alone says too little: with some builds and chips bfloat16 was six times slower (decisions).
    """
    import torch

    with torch.random.fork_rng():
        layers = torch.nn.Sequential(
            torch.nn.Linear(384, 1536), torch.nn.GELU(), torch.nn.Linear(1536, 384), torch.nn.LayerNorm(384)
        )
        rows = torch.randn(PROBE_ROWS, 384)

    def seconds(bf16: bool) -> float:
        began = time.thread_time()
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            layers(rows)
        return time.thread_time() - began

    return min(seconds(False) for _ in range(PROBE_TURNS)) / min(seconds(True) for _ in range(PROBE_TURNS))


def mixed_precision(device: str) -> Any:
    """bfloat16 autocast where the chip has it, else nothing."""
    import torch

    return torch.autocast(device, dtype=torch.bfloat16, enabled=bf16_is_fast(device))
