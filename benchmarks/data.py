"""Ticket data: how fast and how well faults are found, beside what people usually write, in one run.

Copies: MinHash beside pandas' drop_duplicates, brute-force Jaccard and difflib. Mail clutter: beside the usual
"cut at wrote:". Personal data: beside four regular expressions (benchmarks/redaction.py has Presidio). Labels:
cleanlab beside "the model disagrees". Truth is known because the faults are planted (benchmarks/data_tickets.py).
`--quick`: 2,000 tickets, under a minute; else 20,000. `--json`: the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import json
import os
import platform
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.data_tickets import TicketsWithTruth, plant
from finetune.data.duplicates import find_duplicates, normalise
from finetune.data.prepare import clean, is_automatic, without_history, without_signature
from finetune.data.reading import read_tickets
from finetune.data.redact import redact
from finetune.data.split import split
from finetune.data.store import SAMPLES, DatasetStore
from finetune.data.ticket import Ticket, Tickets, canonical

BRUTE_ROWS, DIFFLIB_ROWS = 1_500, 150
REGEXES = {
    "EMAIL": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Z|a-z]{2,}",
    "PHONE": r"\(?\d{3}\)?[-.\s]?\d{3}[-.\s]?\d{4}",
    "CARD": r"\b(?:\d[ -]*?){13,16}\b",
    "SSN": r"\b\d{3}-\d{2}-\d{4}\b",
}


def cpu_time(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the CPU seconds it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def stages(tickets_with_truth: TicketsWithTruth) -> dict[str, float]:
    """CPU seconds of each step from a file to a stored dataset, and tickets per second in all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tickets.jsonl"
        rows = [replace(row, label=f"q{at % 7}") for at, row in enumerate(tickets_with_truth.rows)]
        path.write_bytes(canonical(rows))
        tickets, read_s = cpu_time(lambda: read_tickets(path))
        clean_tickets, clean_s = cpu_time(lambda: clean(tickets).tickets)
        private, redact_s = cpu_time(lambda: redact(clean_tickets).tickets)
        copies, near_s = cpu_time(lambda: find_duplicates(private.texts))
        _, split_s = cpu_time(lambda: split(private, 7, clusters=copies.of))
        store = DatasetStore(f"{folder}/store", prepare=lambda rows_in: (rows_in, {}))
        _, keep_s = cpu_time(lambda: store.keep(private, "bench", "me", frozenset({"workspace"}), ""))
    total = read_s + clean_s + redact_s + keep_s  # keep finds near-copies and splits for the card
    return {
        "read": read_s, "clean": clean_s, "redact": redact_s, "near_copies": near_s, "split": split_s,
        "keep": keep_s, "total": total, "tickets_per_s": len(rows) / total,
    }  # fmt: skip


def copies(tickets_with_truth: TicketsWithTruth) -> dict[str, Any]:
    """Planted copies found by MinHash and by exact comparison; time beside all-pairs methods on a part."""
    import pandas as pd

    texts = [row.text for row in tickets_with_truth.rows]
    cluster, ours_s = cpu_time(lambda: find_duplicates(texts).of)
    frame, pandas_s = cpu_time(lambda: pd.Series(texts).duplicated())

    def recall(pairs: Sequence[tuple[int, int]]) -> float:
        return sum(cluster[a] == cluster[b] for a, b in pairs) / len(pairs)

    part = texts[-BRUTE_ROWS:]
    _, part_s = cpu_time(lambda: find_duplicates(part))
    brute, brute_s = cpu_time(lambda: brute_force(part))
    _, difflib_s = cpu_time(
        lambda: [difflib.SequenceMatcher(None, a, b).ratio() for a, b in combinations(part[:DIFFLIB_ROWS], 2)]
    )
    ours = find_duplicates(part).of
    agreement = sum(ours[a] == ours[b] for a, b in brute) / max(1, len(brute))
    ratio = len(texts) ** 2 / 2
    return {
        "minhash_s": ours_s,
        "recall_exact": recall(tickets_with_truth.exact),
        **{
            f"recall_{round(100 * edits)}pct": recall(pairs)
            for edits, pairs in tickets_with_truth.near.items()
        },
        "pandas_s": pandas_s,
        "pandas_recall_exact": float(sum(bool(frame[b]) for _, b in tickets_with_truth.exact))
        / len(tickets_with_truth.exact),
        f"minhash_{len(part)}_rows_s": part_s,
        f"brute_{len(part)}_rows_s": brute_s,
        "brute_all_rows_s_estimated": brute_s * ratio / (len(part) ** 2 / 2),
        "difflib_all_rows_s_estimated": difflib_s * ratio / (DIFFLIB_ROWS**2 / 2),
        "pairs_of_brute_force_found": agreement,
    }


def brute_force(texts: Sequence[str], threshold: float = 0.5) -> list[tuple[int, int]]:
    """All pairs whose word 2-grams overlap by the threshold, compared one with all."""
    sets = []
    for text in texts:
        words = normalise(text).split()
        sets.append(set(pairwise(words)) or set(words))
    return [
        (a, b)
        for a, b in combinations(range(len(sets)), 2)
        if len(both := sets[a] & sets[b]) and len(both) / len(sets[a] | sets[b]) >= threshold
    ]


