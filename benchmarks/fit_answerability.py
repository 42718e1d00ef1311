"""Fits the weights of rag/answer/answerability.py and reports them by leave-document-out.

Rows: benchmarks/documents/dev.jsonl, rag/data/retrieval_eval.jsonl and the near misses of benchmarks/answers.yaml.
To these come questions that nothing answers by construction: with the passage taken away, with a number changed, with
a telling word of the answer's replaced. Each weighs half. The threshold is the one at which one near miss in ten is
answered, each judged by weights that never saw its document. `--write` writes rag/data/answerability.json.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.documents_corpus import EVERYONE, add_documents, read_questions
from rag.answer.answer_model import load_answer_model
from rag.answer.answerability import FEATURES, WEIGHTS, features
from rag.answer.factual import in_context, rank_pieces
from rag.answer.pieces import Piece
from rag.answer.question_terms import has_digit, rarity, read_question, stem, stems
from rag.evaluation.retrieval import add_samples, read_rows
from rag.index import Index
from rag.search.embedding import Embedder, Remembered, load_embedder
from rag.search.retrieval import retrieve

ANSWERS = Path(__file__).with_name("answers.yaml")
SYNTHETIC_WEIGHT = 0.5
REGULARISATION = 0.1
MAX_NEAR_ANSWERED, MAX_NEAR_ANSWERED_UNASKED = 0.1, 0.02  # of the near misses over benchmarks/documents
STRANGERS = [
    "crew",
    "laptop",
    "warranty",
    "parking",
    "birthday",
    "insurance",
    "helicopter",
    "altitude",
    "orchestra",
    "postcode",
    "vineyard",
    "passport",
    "invoice",
    "battery",
    "playground",
    "mayor",
    "dentist",
    "opening",
    "refund",
    "sticker",
    "calendar",
    "licence",
    "engine",
    "garden",
    "translation",
    "bakery",
    "shipping",
    "tax",
    "podcast",
    "keyboard",
    "cinema",
]


@dataclass(frozen=True)
class Example:
    """A question with its ranked pieces; `labels` are 1 for a piece that answers it. `group` is left out together."""

    question: str
    pieces: tuple[Piece, ...]
    rows: np.ndarray
    table: np.ndarray
    labels: np.ndarray
    group: str
    near: bool
    synthetic: bool = False


def main() -> None:
    """Fit, report, and with --write keep the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write rag/data/answerability.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        embed = load_embedder(Path(folder) / "cache")
        cache = Remembered(embed, most=100_000)
        with (
            Index.open(Path(folder) / "documents", embed) as documents,
            Index.open(Path(folder) / "samples", embed) as samples,
        ):
            add_documents(documents)
            add_samples(samples)
            examples = document_examples(documents, cache) + sample_examples(samples, cache)
        chance = random.Random(1)
        examples += [false for one in examples for false in unanswerable(one, cache, chance)]
    held_out = leave_group_out(examples)
    weights = fit(examples)
    calibration = calibrate(held_out)
    threshold = threshold_of(held_out, MAX_NEAR_ANSWERED)
    print(f"threshold {threshold:.2f} log-odds, calibration {calibration}")
    print(report(held_out, threshold))
    for other in (1.0, 0.8, 0.6, 0.4, 0.2, -0.2, -0.4):
        print(
            f"at {threshold + other:.2f} log-odds:", report(held_out, threshold + other).replace("\n", "; ")
        )
    if options.write:
        least_unasked = threshold_of(held_out, MAX_NEAR_ANSWERED_UNASKED)
        WEIGHTS.write_text(_as_json(weights, threshold, least_unasked, calibration), encoding="utf-8")


def document_examples(index: Index, embed: Embedder) -> list[Example]:
    """The labelled questions over the documents; a piece answers when it holds the labelled passage or its answer."""
    examples = []
    for question in read_questions("dev"):
        ranking = rank_pieces(question.question, retrieve(index, question.question, EVERYONE), embed)
        labels = np.asarray([float(question.is_answered_by(piece.text)) for piece in ranking.pieces])
        examples.append(
            Example(
                question.question,
                ranking.pieces,
                ranking.rows,
                ranking.table,
                labels,
                question.document,
                question.near,
            )
        )
    return examples


def sample_examples(index: Index, embed: Embedder) -> list[Example]:
    """The labelled questions over the guide and the samples, in five groups."""
    answers = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    near = [*answers["near_misses"], *answers["fresh_near_misses"], *answers["unseen_near_misses"]]
    rows = [*read_rows(), *answers["unseen_paraphrases"], *({"question": text} for text in near)]
    places = {document.id: Path(document.source).name for document in index.documents()}
    examples = []
    for number, row in enumerate(rows):
        ranking = rank_pieces(row["question"], retrieve(index, row["question"], EVERYONE), embed)
        labels = [
            float(
                "doc" in row
                and places.get(piece.passage.doc_id) == row["doc"]
                and row["holds"] in " ".join(piece.text.split())
            )
            for piece in ranking.pieces
        ]
        group = f"samples {number % 5}"
        examples.append(
            Example(
                row["question"],
                ranking.pieces,
                ranking.rows,
                ranking.table,
                np.asarray(labels),
                group,
                "doc" not in row,
            )
        )
    return examples


