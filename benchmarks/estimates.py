"""Compares the estimated cost of a fine-tune with the measured one: short tickets, intents, e-mails of 300 words.

`python benchmarks/estimates.py [--sets bundled,banking77,emails] [--method lora] [--json]`: each set is a real job
(finetune/pipeline.py) in a process of its own. `--sets german,spanish,italian`: rows that are not English, of which the
probe times the sample's encoder and the network that is trained. Compared are the form's estimate of the whole job (finetune/estimate.py) and
the measurement's plan for the training in it (finetune/measurement/pilot.py), in CPU-seconds, and the peak of memory. Made-up
mails come from large_sets.py and mail_sets.py; banking77 needs ../shared/data.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.imports import peak_mb  # noqa: E402 - the repository is on the path only now
from finetune.data.row_file import collect_rows  # noqa: E402
from finetune.data.ticket import Ticket, Tickets  # noqa: E402

SIZES = {
    "bundled": (658, 5),
    "banking77": (1_500, 3),
    "emails": (400, 3),
    "spanish": (160, 2),
    "german": (240, 2),
    "italian": (300, 2),
}


def rows_of(name: str, rows: int) -> Tickets:
    """So many tickets of a set."""
    if name == "emails":
        from benchmarks.large_sets import rows_of as generated

        return Tickets(collect_rows(islice(generated("emails"), rows)), "triage")
    if name == "spanish":
        from benchmarks import mail_sets

        mail_sets.MAILS = rows
        pairs = mail_sets.spanish_mails()
    elif name == "german":
        from benchmarks.mail_sets import german

        pairs = german()
    elif name == "italian":
        pairs = short_italian()
    else:
        file = ROOT / (
            "finetune/samples/tickets.csv" if name == "bundled" else "../shared/data/banking77/train.csv"
        )
        with file.open(newline="", encoding="utf-8") as stream:
            pairs = [(row["text"], row.get("label") or row["category"]) for row in csv.DictReader(stream)]
    step = max(1, len(pairs) // rows)
    sample = pairs[::step][:rows]
    return Tickets(tuple(Ticket(str(at), *pair) for at, pair in enumerate(sample)), "triage")


def short_italian() -> list[tuple[str, str]]:
    """Made-up Italian tickets of some twelve words, four queues."""
    queues = {
        "fatture": ("la fattura di questo mese", "l'importo addebitato", "il rimborso promesso"),
        "accesso": ("la mia password", "il codice inviato al telefono", "l'accesso al portale"),
        "spedizioni": ("il pacco ordinato", "la consegna di ieri", "il corriere di zona"),
        "guasti": ("la stampante nuova", "lo schermo del computer", "il sensore della porta"),
    }
    states = ("non funziona più", "è sbagliato da giorni", "manca ancora", "va controllato di nuovo")
    whens = ("da ieri mattina", "dopo l'ultimo aggiornamento", "come la settimana scorsa", "da questa notte")
    ends = (
        "potete aiutarmi?",
        "resto in attesa.",
        "grazie mille.",
        "è piuttosto urgente.",
        "che cosa devo fare?",
    )
    rows = itertools.product(queues, range(3), states, whens, ends)
    return [
        (f"Buongiorno, {queues[name][at]} {state} {when}, {end}", name) for name, at, state, when, end in rows
    ]


def job(name: str, method: str) -> dict[str, Any]:
    """One set's job in this process."""
    import yaml

    from finetune.data.card import describe
    from finetune.device import cpu_seconds
    from finetune.estimate import estimate_run, measuring_limit_s
    from finetune.measurement.budget import Budget
    from finetune.measurement.pilot import training_s
    from finetune.measurement.sample_size import PROBE_ROWS, pace_of
    from finetune.pipeline import run
    from finetune.spec import parse_spec
    from finetune.training.embedding import embedder_for, open_embedder

    rows, epochs = SIZES[name]
    tickets = rows_of(name, rows)
    about = {"scopes": ("workspace",), "licence": "", "added_by": "", "added_at": ""}
    card = describe(tickets, name=name, **about)
    spec = parse_spec({"dataset": name, "method": method, "epochs": epochs})
    prices = yaml.safe_load((ROOT / "bot/prices.yaml").read_text())
    estimate = estimate_run(spec, card, prices)
    probe, budget = tickets.texts[:PROBE_ROWS], Budget(cpu_seconds, measuring_limit_s(len(tickets)))
    pace = pace_of(probe, embedder_for(tickets.texts), budget)[0]
    network = pace_of(probe, open_embedder(spec.base_model), budget)[0]
    moments: dict[str, float] = {}

    def emit(event: dict[str, Any]) -> None:
        if event["kind"] == "phase":
            moments[event["phase"]] = cpu_seconds()

    with tempfile.TemporaryDirectory() as folder:
        began = cpu_seconds()
        report = run(spec, tickets, Path(folder), emit, lambda: None)
        whole = cpu_seconds() - began
    part = report["dataset"]
    plan_s = training_s(part["train"], epochs, part["dev"], network)
    training = moments["evaluating"] - moments["training"]
    low, high = estimate.seconds
    return {
        "set": name,
        "rows": len(tickets),
        "epochs": epochs,
        "embedding_ms": round(1_000 * pace, 1),
        "network_ms": round(1_000 * network, 1),
        "training_foreseen_s": round(plan_s, 1),
        "training_s": round(training, 1),
        "training_ratio": round(training / plan_s, 2),
        "job_foreseen_s": [round(low, 1), round(high, 1)],
        "job_s": round(whole, 1),
        "job_ratio": round(whole / (low * high) ** 0.5, 2),
        "memory_foreseen_mb": round(1_024 * estimate.memory_gib),
        "peak_mb": round(peak_mb()),
        "baselines_s": round(moments["training"] - moments["baselines"], 1),
        "evaluating_s": round(moments["reporting"] - moments["evaluating"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="bundled,banking77,emails")
    parser.add_argument("--method", default="lora")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = []
    for name in options.sets.split(","):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            lines.append(pool.apply(job, (name, options.method)))
        if not options.json:
            print(lines[-1], flush=True)
    if options.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
