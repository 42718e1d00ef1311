"""Tickets in another language: the cheap methods on the packaged English encoder and on the multilingual one, same rows, same split.

    python benchmarks/languages.py [--quick] [--json]

German tickets (../shared/data/german_tickets, 10 queues; written by a language model) and BANKING77 in English, through the
product's own ladder; then samples of few German tickets, drawn anew. `--quick`: 500 German and 500 English rows, under a minute;
else 2,125 and 3,000. Needs `trainwise[multilingual]`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.mail_sets import german  # noqa: E402 - the repository is on the path only now
from finetune.catalog import ENCODERS  # noqa: E402
from finetune.data.languages import encoder_for, language_shares  # noqa: E402
from finetune.data.ticket import Ticket  # noqa: E402
from finetune.evaluation.baselines import MAJORITY, CheapMethods, score_baselines  # noqa: E402
from finetune.evaluation.predictions import score_system  # noqa: E402
from finetune.evaluation.sample import cut_rows  # noqa: E402
from finetune.progress import silent  # noqa: E402
from finetune.training.embedding import open_embedder  # noqa: E402

BANKING = ROOT.parent / "shared" / "data" / "banking77" / "train.csv"


def banking() -> list[tuple[str, str]]:
    """English questions and intents."""
    with BANKING.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


class KnownRows:
    """Embeddings made once: `key` is the encoder, `cpu_ms` what one text took."""

    def __init__(self, key: str, texts: list[str]) -> None:
        embed = open_embedder(key)
        embed(texts[:1])  # loads the weights
        began = time.process_time()
        rows = embed(texts)
        self.key, self.cpu_ms = key, round(1000 * (time.process_time() - began) / len(texts), 1)
        self._rows = dict(zip(texts, rows, strict=True))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self._rows[text] for text in texts])


def scores(rows: list[tuple[str, str]], embed: KnownRows) -> dict[str, Any]:
    """Accuracy of each cheap method on the held-out rows with its 95% interval, in percent, by the product's own ladder."""
    tickets = [Ticket(str(at), text, label) for at, (text, label) in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        sample = cut_rows(tickets, 7, embed, silent(), Path(folder), encoder=embed.key)
        systems, best = score_baselines(sample, CheapMethods(sample), "accuracy", silent())
    table = {}
    for system in systems:
        value = score_system(system, sample.truth, len(sample.names)).accuracy
        table[system.name] = [round(100 * part, 1) for part in (value.value, value.low, value.high)]
    return {"accuracy": table, "held_out": sample.held_out, "best": best.name}


def few_rows(
    rows: list[tuple[str, str]], embeds: Sequence[KnownRows], sizes: Sequence[int], draws: int
) -> dict[str, Any]:
    """Mean accuracy by size, encoder and method over `draws` samples, the same for each encoder; and the gain of the last over the
    first encoder, by draw."""
    result: dict[str, Any] = {}
    for size in sizes:
        samples = [np.random.default_rng(seed).permutation(len(rows))[:size] for seed in range(draws)]
        tables = [
            [scores([rows[at] for at in sorted(one)], embed)["accuracy"] for one in samples]
            for embed in embeds
        ]
        methods = [name for name in tables[0][0] if name != MAJORITY]
        result[str(size)] = {
            name: {
                **{
                    e.key: round(float(np.mean([t[name][0] for t in own])), 1)
                    for e, own in zip(embeds, tables, strict=True)
                },
                "gains": [
                    round(b[name][0] - a[name][0], 1) for a, b in zip(tables[0], tables[-1], strict=True)
                ],
            }
            for name in methods
        }
        print("few rows", size, json.dumps(result[str(size)]), flush=True)
    return result


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="500 rows of each instead of 2,125 and 3,000")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for name, rows in (("german_tickets", list(german())), ("banking77", banking())):
        most = 500 if options.quick else 3_000
        order = np.random.default_rng(7).permutation(len(rows))[:most]
        part = [rows[at] for at in sorted(order)]
        texts = [text for text, _ in part]
        result[name] = {"rows": len(part), "languages": language_shares(texts), "uses": encoder_for(texts)}
        embeds = [KnownRows(key, texts) for key in ENCODERS]
        for embed in embeds:
            result[name][embed.key] = {**scores(part, embed), "cpu_ms": embed.cpu_ms}
            print(name, embed.key, json.dumps(result[name][embed.key]), flush=True)
        if name == "german_tickets":
            sizes, draws = ((100,), 3) if options.quick else ((100, 200, 400), 5)
            result[name]["few_rows"] = few_rows(part, embeds, sizes, draws)
    print(json.dumps(result) if options.json else "")


if __name__ == "__main__":
    main()
