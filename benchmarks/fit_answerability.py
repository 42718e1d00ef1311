"""Fits the weights of rag/answer/answerability.py and reports them by leave-document-out.

The examples are those of benchmarks/answer_examples.py. Near misses of the passages by hand weigh as if there were one for
two questions and little in all, questions made unanswerable weigh half. The threshold is `--threshold`, else the highest at
which one near miss in ten over benchmarks/documents is answered, each judged by weights that never saw its document. `--write`
writes rag/data/answerability.json and keeps the confidence, which benchmarks/calibrate_answers.py fits.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.answer_examples import (
    Example,
    document_examples,
    passage_examples,
    sample_examples,
    unanswerable,
)
from benchmarks.documents_corpus import add_documents
from benchmarks.made_documents import FITTING, add_made_documents_apart, made_questions
from rag.answer.answerability import FEATURES, WEIGHTS
from rag.evaluation.retrieval import add_samples
from rag.index import Index
from rag.search.embedding import CachedEmbedder, MiniLM, load_embedder

REGULARISATION = 0.1
EVERY_BY_HAND = 3  # of 1,717 questions of that hand
MAX_NEAR_ANSWERED, MAX_NEAR_ANSWERED_UNASKED = 0.1, 0.02  # of the near misses over benchmarks/documents


def main() -> None:
    """Fit, report, and with --write keep the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write rag/data/answerability.json")
    parser.add_argument("--threshold", type=float, help="log-odds, chosen on sets that nothing is fitted on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        examples = all_examples(load_embedder(Path(folder) / "cache"), Path(folder))
    held_out = leave_group_out(examples)
    weights = fit(examples)
    threshold = options.threshold or thresholds_of(held_out, MAX_NEAR_ANSWERED)[1] - 0.01
    print(f"threshold {threshold:.2f} log-odds")
    print(report(held_out, threshold))
    for other in (1.0, 0.8, 0.6, 0.4, 0.2, -0.2, -0.4):
        print(
            f"at {threshold + other:.2f} log-odds:", report(held_out, threshold + other).replace("\n", "; ")
        )
    if options.write:
        least_unasked = float(np.mean(thresholds_of(held_out, MAX_NEAR_ANSWERED_UNASKED)))
        WEIGHTS.write_text(_as_json(weights, threshold, least_unasked), encoding="utf-8")


def all_examples(embed: MiniLM, folder: Path) -> list[Example]:
    """Every example, its documents indexed in `folder`."""
    cache = CachedEmbedder(embed, most=100_000)
    with Index.open(folder / "documents", embed) as index:
        add_documents(index)
        examples = document_examples(index, cache)
    with Index.open(folder / "samples", embed) as index:
        add_samples(index)
        examples += sample_examples(index, cache)
    chance = random.Random(1)
    examples += [false for one in examples for false in unanswerable(one, cache, chance)]
    with Index.open(folder / FITTING.stem, embed) as index:
        scopes = add_made_documents_apart(index, FITTING, folder / "made")
        examples += passage_examples(
            index, made_questions(FITTING)[::EVERY_BY_HAND], scopes, cache, FITTING.stem
        )
    return examples


@dataclass(frozen=True)
class Fit:
    """A fitted logistic on the features as they are."""

    weights: np.ndarray
    bias: float

    def __call__(self, table: np.ndarray) -> np.ndarray:
        return np.asarray(table @ self.weights + self.bias)


def fit(examples: Sequence[Example]) -> Fit:
    """A logistic over all pieces, scaled for fitting and unscaled afterwards."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    table = np.concatenate([one.table for one in examples])
    labels = np.concatenate([one.labels for one in examples])
    trust = np.concatenate([np.full(len(one.labels), one.weight) for one in examples])
    scaler = StandardScaler().fit(table)
    model = LogisticRegression(C=REGULARISATION, max_iter=3000)
    model.fit(scaler.transform(table), labels, sample_weight=trust)
    weights = model.coef_[0] / scaler.scale_
    return Fit(weights, float(model.intercept_[0] - weights @ scaler.mean_))


def leave_group_out(examples: Sequence[Example]) -> list[tuple[Example, float, bool]]:
    """(question, log-odds of its best piece, whether that answers) by weights that never saw the document."""
    results = []
    for group in sorted({one.group for one in examples}):
        model: Callable[[np.ndarray], np.ndarray] = fit([one for one in examples if one.group != group])
        for one in examples:
            if one.group == group and not one.synthetic and len(one.pieces):
                odds = one.odds(model(one.table))
                best = int(odds.argmax())
                results.append((one, float(odds[best]), bool(one.labels[best])))
    return results


def thresholds_of(results: Sequence[tuple[Example, float, bool]], share: float) -> tuple[float, float]:
    """The lowest and the highest log-odds at which this share of the documents' near misses would be answered."""
    near = sorted((odds for one, odds, _ in results if one.near and one.kind == "documents"), reverse=True)
    count = int(share * len(near))
    return near[count], near[count - 1]


def report(results: Sequence[tuple[Example, float, bool]], threshold: float) -> str:
    """Answered of those whose passage is among the pieces, right of these, near misses answered; by kind of group."""
    lines = []
    for kind in dict.fromkeys(row[0].kind for row in results):
        mine = [row for row in results if row[0].kind == kind]
        among = [row for row in mine if row[0].labels.any()]
        answers = [row for row in mine if not row[0].near and row[1] >= threshold]
        near = [row for row in mine if row[0].near]
        lines.append(
            f"{kind}: answered {sum(row[1] >= threshold for row in among)}/{len(among)}, right piece first"
            f" {sum(row[2] for row in answers)}/{len(answers)}, near misses answered"
            f" {sum(row[1] >= threshold for row in near)}/{len(near)}"
        )
    return "\n".join(lines)


def _as_json(weights: Fit, threshold: float, least_unasked: float) -> str:
    values = {
        "weights": dict(zip(FEATURES, (round(float(w), 4) for w in weights.weights), strict=True)),
        "bias": round(weights.bias, 4),
        "min_log_odds": round(threshold, 3),
        "min_log_odds_unasked": round(least_unasked, 3),
        "calibration": json.loads(WEIGHTS.read_text(encoding="utf-8"))["calibration"],
    }
    return json.dumps(values, indent=1) + "\n"


if __name__ == "__main__":
    main()