def clutter(tickets_with_truth: TicketsWithTruth) -> dict[str, float]:
    """Shares of messages of which exactly the customer's words are left, and of clean ones that were cut."""

    def ours(text: str) -> str:
        return without_signature(without_history(text))

    def usual(text: str) -> str:
        return re.split(r"\n.*wrote:|\nFrom:|\n-- ?\n|\nSent from", text)[0].strip()

    whole = [tickets_with_truth.rows[at].text for at in tickets_with_truth.clean]
    out: dict[str, float] = {}
    for name, method in (("ours", ours), ("usual", usual)):
        out[f"{name}_right"] = sum(
            method(tickets_with_truth.rows[at].text) == own for at, own in tickets_with_truth.clutter.items()
        ) / len(tickets_with_truth.clutter)
        out[f"{name}_damaged"] = sum(method(text) != text.strip() for text in whole) / len(whole)
    out["machines_found"] = sum(
        is_automatic(tickets_with_truth.rows[at].text) for at in tickets_with_truth.machines
    ) / len(tickets_with_truth.machines)
    out["people_taken_for_machines"] = sum(map(is_automatic, whole)) / len(whole)
    return out


def personal(tickets_with_truth: TicketsWithTruth) -> dict[str, Any]:
    """Planted values found by kind, false finds per 1,000 untouched tickets, time per ticket."""
    rows = [Ticket(str(at), tickets_with_truth.rows[at].text) for at in tickets_with_truth.personal]
    plain = [
        Ticket(str(at), tickets_with_truth.rows[at].text)
        for at in tickets_with_truth.clean
        if not re.search(r"\d", tickets_with_truth.rows[at].text)
    ]
    redaction, ours_s = cpu_time(lambda: redact(Tickets(tuple(rows + plain), "reply")))
    texts = [row.text for row in redaction.tickets.rows[: len(rows)]]

    def usual(text: str) -> str:
        for kind, pattern in REGEXES.items():
            text = re.sub(pattern, f"<{kind}>", text)
        return text

    kinds = Counter(kind for kind, _ in tickets_with_truth.personal.values())
    left = list(zip(tickets_with_truth.personal.values(), texts, rows, strict=True))
    ours = Counter(kind for (kind, value), text, _ in left if tail(value) not in text)
    theirs = Counter(kind for (kind, value), _, row in left if tail(value) not in usual(row.text))
    false = sum(a.text != b.text for a, b in zip(redaction.tickets.rows[len(rows) :], plain, strict=True))
    return {
        "recall": {kind: round(ours[kind] / count, 3) for kind, count in sorted(kinds.items())},
        "regex_recall": {kind: round(theirs[kind] / count, 3) for kind, count in sorted(kinds.items())},
        "false_per_1000": 1000 * false / max(1, len(plain)),
        "ms_per_ticket": 1000 * ours_s / len(rows + plain),
    }


def tail(value: str) -> str:
    """The part of a planted value that must be gone: for references the number after its word."""
    return value.split()[-1]


def labels(share: float = 0.05) -> dict[str, float]:
    """Wrong labels planted in the bundled sample: cleanlab's list and plain disagreement, judged by the truth."""
    import numpy as np

    from finetune.evaluation import label_noise
    from finetune.training.embedding import FrozenEmbedder

    tickets = read_tickets(SAMPLES / "tickets.csv")
    draw, names = random.Random(3), [name for name, _ in tickets.classes]
    wrong = set(draw.sample(range(len(tickets)), round(share * len(tickets))))
    rows = [
        replace(row, label=draw.choice([name for name in names if name != row.label])) if at in wrong else row
        for at, row in enumerate(tickets.rows)
    ]
    vectors = FrozenEmbedder()(tickets.texts)
    spoilt = replace(tickets, rows=tuple(rows))
    noise, seconds = cpu_time(lambda: label_noise.find_label_noise(spoilt, lambda texts: vectors))
    ours = [suspect.row for suspect in noise.suspects]
    order = sorted({row.label or "" for row in rows})
    truth = np.array([order.index(row.label or "") for row in rows])
    guesses = label_noise._out_of_fold(vectors, truth, find_duplicates(tickets.texts).of, 7).argmax(1)
    disagreements = set(np.flatnonzero(guesses != truth).tolist())
    return {
        "rows": len(rows), "planted": len(wrong), "suspects": len(ours), "seconds": seconds,
        "recall": len(wrong & set(ours)) / len(wrong), "precision": len(wrong & set(ours)) / len(ours),
        "top_precision": len(wrong & set(ours[: len(wrong)])) / len(wrong),
        "disagree_suspects": len(disagreements), "disagree_recall": len(wrong & disagreements) / len(wrong),
        "disagree_precision": len(wrong & disagreements) / len(disagreements),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 tickets instead of 20,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    tickets, source = plant(2_000 if options.quick else 20_000)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{datetime.date.today()}; {machine}; {len(tickets.rows):,} tickets from {source}")
    result: dict[str, Any] = {"rows": len(tickets.rows), "source": source, "machine": machine}
    for name, part in (
        ("stages_cpu_s", lambda: stages(tickets)),
        ("copies", lambda: copies(tickets)),
        ("clutter", lambda: clutter(tickets)),
        ("personal", lambda: personal(tickets)),
        ("labels", labels),
    ):
        result[name] = four_digits(part())
        print(f"\n{name}")
        for key, value in result[name].items():
            print(f"  {key:<32} {value}")
    result["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"\npeak memory {result['peak_mb']:,} MB (torch and Presidio included)")
    if options.json:
        print(json.dumps(result))


def four_digits(values: dict[str, Any]) -> dict[str, Any]:
    """Floats to four digits that matter."""
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()
    }


if __name__ == "__main__":
    main()
