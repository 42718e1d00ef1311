"""Repairing a large dataset: seconds of the steps that a person waits for, with planted spellings, tests and doubts.

    python benchmarks/repair.py [--rows N] [--check] [--quick] [--json]

BANKING77's questions (../shared/data), each with a number, until there are N (100,000); 1% of one label is misspelled and
0.1% of the rows are tests. `--quick`: 5,000, in seconds; `--check`: the model's look at the labels, too. Prints wall and CPU seconds, the peak of memory, the store's bytes.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from finetune.data.card import Card  # noqa: E402 - the repository is on the path only now
from finetune.data.dataset_repair import DatasetRepair, Decider  # noqa: E402
from finetune.data.label_check import LabelCheck, LabelIssue  # noqa: E402
from finetune.data.object_store import ObjectStore  # noqa: E402
from finetune.data.similar_labels import similar_labels  # noqa: E402
from finetune.data.store import DatasetStore  # noqa: E402
from finetune.data.ticket import Ticket, Tickets  # noqa: E402
from finetune.evaluation.label_noise import find_label_noise  # noqa: E402
from rag.search.embedding import load_embedder  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "banking77" / "train.csv"
ME = Decider("me", "me")


def tickets(count: int) -> tuple[Tickets, int]:
    """The rows, and how many pairs of the official labels look alike before anything is planted."""
    with DATA.open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["category"] for row in rows})
    result = []
    for at in range(count):
        row = rows[at % len(rows)]
        label = row["category"] if at % 100 else f"{labels[0]}s"
        text = f"test {at}" if at % 1000 == 1 else f"{row['text']} ({at})"
        result.append(Ticket(f"r{at}", text, label))
    return Tickets(tuple(result), "triage"), len(similar_labels([(label, 1) for label in labels]))


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result, and the seconds that it took."""
    wall, cpu = time.monotonic(), time.process_time()
    result = work()
    return result, {"wall_s": round(time.monotonic() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--check", action="store_true", help="time the check of the labels, too")
    parser.add_argument("--quick", action="store_true", help="5,000 rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    rows, official_pairs = tickets(5_000 if options.quick else options.rows)
    with tempfile.TemporaryDirectory() as folder:
        # the card as an import would write it, without the minute for copies and split: repairs leave those alone
        card = Card(
            "bench", 1, rows.digest, "triage", len(rows), rows.classes, ("workspace",), "", "me", "2026-11-29"
        )
        ObjectStore(folder).put(card, rows)
        store = DatasetStore(folder)
        doubts = tuple(
            LabelIssue(f"r{at}", rows.rows[at].label or "", rows.classes[5][0], 0.1, 0.8)
            for at in range(2, 2_000, 3)
        )
        repair: DatasetRepair = store.repairs
        repair.save_check(rows.digest, LabelCheck(20_000, len(rows), doubts))
        steps: dict[str, dict[str, float]] = {}
        start, steps["open the form"] = timed(lambda: repair.inspect(store.get("bench")))
        by_kind = {
            kind: next(one for one in start.questions if one.kind == kind)
            for kind in ("merge", "drop", "label")
        }
        for kind, choice in (("merge", "merge"), ("drop", "drop"), ("label", "change")):
            draft = by_kind[kind].draft(choice)
            _, steps[f"{kind}: answer"] = timed(lambda draft=draft: repair.decide("bench", draft, ME))
            _, steps[f"{kind}: next question"] = timed(lambda: repair.inspect(store.get("bench")))
        _, steps["undo the first"] = timed(lambda: repair.undo("bench", 1, ME))
        _, steps["read the newest rows"] = timed(lambda: store.tickets("bench"))
        if options.check:
            embed = load_embedder(Path(folder) / "cache")
            noise, steps["check the labels"] = timed(lambda: find_label_noise(rows, embed))
            print(f"{noise.row_count:,} of {noise.total:,} labels checked")
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    result = {
        "rows": len(rows),
        "questions": len(start.questions),
        "pairs_of_official_labels": official_pairs,
        "steps": steps,
        "store_mb": round(size / 1e6, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    for name, seconds in steps.items():
        print(f"{name:24} {seconds['wall_s']:6.2f} s  ({seconds['cpu_s']:.2f} CPU)")
    print(json.dumps(result) if options.json else f"{result}")


if __name__ == "__main__":
    main()
