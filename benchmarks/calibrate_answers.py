"""Fits the confidence of answers from documents, and measures it on documents that nothing was fitted on.

Fitted on the dev questions of benchmarks/documents and on its third set, which no weight was fitted on (rules were made in view
of it), measured on the second set and on held_documents.txt, invented documents which no training has read. A near miss counts
so that there is one for two questions that have an answer: how often people ask what nothing answers is not known, and
a confidence holds for one such share only. `--write` changes the calibration in rag/data/answerability.json, nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.documents_corpus import (
    EVERYONE,
    FOLDER,
    SECOND,
    THIRD,
    LabelledQuestion,
    add_documents,
    read_questions,
)
from benchmarks.made_documents import HELD, add_made_documents, made_questions
from rag.answer.answerability import WEIGHTS, load_weights
from rag.answer.factual import answer_fact
from rag.index import Index
from rag.search.embedding import CachedEmbedder, MiniLM, load_embedder
from rag.search.retrieval import retrieve

NEAR_MISSES_PER_QUESTION = 0.5
BINS = 5


@dataclass(frozen=True)
class Outcome:
    """An answer: the log-odds of its best piece, whether a cited passage holds the labelled one, what it counts."""

    odds: float
    right: bool
    weight: float


def main() -> None:
    """Fit on two sets, measure on all, and with --write keep slope and intercept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write rag/data/answerability.json")
    parser.add_argument("--every", type=int, default=1, help="take each n-th question")
    parser.add_argument("--quick", action="store_true", help="each third question")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    every = 3 if options.quick else options.every
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        embed = load_embedder(folder / "cache")
        sets: dict[str, list[Outcome]] = {}
        with Index.open(folder / HELD.stem, embed) as index:
            add_made_documents(index, HELD, folder / f"{HELD.stem}-documents")
            sets[HELD.stem] = outcomes(index, made_questions(HELD)[::every], embed)
        for name, rows, source in (
            ("dev", "dev", FOLDER),
            ("third", "heldout", THIRD),
            ("second", "heldout", SECOND),
        ):
            with Index.open(folder / name, embed) as index:
                add_documents(index, source)
                sets[name] = outcomes(index, read_questions(rows, source)[::every], embed)
    before = load_weights().calibration
    after = fit_calibration([*sets["third"], *sets["dev"]])
    report = {
        "slope": round(after[0], 3),
        "intercept": round(after[1], 3),
        **{
            f"calibration_error_{name}": [round(error_of(some, one), 3) for one in (before, after)]
            for name, some in sets.items()
        },
    }
    for key, value in report.items():
        print(f"{key:<36} {value}", flush=True)
    if options.json:
        print(json.dumps(report))
    if options.write:
        raw = json.loads(WEIGHTS.read_text(encoding="utf-8"))
        raw["calibration"] = {"slope": report["slope"], "intercept": report["intercept"]}
        WEIGHTS.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def outcomes(index: Index, questions: Sequence[LabelledQuestion], embed: MiniLM) -> list[Outcome]:
    """What became of each question that got an answer."""
    rows = CachedEmbedder(embed, most=20_000)
    near_count = sum(question.near for question in questions)
    weight = NEAR_MISSES_PER_QUESTION * (len(questions) - near_count) / max(1, near_count)
    slope, intercept = load_weights().calibration
    results = []
    for question in questions:
        answer = answer_fact(question.question, retrieve(index, question.question, EVERYONE), rows)
        if answer.answer.claims:
            logit = math.log(answer.confidence / (1 - answer.confidence))
            right = any(question.is_held_by(citation.passage) for citation in answer.answer.citations)
            results.append(Outcome((logit - intercept) / slope, right, weight if question.near else 1.0))
    return results


def fit_calibration(rows: Sequence[Outcome]) -> tuple[float, float]:
    """Slope and intercept from log-odds to the chance that a cited passage holds the answer."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100).fit(
        [[row.odds] for row in rows], [row.right for row in rows], sample_weight=[row.weight for row in rows]
    )
    return float(model.coef_[0][0]), float(model.intercept_[0])


def error_of(rows: Sequence[Outcome], calibration: tuple[float, float]) -> float:
    """The expected calibration error in BINS equal bins (0-1), each answer with its weight."""
    slope, intercept = calibration
    odds, right, weights = (
        np.asarray([getattr(row, name) for row in rows], dtype=float) for name in ("odds", "right", "weight")
    )
    chance = 1 / (1 + np.exp(-(slope * odds + intercept)))
    bins = np.minimum(BINS - 1, (BINS * chance).astype(int))
    off = [abs(((chance - right) * weights)[bins == one].sum()) for one in range(BINS)]
    return float(sum(off) / weights.sum())


if __name__ == "__main__":
    main()
