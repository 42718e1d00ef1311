"""Every fault at random moments of a job's life, with real processes; plain RQ beside it.

One trial: a person launches one to three jobs in the local workspace, one fault (fault_injection/faults.py) strikes at a
seeded random moment and ends again, and all that is left is counted in three places: the ledger, Slack's
messages, and the event log that the training processes write themselves. `--quick` takes under a minute.

`--postgres`: two workspaces, two bots and a PostgreSQL that is killed, cut off, and gives way to a copy.

lost: not ended, or ended otherwise than as asked. doubled: two endings counted. ran_twice: the training came to
its end twice (a partitioned run whose result was then thrown away). recovery: fault -> running elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fault_injection.environment import FAKETIME, Environment, running_environment
from fault_injection.faults import CLOCKS, FAULTS, LONG
from fault_injection.plain_rq import APPLICABLE, plain_trial
from fault_injection.trial import trial

TRIALS_PER_ENVIRONMENT = 18
QUICK = (
    "training process killed",
    "bot killed",
    "Slack takes the post, no answer",
    "Redis killed, data lost",
    "worker drained (SIGTERM)",
    "Slack redelivers three times",
    "bot-Redis cut",
    "worker killed",
)
COUNTED = ("lost", "doubled", "reports_missing", "reports_doubled", "ran_twice", "cards_wrong")
Row = dict[str, Any]


def schedule(runs: int, seed: int, only: str | None, postgres: bool = False) -> list[str]:
    """Every fault equally often, in seeded order; one long outage for each hundred trials.

    Clocks jump only where libfaketime is installed.
    """
    if only:
        return [only] * runs
    dice = random.Random(seed)
    names: list[str] = [] if postgres else list(LONG) * (runs // 100)
    each = list(two_bots().FAULTS_HERE) if postgres else [*FAULTS, *(CLOCKS if FAKETIME else ())]
    while len(names) < runs:
        names += dice.sample(each, len(each))
    names = names[:runs]
    dice.shuffle(names)
    return names


def two_bots() -> Any:
    """The module of the environment on PostgreSQL, which needs the extra `postgres` and the distribution's package."""
    from fault_injection import two_bots as module

    return module


def play(
    part: Sequence[tuple[int, str]],
    durable: bool,
    raw: Path | None,
    postgres: bool = False,
    cache: Path | None = None,
) -> list[Row]:
    """The trials (seed, fault) of one environment, one after another; every fourth one also cancels a job."""
    rows = []
    clocks = any(name in CLOCKS for _, name in part)
    environment: AbstractContextManager[Environment] = (
        two_bots().running_two_bots() if postgres else running_environment(durable, clocks, cache)
    )
    more = two_bots().DATABASE if postgres else {}
    with environment as here:
        for seed, name in part:
            began = time.monotonic()
            row = trial(here, name, seed, cancel=seed % 4 == 3, more=more).row()
            rows.append(row | {"took_s": round(time.monotonic() - began, 1), "durable": durable})
            bad = {key: row[key] for key in (*COUNTED, "notes") if row[key]}
            print(f"{rows[-1]['took_s']:6.1f} s  seed {seed:<6} {name}  {bad or 'ok'}", file=sys.stderr)
            if raw:
                with raw.open("a") as out:
                    out.write(json.dumps(rows[-1]) + "\n")
    return rows


def baseline(runs: int, seed: int, deadline_s: float) -> list[Row]:
    """Plain RQ's trials, each in a fresh environment."""
    names = [APPLICABLE[n % len(APPLICABLE)] for n in range(runs)]
    rows = []
    for n, name in enumerate(names):
        rows.append(plain_trial(name, seed + n, deadline_s, cancel=name == "nothing").row())
        bad = {key: rows[-1][key] for key in COUNTED if rows[-1][key]}
        print(f"plain RQ  seed {seed + n:<6} {name}  {bad or 'ok'}", file=sys.stderr)
    return rows


