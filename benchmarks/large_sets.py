"""Whether a measurement keeps its time on sets that once did not: long e-mails, 308 queues, a million rows.

`python benchmarks/large_sets.py`: each set with its real limit (270 or 840 s of work); `--allowed 60`: with that limit;
`--sets emails,queues,million`; `--json`. The sets are generated: words of BANKING77's questions, each class with some of
its own. Each runs in a process of its own; printed are rows measured, CPU-seconds by the limit's clock, whole and by phase, peak memory,
warnings. Other people's load makes it last longer by the clock and moves no figure but the wall's seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.imports import peak_mb
from finetune.data.row_file import collect_rows
from finetune.data.ticket import Ticket, Tickets

SETS = {"emails": (22_500, 12, 300), "queues": (100_000, 308, 14), "million": (1_000_000, 40, 12)}
VOCABULARY, OWN_WORDS, OWN_SHARE, NOISE = 6_000, 6, 0.12, 0.08
TARGET = 0.97


def rows_of(name: str) -> Iterator[Ticket]:
    """Tickets of (rows, classes, words) drawn from one vocabulary; some words are of the class, some labels are wrong."""
    rows, classes, words = SETS[name]
    rng = np.random.default_rng(0)
    letters = np.array(list("aeioubcdfglmnprst"))
    vocabulary = np.array(["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(VOCABULARY)])
    own = rng.integers(0, VOCABULARY, (classes, OWN_WORDS))
    for at in range(rows):
        label = int(rng.zipf(1.3) - 1) % classes if name == "queues" else at % classes
        places = rng.integers(0, VOCABULARY, words)
        own_places = rng.random(words) < OWN_SHARE
        places[own_places] = rng.choice(own[label], int(own_places.sum()))
        queue = label if rng.random() > NOISE else int(rng.integers(classes))
        yield Ticket(str(at), " ".join(vocabulary[places]), f"queue {queue}")


def run(name: str, allowed_s: float) -> dict[str, Any]:
    """One set's measurement in this process."""
    import yaml

    from finetune.device import work_seconds
    from finetune.measurement.findings import MeasureContext, Request
    from finetune.measurement.run import measure

    tickets = Tickets(collect_rows(rows_of(name)), "triage")
    prices = yaml.safe_load((Path(__file__).parents[1] / "bot" / "prices.yaml").read_text())
    moments: list[tuple[str, float]] = []

    def emit(event: dict[str, Any]) -> None:
        if event["kind"] == "phase":
            moments.append((event["phase"], work_seconds()))

    with tempfile.TemporaryDirectory() as folder:
        began, wall = work_seconds(), time.perf_counter()
        context = MeasureContext(Path(folder), prices, emit, lambda: None, allowed_s=allowed_s or None)
        report = measure(tickets, Request(TARGET), context)
    return {
        "set": name,
        "rows": len(tickets),
        "measured": report["dataset"]["measured"],
        "classes": report["dataset"]["classes"],
        "work_s": round((end := work_seconds()) - began, 1),
        "phases": _seconds_by_phase([*moments, ("", end)]),
        "wall_s": round(time.perf_counter() - wall, 1),
        "peak_mb": round(peak_mb()),
        "decision": report["decision"],
        "pilot": bool(report["tuned_pilot"]),
        "warnings": report["warnings"],
    }


def _seconds_by_phase(moments: list[tuple[str, float]]) -> dict[str, float]:
    """Seconds of work of each phase, from the moment at which each began and the end; one that comes again adds up."""
    seconds: dict[str, float] = {}
    for (phase, began), (_, ended) in itertools.pairwise(moments):
        seconds[phase] = round(seconds.get(phase, 0.0) + ended - began, 1)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allowed", type=float, default=0.0)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from finetune.estimate import measuring_limit_s

    lines = []
    for name in options.sets.split(","):
        limit_s = options.allowed or measuring_limit_s(SETS[name][0])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            line = pool.apply(run, (name, limit_s)) | {"allowed_s": limit_s}
        lines.append(line)
        state = "kept" if line["work_s"] <= limit_s else "OVERRUN"
        print(
            f"{name}: {line['measured']:,} of {line['rows']:,} rows, {line['classes']} classes: {line['work_s']} of "
            f"{limit_s:.0f} s of work ({state}), {line['peak_mb']} MB; {line['decision']}; {line['phases']}"
        )
        for warning in line["warnings"]:
            print(f"  ! {warning}")
    if options.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
