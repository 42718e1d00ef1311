"""The extracted answer and the gate, beside what is usual: refusal by cosine alone, a citation that merely exists.

Answers: share of questions answered that the guide holds, and refused that it almost holds; tuned-on and fresh
questions apart. Kinds: the same over the guide and the sample documents, with the share whose answer cites the
right passage; `unseen` ones were never fitted on. Documents: benchmarks/answers_over_documents.py, ten documents by another hand
(`--set heldout` once per release). Weights come from benchmarks/fit_answerability.py. Gate: faithful rewordings kept, and sentences passed beside a quote of something else.
Latency: question to checked answer, first time and with remembered vectors. `--quick` is the whole of it (< 60 s).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.answers_over_documents import measure_documents
from rag.advice.decide import advise
from rag.advice.decision_table import load_table
from rag.answer.answerability import FEATURES
from rag.answer.evidence import collect_passages
from rag.answer.factual import rank_pieces
from rag.answer.generative import apart
from rag.answer.writer import Writer
from rag.evaluation.retrieval import add_samples, answers, read_rows
from rag.grounding import fault
from rag.index import Index
from rag.search.embedding import CachedEmbedder, load_embedder
from rag.signals.rules import EmbeddedReader
from rag.signals.schema import Signals

QUESTIONS = Path(__file__).with_suffix(".yaml")
SCOPES = frozenset({"workspace"})


def main() -> None:
    """Measure, print a table, and with --json one object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a third of the documents' questions, no baseline"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--set", choices=("dev", "heldout"), default="dev", help="of the documents' questions"
    )
    options = parser.parse_args()
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        embed = load_embedder(Path(folder) / "cache")
        with Index.open(Path(folder) / "index", embed) as index:
            index.ensure_guide()
            result: dict[str, Any] = {
                "date": datetime.date.today().isoformat(),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "tuned_on": refusal(index, questions["near_misses"], questions["held"]),
                "fresh": refusal(index, questions["fresh_near_misses"], questions["fresh_held"]),
                "gate": gate(index, questions["faithful"]),
                "latency_ms": latency(index, questions["held"] + questions["fresh_held"]),
            }
            with (
                Index.open(Path(folder) / "samples", embed) as samples,
                Index.open(Path(folder) / "long", embed) as long,
            ):
                add_samples(samples)
                add_samples(long, headings=False)
                labelled = read_rows()
                for name, cut in (("kinds", samples), ("kinds_without_headings", long)):
                    result[name] = answers(cut, [*labelled, *unseen(questions)])
        result["documents"] = measure_documents(embed, Path(folder) / "documents", options.set, options.quick)
    for name, value in result.items():
        print(f"{name:<12} {value}")
    if options.json:
        print(json.dumps(result))


def refusal(index: Index, near: list[str], in_guide: list[str]) -> dict[str, Any]:
    """Ours at its threshold; AUC of the best piece's log-odds, and of the best cosine alone."""
    write, table = Writer(index, index.embed, EmbeddedReader(index.embed)), load_table()
    guide = advise(Signals(topic="guide"), table)
    empty = {q: not write(q, guide, SCOPES).claims for q in (*near, *in_guide)}
    rows = CachedEmbedder(index.embed)
    best: dict[str, list[tuple[float, float]]] = {"near": [], "held": []}
    for name, questions in (("near", near), ("held", in_guide)):
        for question in questions:
            ranking = rank_pieces(question, collect_passages(index, question, (), SCOPES), rows)
            cosines = ranking.table[:, FEATURES.index("cosine")]
            best[name].append((float(ranking.odds.max()), float(cosines.max())))
    return {
        "near_misses_refused": f"{sum(empty[q] for q in near)}/{len(near)}",
        "held_answered": f"{sum(not empty[q] for q in in_guide)}/{len(in_guide)}",
        "auc": auc([o for o, _ in best["held"]], [o for o, _ in best["near"]]),
        "auc_cosine_alone": auc([c for _, c in best["held"]], [c for _, c in best["near"]]),
    }


def unseen(questions: dict[str, Any]) -> list[dict[str, Any]]:
    """The questions that no weight was fitted on, as rows of rag/data/retrieval_eval.jsonl."""
    near = [
        {"kind": "unseen_near_miss", "question": question} for question in questions["unseen_near_misses"]
    ]
    return [{"kind": "unseen_paraphrase", **row} for row in questions["unseen_paraphrases"]] + near


def auc(good: list[float], bad: list[float]) -> float:
    """The chance that a question that is held scores above one that is not."""
    wins = [(a > b) + 0.5 * (a == b) for a in good for b in bad]
    return round(float(np.mean(wins)), 3)


def gate(index: Index, pairs: list[dict[str, str]]) -> dict[str, str]:
    """Each true sentence with its quote, and with every other quote; the usual check only asks for a citation."""
    rows = CachedEmbedder(index.embed)

    def passes(sentence: str, quote: str) -> bool:
        return fault(sentence, quote, quote) is None and apart(sentence, quote, rows) is None

    right = sum(passes(pair["sentence"], pair["quote"]) for pair in pairs)
    others = [(a["sentence"], b["quote"]) for a in pairs for b in pairs if a is not b]
    wrong = sum(passes(sentence, quote) for sentence, quote in others)
    return {
        "faithful_kept": f"{right}/{len(pairs)}",
        "wrong_quote_passed": f"{wrong}/{len(others)}",
        "wrong_quote_passed_if_only_cited": f"{len(others)}/{len(others)}",
    }


def latency(index: Index, questions: list[str]) -> dict[str, float]:
    """Median and 95th percentile, over the questions in order and then over the same again."""
    write, guide = (
        Writer(index, index.embed, EmbeddedReader(index.embed)),
        advise(Signals(topic="guide"), load_table()),
    )
    times: dict[str, float] = {}
    for name in ("first", "again"):
        took = []
        for question in questions:
            began = time.perf_counter()
            write(question, guide, SCOPES)
            took.append(1000 * (time.perf_counter() - began))
        times |= {
            f"{name}_p50": round(float(np.median(took)), 1),
            f"{name}_p95": round(float(np.quantile(took, 0.95)), 1),
        }
    return times


if __name__ == "__main__":
    main()
