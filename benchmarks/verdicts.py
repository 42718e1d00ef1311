"""How often a measured verdict is contradicted: by the training that follows it, by another report, or by load.

    python benchmarks/verdicts.py [--quick] [--json] [--sets sample,banking77] [--load 20]

Each case is a set, a size and a target. The product's own measurement decides (finetune/measurement/run.py), then the
product's own LoRA fine-tune trains on the same rows (finetune/pipeline.py), then the measurement is asked again with what
the job showed. Counted are: decisions that the outcome contradicts (aim: at most 5%), contradictions between two
reports on the same rows (aim: 0), and, with --load, decisions that change while so many processes burn the CPU (aim:
0). One training serves all targets of its rows. Quick: the bundled tickets, one size, two targets.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import yaml

from benchmarks.forecast_sets import TEXT_SETS
from finetune.data.ticket import Ticket, Tickets
from finetune.measurement.evidence import Evidence, evidence_of
from finetune.measurement.findings import Bench, Request
from finetune.measurement.run import measure
from finetune.pipeline import run
from finetune.spec import parse_spec
from tests.cpu_load import burning

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = "sample"
SIZES = (300, 700, 1_500)
TARGETS = (0.7, 0.8, 0.88, 0.95)
QUICK_TARGETS = (0.8, 0.92)
PRICES = yaml.safe_load((ROOT / "bot/prices.yaml").read_text())
MEETS = ("enough", "train")
MISSES = ("not_worth_it", "out_of_reach", "more_data")


@dataclass(frozen=True)
class Case:
    """One decision beside what came: scores are shares on the same held-out rows."""

    set: str
    rows: int
    target: float
    decision: str
    after_job: str
    under_load: str | None
    best: float
    tuned: float
    contradicted: bool
    reports_differ: bool


def main() -> None:
    options = _arguments()
    began = time.monotonic()
    cases = [
        case for name in options.sets for size in options.sizes for case in cases_of(name, size, options)
    ]
    result = summary(cases) | {"seconds": round(time.monotonic() - began)}
    if not options.json:
        for case in cases:
            print(asdict(case))
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the bundled tickets, one size, two targets")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--sets", default=",".join([SAMPLE, *TEXT_SETS]))
    parser.add_argument("--load", type=int, default=0, help="processes that burn the CPU in a second pass")
    options = parser.parse_args()
    options.sets = [SAMPLE] if options.quick else options.sets.split(",")
    options.sizes = (700,) if options.quick else SIZES
    options.targets = QUICK_TARGETS if options.quick else TARGETS
    return options


def cases_of(name: str, size: int, options: argparse.Namespace) -> Iterator[Case]:
    """The decisions on one set at one size, each beside the one training on these rows."""
    tickets = rows_of(name, size)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        before = [report_of(tickets, target, home / f"before-{target}") for target in options.targets]
        under_load = []
        if options.load:
            with burning(options.load):
                under_load = [
                    report_of(tickets, target, home / f"load-{target}") for target in options.targets
                ]
        spec = parse_spec({"dataset": name, "method": "lora"})
        job = run(spec, tickets, home / "job", lambda _: None, lambda: None)
        evidence = tuple(evidence_of(job, "job"))
        for at, target in enumerate(options.targets):
            after = report_of(tickets, target, home / f"after-{target}", evidence)
            yield _case(name, len(tickets), before[at], after, under_load[at] if under_load else None, job)


def rows_of(name: str, size: int) -> Tickets:
    """So many rows of a set, drawn at random with a fixed seed, in their order."""
    if name == SAMPLE:
        with (ROOT / "finetune/samples/tickets.csv").open(newline="", encoding="utf-8") as file:
            pairs = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    else:
        pairs = sorted(set(TEXT_SETS[name]()))
    places = np.sort(np.random.default_rng(1).permutation(len(pairs))[:size])
    rows = (Ticket(id=str(at), text=pairs[at][0], label=pairs[at][1]) for at in places)
    return Tickets(tuple(rows), "triage")


def report_of(
    tickets: Tickets, target: float, folder: Path, evidence: tuple[Evidence, ...] = ()
) -> dict[str, Any]:
    """The product's measurement, told to nobody."""
    bench = Bench(folder, PRICES, lambda _: None, lambda: None, evidence=evidence)
    return measure(tickets, Request(target), bench)


def _case(
    name: str,
    rows: int,
    before: dict[str, Any],
    after: dict[str, Any],
    under_load: dict[str, Any] | None,
    job: dict[str, Any],
) -> Case:
    target, decision = before["target"], before["decision"]
    best = next(line["accuracy"]["value"] for line in before["ladder"] if line["best"])
    finetune = job["systems"][-1]["accuracy"]["value"]
    enough = max(best, finetune) >= target
    return Case(
        name,
        rows,
        target,
        decision,
        after["decision"],
        under_load["decision"] if under_load else None,
        best,
        finetune,
        (decision in MEETS and not enough) or (decision in MISSES and enough),
        _differ(before, after, job),
    )


def _differ(before: dict[str, Any], after: dict[str, Any], job: dict[str, Any]) -> bool:
    """Whether two reports on the same rows give one system two scores, or a later one says less than the job."""
    ours = {line["name"]: line["accuracy"] for line in job["systems"]}
    twice = [line for line in before["ladder"] if line["name"] in ours]
    unequal = any(line["accuracy"]["value"] != ours[line["name"]]["value"] for line in twice)
    top = max(line["accuracy"]["value"] for line in after["ladder"])
    meets = job["systems"][-1]["accuracy"]["value"] >= after["target"]
    return unequal or top < job["systems"][-1]["accuracy"]["value"] or (meets and after["decision"] in MISSES)


def summary(cases: list[Case]) -> dict[str, Any]:
    """Shares and counts over all cases."""
    under_load = [case for case in cases if case.under_load is not None]
    decisions = [case for case in cases if case.decision in (*MEETS, *MISSES)]
    return {
        "benchmark": "verdicts",
        "cases": len(cases),
        "decided": len(decisions),
        "contradicted_by_outcome": sum(case.contradicted for case in cases),
        "contradicted_percent": round(100 * float(np.mean([case.contradicted for case in cases])), 1),
        "reports_that_differ": sum(case.reports_differ for case in cases),
        "changed_by_load": sum(case.under_load != case.decision for case in under_load)
        if under_load
        else None,
    }


if __name__ == "__main__":
    main()
