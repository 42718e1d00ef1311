"""Questions of fact over documents that no reader of the code has seen: answered, cited right, near misses refused.

Of `benchmarks/documents` (ten documents of different kinds by another hand, CC0): the share answered of the questions
whose passage is among the eight retrieved, the share of answers that cite a passage which holds the labelled one, the
share whose own sentence holds it, the share of near misses answered, recall@5 and nDCG@10; the last two also for
langchain-chroma's default in the same run, where it is installed. `--set heldout` is run once per release.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.documents_corpus import (
    EVERYONE,
    FOLDER,
    FOURTH,
    SECOND,
    THIRD,
    LabelledQuestion,
    add_documents,
    read_questions,
)
from rag.answer.factual import FactualAnswer, answer_fact
from rag.index import Index
from rag.reply import Citation
from rag.search.embedding import CachedEmbedder, MiniLM, load_embedder
from rag.search.retrieval import retrieve

FOUND, DEPTH = 8, 10


def main() -> None:
    """Measure, print, and with --json one object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the questions, no baseline")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--set", choices=("dev", "heldout", "second", "third", "fourth"), default="dev")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        embed = load_embedder(Path(folder) / "cache")
        report = {
            "date": datetime.date.today().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {embed.name}",
            **measure_documents(embed, Path(folder), options.set, options.quick),
        }
    for name, value in report.items():
        print(f"{name:<26} {value}", flush=True)
    if options.json:
        print(json.dumps(report))


def measure_documents(embed: MiniLM, folder: Path, name: str, quick: bool) -> dict[str, Any]:
    """The figures of the set `name` (a choice of --set), indexed in `folder`; with the baseline unless `quick`."""
    source = {"second": SECOND, "third": THIRD, "fourth": FOURTH}.get(name, FOLDER)
    rows = name if source == FOLDER else "heldout"
    questions = read_questions(rows, source)[:: 3 if quick else 1]
    with Index.open(folder / "index", embed) as index:
        add_documents(index, source)
        report = {"set": name, **measure(index, questions, embed)}
        if not quick:
            report["langchain_chroma_default"] = baseline(index, questions, folder)
    return report


def measure(index: Index, questions: Sequence[LabelledQuestion], embed: MiniLM) -> dict[str, Any]:
    """The figures of the search and of the embedded answer."""
    rows = CachedEmbedder(embed, most=20_000)
    answerable = [question for question in questions if not question.near]
    ranks: list[int | None] = []
    answers: list[tuple[LabelledQuestion, bool, FactualAnswer]] = []
    seconds: list[float] = []
    for question in questions:
        began = time.process_time()
        passages = retrieve(index, question.question, EVERYONE, DEPTH)
        answer = answer_fact(question.question, passages[:FOUND], rows)
        seconds.append(time.process_time() - began)
        rank = first_rank(question, [passage.text for passage in passages])
        answers.append((question, rank is not None and rank <= FOUND, answer))
        if not question.near:
            ranks.append(rank)
    among = [row for row in answers if row[1]]
    rows_with_answer = [row for row in answers if not row[0].near and row[2].answer.claims]
    near = [row for row in answers if row[0].near]
    return {
        "questions": f"{len(answerable)} answerable, {len(near)} near misses",
        **search_figures(ranks),
        "answered_of_found": share([bool(row[2].answer.claims) for row in among]),
        "cited_passage_holds_it": share(
            [_holds(row[0], row[2].answer.citations) for row in rows_with_answer]
        ),
        "first_sentence_holds_it": share(
            [row[0].is_answered_by(row[2].answer.citations[0].quote) for row in rows_with_answer]
        ),
        "near_misses_answered": share([bool(row[2].answer.claims) for row in near]),
        "calibration_error": calibration_error(answers),
        "cpu_ms_p50": round(1000 * float(np.quantile(seconds, 0.5)), 1),
        "cpu_ms_p95": round(1000 * float(np.quantile(seconds, 0.95)), 1),
    }


def _holds(question: LabelledQuestion, citations: Sequence[Citation]) -> bool:
    return any(question.is_held_by(citation.passage) for citation in citations)


def first_rank(question: LabelledQuestion, texts: Sequence[str]) -> int | None:
    """The place, from 1, of the first text that holds the labelled passage."""
    return next((rank for rank, text in enumerate(texts, 1) if question.is_held_by(text)), None)


def search_figures(ranks: Sequence[int | None]) -> dict[str, float]:
    """One passage is right per question, so nDCG is the discount of its rank."""
    count = max(1, len(ranks))
    return {
        "recall_at_8": round(sum(rank is not None and rank <= FOUND for rank in ranks) / count, 3),
        "recall_at_5": round(sum(rank is not None and rank <= 5 for rank in ranks) / count, 3),
        "ndcg_at_10": round(sum(1 / math.log2(rank + 1) for rank in ranks if rank) / count, 3),
    }


def calibration_error(answers: Sequence[tuple[LabelledQuestion, bool, FactualAnswer]]) -> float:
    """The expected calibration error of the confidence, in five equal bins, over questions that got an answer."""
    rows = [(a.confidence, _holds(q, a.answer.citations)) for q, _, a in answers if a.answer.claims]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for chance, right in rows:
        bins.setdefault(min(4, int(5 * chance)), []).append((chance, right))
    off = [abs(sum(c - r for c, r in some)) for some in bins.values()]
    return round(sum(off) / max(1, len(rows)), 3)


def share(flags: Sequence[bool]) -> str:
    """ "52/60 (0.867)", or "0/0" of nothing."""
    return f"{sum(flags)}/{len(flags)} ({sum(flags) / len(flags):.3f})" if flags else "0/0"


def baseline(index: Index, questions: Sequence[LabelledQuestion], folder: Path) -> dict[str, float] | str:
    """recall@5 and nDCG@10 of langchain-chroma over the same texts, cut by langchain's splitter at its defaults."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    from benchmarks.chroma_default import Embeddings, default_embedder, open_store

    try:
        store = open_store(folder / "baseline", Embeddings(default_embedder(folder)))
    except ImportError:
        return "langchain-chroma is not installed: pip install -c constraints.txt '.[bench]'"

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    texts = [row[0] for row in index.store.connection.execute("SELECT text FROM documents ORDER BY source")]
    chunks = [chunk for text in texts for chunk in splitter.split_text(text)]
    store.add_texts(chunks)
    ranks = []
    for question in questions:
        if not question.near:
            nearest = store.similarity_search(question.question, k=DEPTH)
            ranks.append(first_rank(question, [document.page_content for document in nearest]))
    figures = search_figures(ranks)
    return {"chunks": len(chunks), **figures}


if __name__ == "__main__":
    main()