def run(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Ours and plain RQ's rows, played on `shards` environments at a time."""
    short = two_bots().QUICK if options.postgres else QUICK
    names = (
        list(short) if options.quick else schedule(options.runs, options.seed, options.only, options.postgres)
    )
    trials = list(enumerate(names[: options.runs], options.seed))
    if options.raw and options.raw.exists():  # goes on where an interrupted matrix stopped
        rows = [json.loads(line) for line in options.raw.read_text().splitlines()]
        finished_seeds = {row["seed"] for row in rows if "plain" not in row}
        trials = [(seed, name) for seed, name in trials if seed not in finished_seeds]
    size = -(-len(trials) // options.shards) if options.quick else TRIALS_PER_ENVIRONMENT
    parts = [trials[n : n + size] for n in range(0, len(trials), size)]
    plain = 0 if options.no_baseline or options.postgres else (2 if options.quick else options.baseline)
    with ThreadPoolExecutor(options.shards) as pool, ThreadPoolExecutor(1) as beside:
        waits = 25.0 if options.quick else 60.0
        theirs: Future[list[Row]] = beside.submit(baseline, plain, options.seed, waits)
        futures = [
            pool.submit(play, part, n % 3 != 2, options.raw, options.postgres, options.cache)
            for n, part in enumerate(parts)
        ]
        return [row for part in futures for row in part.result()], theirs.result()


def figures(rows: list[Row]) -> Row:
    """The totals of some trials."""
    totals: Row = {"runs": len(rows), "jobs": sum(row["jobs"] for row in rows)}
    totals |= {key: sum(len(row[key]) for row in rows) for key in COUNTED}
    for name, key in (("recovery", "recovery_s"), ("cancel", "cancel_s"), ("after", "after_s")):
        times = sorted(row[key] for row in rows if row[key] is not None)
        totals[f"{name}_p50"] = rank(times, 0.5)
        totals[f"{name}_p95"] = rank(times, 0.95)
    return totals


def rank(times: Sequence[float], share: float) -> float | None:
    """The value below which `share` of the times lie; None for none."""
    return round(times[min(len(times) - 1, int(share * len(times)))], 2) if times else None


def table(ours: list[Row], plain: list[Row]) -> str:
    """Markdown: one line per fault, the totals, plain RQ by fault and in all."""
    head = ("fault", "runs", "jobs", *COUNTED, "recovery p50", "p95", "heal to last report p95")
    lines = ["| " + " | ".join(head).replace("_", " ") + " |", "|" + " --- |" * len(head)]
    known = [*FAULTS, *CLOCKS, *LONG]
    others = sorted({row["fault"] for row in ours} - set(known))
    lines += [_line(name, rows) for name in [*known, *others] if (rows := _of(name, ours))]
    lines.append(_line("**all, Trainwise**", ours))
    lines += [_line(f"plain RQ: {name}", rows) for name in APPLICABLE if (rows := _of(name, plain))]
    if plain:
        lines.append(_line("**all, plain RQ with Retry(3)**", plain))
    return "\n".join(lines)


def _of(name: str, rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["fault"] == name]


def _line(name: str, rows: list[Row]) -> str:
    f = figures(rows)
    values = [f["runs"], f["jobs"], *(f[key] for key in COUNTED)]
    values += [f["recovery_p50"], f["recovery_p95"], f["after_p95"]]
    return f"| {name} | " + " | ".join("-" if value is None else str(value) for value in values) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--shards", type=int, default=2, help="environments at a time")
    parser.add_argument("--postgres", action="store_true", help="two bots of two workspaces on PostgreSQL")
    parser.add_argument("--only", help="one fault by name")
    parser.add_argument("--baseline", type=int, default=22, help="trials of plain RQ")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument(
        "--cache", type=Path, help="a home's folder `cache`: no environment builds its graphs"
    )
    parser.add_argument("--raw", type=Path, help="append each trial; go on where it ends")
    parser.add_argument("--from-raw", type=Path, nargs="+", help="no trials: the table of such files")
    options = parser.parse_args()
    if options.from_raw:
        rows = [json.loads(line) for path in options.from_raw for line in path.read_text().splitlines()]
        ours, plain = [r for r in rows if "plain" not in r], [r for r in rows if "plain" in r]
    else:
        ours, plain = run(options)
        if options.raw and plain:
            with options.raw.open("a") as out:
                out.writelines(json.dumps({**row, "plain": True}) + "\n" for row in plain)
    print(f"{platform.machine()}, {os.cpu_count()} cores, seeds from {min(row['seed'] for row in ours)}")
    print(table(ours, plain))
    totals = figures(ours)
    print(f"cancel -> last process gone: p50 {totals['cancel_p50']} s, p95 {totals['cancel_p95']} s")
    for row in ours:
        for note in row["notes"]:
            print(f"seed {row['seed']} ({row['fault']}): {note}")
    if options.json:
        print(json.dumps({**totals, "plain_rq": figures(plain) if plain else None}))
    return 1 if any(totals[key] for key in COUNTED[:4]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
