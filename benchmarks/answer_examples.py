"""Questions with their ranked pieces, labelled, for fitting the score of rag/answer/answerability.py.

From benchmarks/documents/dev.jsonl, rag/data/retrieval_eval.jsonl with the near misses of benchmarks/answers.yaml, and the
documents by a hand that no training reads (`FITTING`), each question asked of all of them and of its own alone. To the first two come questions that nothing answers by construction: with the passage taken away, with a number
changed, with a telling word of the answer's replaced.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from benchmarks.documents_corpus import EVERYONE, LabelledQuestion, read_questions
from rag.answer.answer_model import load_answer_model
from rag.answer.answerability import features
from rag.answer.factual import in_context, rank_pieces
from rag.answer.pieces import Piece
from rag.answer.precedence import with_precedence
from rag.answer.question_terms import has_digit, rarity, read_question, stem, stems
from rag.answer.score_penalties import doubts
from rag.evaluation.retrieval import read_rows
from rag.index import Index
from rag.search.embedding import Embedder
from rag.search.retrieval import retrieve

ANSWERS = Path(__file__).with_name("answers.yaml")
SYNTHETIC_WEIGHT = 0.5
WEIGHT_BY_HAND = 0.05  # with more, the sets by other hands lose what this hand gains
NEAR_MISSES_PER_QUESTION = 0.5  # as in the sets by other hands; the passages by hand hold twice as many
FOLDS = 5
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
    """A question with its ranked pieces; `labels` are 1 for a piece that answers it. `group` is left out together.

    `kind` is documents, samples, or a hand's file with all its documents or one alone.
    """

    question: str
    pieces: tuple[Piece, ...]
    rows: np.ndarray
    table: np.ndarray
    labels: np.ndarray
    kind: str
    group: str
    near: bool
    weight: float = 1.0
    synthetic: bool = False

    def odds(self, values: np.ndarray) -> np.ndarray:
        """What the product makes of the fitted score's log-odds, piece by piece."""
        return with_precedence(self.question, self.pieces, values - doubts(self.question, self.pieces))


def document_examples(index: Index, embed: Embedder) -> list[Example]:
    """The labelled questions over the documents; a piece answers when it holds the labelled passage or its answer."""
    return [
        _example(index, question, embed, EVERYONE, "documents", question.document)
        for question in read_questions("dev")
    ]


def passage_examples(
    index: Index,
    questions: Sequence[LabelledQuestion],
    scopes: dict[str, frozenset[str]],
    embed: Embedder,
    kind: str,
) -> list[Example]:
    """The questions over a hand's documents, asked of all of them and of their own alone."""
    near_count = sum(question.near for question in questions)
    weight = NEAR_MISSES_PER_QUESTION * (len(questions) - near_count) / max(1, near_count)
    folds = {document: number % FOLDS for number, document in enumerate(sorted(scopes))}
    everyone = frozenset[str]().union(*scopes.values())
    return [
        replace(
            _example(index, question, embed, scope, name, f"{kind} {folds[question.document]}"),
            weight=WEIGHT_BY_HAND * (weight if question.near else 1.0),
        )
        for question in questions
        for name, scope in ((kind, everyone), (f"{kind} alone", scopes[question.document]))
    ]


def _example(
    index: Index, question: LabelledQuestion, embed: Embedder, scopes: frozenset[str], kind: str, group: str
) -> Example:
    ranking = rank_pieces(question.question, retrieve(index, question.question, scopes), embed)
    labels = [float(question.is_answered_by(piece.text)) for piece in ranking.pieces]
    return Example(
        question.question, ranking.pieces, ranking.rows, ranking.table,
        np.asarray(labels), kind, group, question.near,
    )  # fmt: skip


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
        examples.append(
            Example(
                row["question"], ranking.pieces, ranking.rows, ranking.table,
                np.asarray(labels), "samples", f"samples {number % FOLDS}", "doc" not in row,
            )
        )  # fmt: skip
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
        labels=np.zeros(len(pieces)), near=True, synthetic=True, weight=SYNTHETIC_WEIGHT,
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
