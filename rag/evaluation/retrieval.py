"""How well questions find their passages: labelled questions over the guide and sample documents, each switch apart.

A row is `{"id", "kind", "question", "doc", "holds"}`: a passage of `doc` that holds the phrase `holds` is right.
Kinds: plain, identifier, paraphrase (shares no rare word with its passage), near_miss (nothing answers it).
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rag.answer.extractive import compose
from rag.errors import RagError
from rag.index import GUIDE, Index
from rag.search.embedding import MiniLM
from rag.search.retrieval import Passage, SearchWeights, retrieve

DATA = Path(__file__).parents[1] / "data"
QUESTIONS = DATA / "retrieval_eval.jsonl"
EVERYONE = frozenset({"workspace"})
DEPTH = 10
FALSE_REFUSALS = 0.05
SWITCHES: dict[str, SearchWeights] = {
    "everything on": SearchWeights(),
    "without identifiers": SearchWeights(exact=0),
    "without words": SearchWeights(words=0),
    "without meaning": SearchWeights(meaning=0),
    "without parts of passages": SearchWeights(parts=False),
    "fused with k=60": SearchWeights(rrf_k=60),
    "meaning alone": SearchWeights(exact=0, words=0, parts=False),
    "words alone": SearchWeights(exact=0, meaning=0),
}
Row = Mapping[str, Any]
Find = Callable[[str], list[Passage]]


def read_rows(path: Path = QUESTIONS) -> list[dict[str, Any]]:
    """The labelled questions; RagError names a line that is none."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if not row["question"] or (row["kind"] != "near_miss" and not (row["doc"] and row["holds"])):
                raise KeyError
        except (ValueError, KeyError, TypeError) as error:
            raise RagError(f"{path}, line {number}: needs `question`, `kind`, `doc` and `holds`.") from error
        rows.append(row)
    return rows


def add_samples(index: Index, headings: bool = True) -> None:
    """Puts the guide and the sample documents of the labelled questions into an (empty) index.

    Without headings their sections run together into passages of some 200 wordpieces, as in a plain text file.
    """
    paths = [*sorted(GUIDE.glob("*.md")), *sorted(DATA.glob("sample-*.md"))]
    if headings:
        index.add(paths, EVERYONE)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            text = re.sub(r"(?m)^#+ .*\n", "", path.read_text(encoding="utf-8"))
            (Path(folder) / path.name).write_text(text, encoding="utf-8")
        index.add([folder], EVERYONE)


def measure(embed: MiniLM, rows: Sequence[Row]) -> dict[str, Any]:
    """{"n", "near_misses", "sections": ..., "long_passages": ...}: `evaluate` over both cuts of the documents."""
    report: dict[str, Any] = {"n": len(rows), "near_misses": sum(row["kind"] == "near_miss" for row in rows)}
    for name, headings in (("sections", True), ("long_passages", False)):
        with tempfile.TemporaryDirectory() as folder, Index.open(Path(folder), embed) as index:
            add_samples(index, headings)
            report[name] = evaluate(index, rows)
            report[name]["answers"] = answers(index, rows)
    return report


def answers(index: Index, rows: Sequence[Row]) -> dict[str, Any]:
    """What the embedded answer makes of the passages, by kind of question: how many, the share refused, and the
    share that cites a right passage."""
    places = {document.id: Path(document.source).name for document in index.documents()}
    embed = _CachedPieces(index.embed)
    outcomes: dict[str, list[tuple[bool, bool]]] = {}
    for row in rows:
        passages = retrieve(index, row["question"], EVERYONE)
        answer = compose(row["question"], passages, embed)
        good = {_key(one.heading, one.text) for one in passages if "doc" in row and _right(one, row, places)}
        is_right = any(_key(one.heading, one.passage) in good for one in answer.citations)
        outcomes.setdefault(row["kind"], []).append((not answer.claims, is_right))
    return {
        kind: {
            "n": len(some),
            "refused": round(sum(is_refusal for is_refusal, _ in some) / len(some), 3),
            "right_source_cited": round(sum(is_right for _, is_right in some) / len(some), 3),
        }
        for kind, some in outcomes.items()
    }


class _CachedPieces:
    """An embedder that embeds each piece of the documents once."""

    def __init__(self, inner: MiniLM) -> None:
        self._inner, self.name, self.dim, self.cache = inner, inner.name, inner.dim, inner.cache
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        for text in texts:
            if text not in self._rows:
                self._rows[text] = self._inner([text])[0]
        return np.stack([self._rows[text] for text in texts])


def _key(heading: str, text: str) -> tuple[str, str]:
    return heading, " ".join(text.split())


def evaluate(index: Index, rows: Sequence[Row]) -> dict[str, Any]:
    """{"passages", "switches": {name: figures}} of an index that holds the labelled documents."""
    places = {document.id: Path(document.source).name for document in index.documents()}
    switches = {name: figures(rows, places, partial(_find, index, legs)) for name, legs in SWITCHES.items()}
    return {"passages": index.stats().chunks, "switches": switches}


def _find(index: Index, legs: SearchWeights, question: str) -> list[Passage]:
    return retrieve(index, question, EVERYONE, DEPTH, legs)


def figures(rows: Sequence[Row], places: Mapping[str, str], find: Find) -> dict[str, Any]:
    """recall@5, MRR, nDCG@10 (all and by kind), refusal of near misses, latency in ms."""
    ranks: dict[str, list[int | None]] = {}
    answerable, near, seconds, misses = [], [], [], []
    for row in rows:
        begin = time.perf_counter()
        passages = find(row["question"])
        seconds.append(time.perf_counter() - begin)
        best = max((passage.score for passage in passages), default=0.0)
        if row["kind"] == "near_miss":
            near.append(best)
            continue
        answerable.append(best)
        rank = next((n for n, one in enumerate(passages[:DEPTH], 1) if _right(one, row, places)), None)
        ranks.setdefault(row["kind"], []).append(rank)
        if rank is None or rank > 5:
            misses.append(row["id"])
    every = [rank for some in ranks.values() for rank in some]
    threshold = float(np.quantile(answerable, FALSE_REFUSALS)) if answerable else 0.0
    return {
        **_scores(every),
        "kinds": {kind: _scores(some) for kind, some in ranks.items()},
        "refused": round(sum(score < threshold for score in near) / max(1, len(near)), 3),
        "p50_ms": round(1000 * float(np.quantile(seconds, 0.5)), 1),
        "p95_ms": round(1000 * float(np.quantile(seconds, 0.95)), 1),
        "missed": misses,
    }


def _right(passage: Passage, row: Row, places: Mapping[str, str]) -> bool:
    return places.get(passage.doc_id) == row["doc"] and row["holds"] in " ".join(passage.text.split())


def _scores(ranks: Sequence[int | None]) -> dict[str, Any]:
    """One passage is right per question, so nDCG is the discount of its rank."""
    n = max(1, len(ranks))
    return {
        "n": len(ranks),
        "recall_at_5": round(sum(rank is not None and rank <= 5 for rank in ranks) / n, 3),
        "mrr": round(sum(1 / rank for rank in ranks if rank) / n, 3),
        "ndcg_at_10": round(sum(1 / math.log2(rank + 1) for rank in ranks if rank) / n, 3),
    }
