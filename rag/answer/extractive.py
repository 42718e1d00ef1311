"""Writes the cited answer without a language model: selects pieces of the retrieved passages and checks them against their source.

Behind a verdict, the best piece for each line of the table that decided, then the question's own best; for a
factual question its best pieces, or one piece per part where it asks for a list. Covers that every claim
is verbatim in its passage. Does not cover whether the passage is true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import log

import numpy as np

from rag.answer.citations import Answer, citation, cite, corrects, refusal, with_corrections
from rag.answer.factual import answer_fact
from rag.answer.pieces import CORRECTION, Piece, sentences_alone
from rag.answer.question_terms import stems
from rag.search.embedding import Embedder
from rag.search.retrieval import STOP_WORDS, Passage

__all__ = [
    "Answer",
    "Piece",
    "ScoredPieces",
    "citation",
    "cite",
    "compose",
    "corrects",
    "refusal",
    "with_corrections",
]
MAX_CLAIMS = 4
MIN_SCORE_TO_BACK = 0.55  # a piece this near to a phrase supports it (docs/decisions.d/llm-path.md)
MIN_SCORE_BESIDE_VERDICT = 0.59  # the least for the question's own piece to stand beside a verdict
MIN_SCORE_ON_POINT = 0.70  # ... with half of its nearness to the verdict's phrases added
MIN_SCORE_TO_ANSWER_A_LIST = 0.87  # a piece this good answers a question for a list by itself
WEIGHT_OF_SHARED_WORDS = 0.35  # beside the cosine
MAX_COSINE_BETWEEN_CLAIMS = 0.82  # two pieces nearer than this count as duplicates


class ScoredPieces:
    """The pieces of some passages with their vectors; scores are cosine (0-1) plus shared words."""

    def __init__(self, passages: Sequence[Passage], embed: Embedder, skip: Callable[[str], bool]) -> None:
        self.pieces = [Piece(p, u) for p in passages for u in sentences_alone(p.text) if not skip(u)]
        self._embed = embed
        self.rows = embed([piece.text for piece in self.pieces])
        self._leaves = embed([piece.leaf for piece in self.pieces])
        self._words = [content_stems(f"{piece.leaf} {piece.text}") for piece in self.pieces]
        self._count = Counter(word for words in self._words for word in words)

    def nearness(self, text: str) -> np.ndarray:
        """Cosine of each piece to the text, with something for the heading that it stands under."""
        row = self._embed([text])[0]
        return np.asarray(0.85 * (self.rows @ row) + 0.15 * (self._leaves @ row))

    def scores(self, text: str) -> np.ndarray:
        """Nearness, and something for the words that a piece shares with the text."""
        return self.nearness(text) + WEIGHT_OF_SHARED_WORDS * self.shared(text)

    def shared(self, text: str) -> np.ndarray:
        """The share of the text's words that each piece holds, rare words counting more."""
        terms = content_stems(text)
        weight = {word: log(1 + len(self.pieces) / (1 + self._count[word])) for word in terms}
        whole = sum(weight.values()) or 1.0
        return np.asarray([sum(weight[w] for w in terms & words) / whole for words in self._words])


def content_stems(text: str) -> frozenset[str]:
    """The stems of the words that are no stop words."""
    return stems(text) - {stem for word in STOP_WORDS for stem in stems(word)}


def compose(
    question: str,
    passages: Sequence[Passage],
    embed: Embedder,
    *,
    queries: Sequence[str] = (),
    parts: Sequence[Passage] = (),
    document_count: int = 0,
    min_log_odds: float | None = None,
    skip: Callable[[str], bool] = lambda text: False,
) -> Answer:
    """The answer from these passages.

    `queries` are the phrases behind a verdict, `parts` the passages of a list that was asked for, `document_count` the number
    of documents that the asker may read, `min_log_odds` the least for an answer to a question of fact (None: the
    fitted one); `skip` tells pieces that must not be said.
    """
    if not passages:
        return refusal(passages, document_count)
    if not queries and not parts:
        return answer_fact(question, passages, embed, document_count, min_log_odds, skip).answer
    pieces = ScoredPieces(passages, embed, skip)
    if not pieces.pieces:
        return refusal(passages, document_count)
    if parts:
        if float(pieces.scores(question).max()) >= MIN_SCORE_TO_ANSWER_A_LIST:
            return answer_fact(question, passages, embed, document_count, min_log_odds, skip).answer
        rows = [Piece(p, u, _label(p, u)) for p in parts for u in _first(p, skip)]
        return cite(with_corrections(rows, embed))
    best = _behind_verdict(question, queries, pieces)
    if not best:
        return refusal(passages, document_count)
    return cite(with_corrections([pieces.pieces[i] for i in best], embed))


def _behind_verdict(question: str, queries: Sequence[str], pieces: ScoredPieces) -> list[int]:
    """The best piece for each phrase, then the question's own if it is about the verdict's subject."""
    picks: list[int] = []
    near = np.zeros(len(pieces.pieces))
    for phrase in queries:
        scores = pieces.nearness(phrase)
        near = np.maximum(near, scores)
        best = int(scores.argmax())
        if scores[best] >= MIN_SCORE_TO_BACK:
            _take(best, picks, pieces)
    scores = pieces.scores(question)
    best = int(scores.argmax())
    if scores[best] >= MIN_SCORE_BESIDE_VERDICT and scores[best] + 0.5 * near[best] >= MIN_SCORE_ON_POINT:
        _take(best, picks, pieces)
    return picks[:MAX_CLAIMS]


def _take(i: int, picks: list[int], pieces: ScoredPieces) -> None:
    if all(float(pieces.rows[i] @ pieces.rows[j]) < MAX_COSINE_BETWEEN_CLAIMS for j in picks):
        picks.append(i)


def _first(passage: Passage, skip: Callable[[str], bool]) -> list[str]:
    return [
        unit for unit in sentences_alone(passage.text) if not skip(unit) and not unit.startswith(CORRECTION)
    ][:1]


def _label(passage: Passage, text: str) -> str:
    """The section's name, unless the text opens with it."""
    leaf = passage.heading.rsplit(" > ", 1)[-1]
    return "" if text.split()[0].lower() == leaf.split()[0].lower() else leaf
