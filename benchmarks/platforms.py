"""The contract of platforms in figures: each adapter with its real client before its stand-in, a plain script beside it.

One run: a job or more, creates that answer 503 or 429, are made and cut or made and silent; a controller that dies inside a
create; reads that fail; cancels; lagging listings; a revoked key; a clock that jumps. `--quick` takes 10 runs an adapter, by
hand 400. The plain script tries a create three times, polls, and erases at its end; it meets the same trouble at its create.

doubled: made while an earlier one of the same submission was there to be found. lost: not ended. left billed, left uploaded: at the end, and not named.
"""

from __future__ import annotations

import argparse
import json
import logging
import pkgutil
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.platforms.harness import Wire
from tests.platforms.trial import our_run, plain_run
from tests.platforms.wires import WIRES, waits_of_clients
from worker.jobs.states import END_STATES

COLUMNS = ("runs", "creates", "doubled", "lost", "left_billed", "left_uploaded")
Row = dict[str, Any]


def no_waiting() -> None:
    """Clients that wait between the tries of a call do not wait here."""
    for name in WIRES:
        for target, value in waits_of_clients(name).items():
            place, _, attribute = target.rpartition(".")
            setattr(pkgutil.resolve_name(place), attribute, value)
    for name in ("huggingface_hub", "modal-client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def measure(name: str, wire: Wire, runs: int, seed: int) -> Row:
    """The counts of one adapter, ours and the plain script's; `problems` are sentences."""
    clock = [1_800_000_000.0]
    standin = wire.server(lambda: clock[0])
    ours: Counter[str] = Counter(runs=runs)
    plain: Counter[str] = Counter(runs=runs)
    problems: list[str] = []
    began = time.monotonic()
    for number in range(seed, seed + runs):
        harness = our_run(wire, standin, clock, number)
        ours["creates"] += len(standin.jobs)
        ours["doubled"] += len(standin.doubles())
        ours["lost"] += sum(harness.ledger.job(one).state not in END_STATES for one in harness.jobs)
        ours["left_billed"] += sum("left billed" in text for text in harness.problems)
        ours["left_uploaded"] += sum("left uploaded" in text for text in harness.problems)
        problems += [f"seed {number}: {text}" for text in harness.problems]
        harness.close()
    seconds = time.monotonic() - began
    with tempfile.TemporaryDirectory() as home:
        for number in range(seed, seed + runs):
            plain.update(plain_run(wire, standin, clock, number, Path(home)))
    standin.close()
    counts = {column: ours[column] for column in COLUMNS}
    beside = {column: plain[column] for column in COLUMNS}
    return {
        "adapter": name,
        "ours": counts,
        "plain": beside,
        "ms_a_run": round(1000 * seconds / runs),
        "problems": problems,
    }


def main() -> None:
    """Prints a table, or with --json one object; exits 1 where something was doubled, lost or left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 runs an adapter")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--adapter", choices=list(WIRES), help="this one only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    no_waiting()
    runs = 10 if options.quick else options.runs
    names = [options.adapter] if options.adapter else list(WIRES)
    rows = [measure(name, WIRES[name], runs, options.seed) for name in names]
    if options.json:
        print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), "rows": rows}))
    else:
        print(f"{'adapter':<14}{'':<8}" + "".join(f"{column:>15}" for column in COLUMNS))
        for row in rows:
            for who in ("ours", "plain"):
                figures = "".join(f"{row[who][column]:>15}" for column in COLUMNS)
                print(f"{row['adapter'] if who == 'ours' else '':<14}{who:<8}{figures}")
            for problem in row["problems"]:
                print(f"  {problem}")
    raise SystemExit(1 if any(row["problems"] for row in rows) else 0)


if __name__ == "__main__":
    main()
