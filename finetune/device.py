"""This machine's processor: which device trains, whether bfloat16 is fast, CPU seconds used."""

from __future__ import annotations

import os
import resource
import time
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
    """Whether this chip multiplies bfloat16 in hardware."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    has = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(test() for test in has if test is not None)


def mixed_precision(device: str) -> Any:
    """bfloat16 autocast where the chip has it, else nothing."""
    import torch

    return torch.autocast(device, dtype=torch.bfloat16, enabled=bf16_is_fast(device))