def unanswerable(example: Example, embed: Embedder, chance: random.Random) -> list[Example]:
    """Up to three questions that nothing answers, made of one that a piece answers."""
    if example.near or not example.labels.any():
        return []
    holders = {p.passage.chunk_id for p, label in zip(example.pieces, example.labels, strict=True) if label}
    answer = " ".join(
        f"{p.text} {p.before} {p.passage.heading}" for p in example.pieces if p.passage.chunk_id in holders
    )
    keep = [i for i, piece in enumerate(example.pieces) if piece.passage.chunk_id not in holders]
    examples = [_without_answer(example, example.question, keep, embed)] if len(keep) > 3 else []
    others = (_other_number(example.question, answer, chance), _other_word(example.question, answer, chance))
    examples += [_without_answer(example, text, range(len(example.pieces)), embed) for text in others if text]
    return examples


def _without_answer(example: Example, question: str, keep: Sequence[int], embed: Embedder) -> Example:
    pieces, rows = [example.pieces[i] for i in keep], example.rows[list(keep)]
    logits = load_answer_model(embed.cache)(question, [in_context(piece) for piece in pieces])
    table = features(question, pieces, rows @ embed([question])[0], logits)
    return replace(
        example, question=question, pieces=tuple(pieces), rows=rows, table=table,
        labels=np.zeros(len(pieces)), near=True, synthetic=True,
    )  # fmt: skip


def _other_number(question: str, answer: str, chance: random.Random) -> str | None:
    numbers = list(re.finditer(r"\d+", question))
    if not numbers:
        return None
    match = chance.choice(numbers)
    for _ in range(20):
        step = chance.choice([-7, -6, -4, -3, 3, 4, 6, 7, 9]) if len(match[0]) < 5 else chance.randint(11, 99)
        other = str(max(1, int(match[0]) + step))
        if other != match[0] and not re.search(rf"\b{other}\b", answer):
            return question[: match.start()] + other + question[match.end() :]
    return None


def _other_word(question: str, answer: str, chance: random.Random) -> str | None:
    shared = stems(answer)
    words = [
        word
        for term, word in read_question(question).words.items()
        if not has_digit(term) and rarity(word) > 0.35 and stem(word) in shared
    ]
    if not words:
        return None
    return re.sub(rf"\b{re.escape(chance.choice(words))}\b", chance.choice(STRANGERS), question, count=1)


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
    trust = np.concatenate(
        [np.full(len(o.labels), SYNTHETIC_WEIGHT if o.synthetic else 1.0) for o in examples]
    )
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
                odds = model(one.table)
                best = int(odds.argmax())
                results.append((one, float(odds[best]), bool(one.labels[best])))
    return results


def threshold_of(results: Sequence[tuple[Example, float, bool]], share: float) -> float:
    """The log-odds above which this share of the documents' near misses would be answered."""
    near = sorted((odds for one, odds, _ in results if one.near and one.group.count(".")), reverse=True)
    return near[int(share * len(near))] + 1e-6


def calibrate(results: Sequence[tuple[Example, float, bool]]) -> tuple[float, float]:
    """Slope and intercept from log-odds to the measured chance that the best piece answers."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100).fit(
        [[odds] for _, odds, _ in results], [right for _, _, right in results]
    )
    return float(model.coef_[0][0]), float(model.intercept_[0])


def report(results: Sequence[tuple[Example, float, bool]], threshold: float) -> str:
    """Answered of those whose passage is among the pieces, right of these, near misses answered; by kind of group."""
    lines = []
    for name, mine in (
        ("documents", [row for row in results if not row[0].group.startswith("samples")]),
        ("samples", [row for row in results if row[0].group.startswith("samples")]),
    ):
        among = [row for row in mine if row[0].labels.any()]
        answers = [row for row in mine if not row[0].near and row[1] >= threshold]
        near = [row for row in mine if row[0].near]
        lines.append(
            f"{name}: answered {sum(row[1] >= threshold for row in among)}/{len(among)}, right piece first"
            f" {sum(row[2] for row in answers)}/{len(answers)}, near misses answered"
            f" {sum(row[1] >= threshold for row in near)}/{len(near)}"
        )
    return "\n".join(lines)


def _as_json(weights: Fit, threshold: float, least_unasked: float, calibration: tuple[float, float]) -> str:
    values = {
        "weights": dict(zip(FEATURES, (round(float(w), 4) for w in weights.weights), strict=True)),
        "bias": round(weights.bias, 4),
        "min_log_odds": round(threshold, 3),
        "min_log_odds_unasked": round(least_unasked, 3),
        "calibration": {"slope": round(calibration[0], 3), "intercept": round(calibration[1], 3)},
    }
    return json.dumps(values, indent=1) + "\n"


if __name__ == "__main__":
    main()
