"""How often a measured verdict is contradicted: by the training that follows it, by another report, or by load.

    python benchmarks/verdicts.py [--quick | --story] [--json] [--sets sample-tickets,german] [--load 20]

Each case is a set, a size and a target. The product's own measurement decides (finetune/measurement/run.py), then the
product's own LoRA fine-tune trains on the same rows (finetune/pipeline.py), then the measurement is asked again with what
the job showed. Counted are: decisions that the outcome contradicts (aim: at most 5%), contradictions between two
reports on the same rows (aim: 0), and, with --load, decisions that change while so many processes burn the CPU (aim:
0). One training serves all targets of its rows; a second target finds the first one's pilot, as it does in the product.
Quick: few of the bundled tickets, two targets. Story: all of them, 80% and 92%.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import yaml

from benchmarks.forecast_sets import TEXT_SETS
from finetune.data.prepare import prepare
from finetune.data.reading import read_tickets
from finetune.data.ticket import Ticket, Tickets
from finetune.measurement.evidence import Evidence, evidence_of
from finetune.measurement.findings import MeasureContext, Request
from finetune.measurement.run import measure
from finetune.pipeline import run
from finetune.spec import parse_spec
from tests.cpu_load import burning

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = "sample-tickets"
SIZES = (300, 700, 1_500)
QUICK_SIZE, ALL_ROWS = 110, 10**9
DEFAULT_SETS = (SAMPLE, "banking77-queues", "sgd-service", "it-service-long", "german")
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
    cases: list[Case] = []
    for name in options.sets:
        for size in options.sizes:
            for case in cases_of(name, size, options):
                cases.append(case)
                if not options.json:
                    print(asdict(case), flush=True)
    result = summary(cases) | {
        "seconds": round(time.monotonic() - began),
        "cpu_seconds": round(time.process_time()),
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few of the bundled tickets, two targets")
    parser.add_argument("--story", action="store_true", help="all bundled tickets, targets 80%% and 92%%")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--sets", default=",".join(DEFAULT_SETS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="rows of each set")
    parser.add_argument("--load", type=int, default=0, help="processes that burn the CPU in a second pass")
    options = parser.parse_args()
    short = options.quick or options.story
    options.sets = [SAMPLE] if short else options.sets.split(",")
    options.sizes = (
        [QUICK_SIZE] if options.quick else [ALL_ROWS] if short else [int(n) for n in options.sizes.split(",")]
    )
    options.targets = QUICK_TARGETS if short else TARGETS
    return options


def cases_of(name: str, size: int, options: argparse.Namespace) -> Iterator[Case]:
    """The decisions on one set at one size, each beside the one training on these rows."""
    tickets = rows_of(name, size)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        before = reports_of(tickets, options.targets, home / "before")
        under_load = []
        if options.load:
            with burning(options.load):
                under_load = reports_of(tickets, options.targets, home / "load")
        spec = parse_spec({"dataset": name, "method": "lora"})
        job = run(spec, tickets, home / "job", lambda _: None, lambda: None)
        after = reports_of(tickets, options.targets, home / "after", tuple(evidence_of(job, "job")))
        for at in range(len(options.targets)):
            yield _case(
                name, len(tickets), before[at], after[at], under_load[at] if under_load else None, job
            )


def rows_of(name: str, size: int) -> Tickets:
    """So many rows of a set, drawn at random with a fixed seed, in their order; the bundled ones as the store has them."""
    if name == SAMPLE:
        whole = prepare(read_tickets(ROOT / "finetune/samples/tickets.csv"))[0]
    else:
        pairs = sorted(set(TEXT_SETS[name]()))
        whole = Tickets(
            tuple(Ticket(id=str(at), text=text, label=label) for at, (text, label) in enumerate(pairs)),
            "triage",
        )
    places = np.sort(np.random.default_rng(1).permutation(len(whole))[:size])
    return Tickets(tuple(whole.rows[at] for at in places), "triage")


def reports_of(
    tickets: Tickets, targets: Sequence[float], folder: Path, evidence: tuple[Evidence, ...] = ()
) -> list[dict[str, Any]]:
    """Runs the product's measurement for each target without progress output; each uses the evidence of the ones before it."""
    reports: list[dict[str, Any]] = []
    for target in targets:
        earlier = [
            one for report in reports for one in evidence_of(report, f"measurement-{report['target']}")
        ]
        place = folder / str(target)
        context = MeasureContext(place, PRICES, lambda _: None, lambda: None, evidence=(*evidence, *earlier))
        reports.append(measure(tickets, Request(target), context))
    return reports


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
    finetune = figure(job["systems"][-1])
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
        is_contradicted(decision, enough, job["worth_it"]),
        _differ(before, after, job),
    )


def is_contradicted(decision: str, enough: bool, worth_it: str) -> bool:
    """Whether what came says the opposite: the target met or missed, or a gain where "not worth it" was said."""
    if decision in MEETS:
        return not enough
    return decision in MISSES and (enough or (decision == "not_worth_it" and worth_it == "yes"))


def _differ(before: dict[str, Any], after: dict[str, Any], job: dict[str, Any]) -> bool:
    """Whether two reports on the same rows give one system two scores, or a later one says less than the job."""
    ours = {line["name"]: figure(line) for line in job["systems"]}
    unequal = any(figure(line) != ours[line["name"]] for line in before["ladder"] if line["name"] in ours)
    top = max(figure(line) for line in after["ladder"])
    meets = figure(job["systems"][-1]) >= after["target"]
    return unequal or top < figure(job["systems"][-1]) or (meets and after["decision"] in MISSES)


def figure(line: dict[str, Any]) -> float:
    """The accuracy that a report tells of one system: over all folds, or as expected there, where it was tested on one."""
    return (line.get("expected") or (line.get("cross_validated") or line)["accuracy"])["value"]


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
