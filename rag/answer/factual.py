"""The answer to a question of fact: the passages' pieces, the most likely first, or a refusal where none answers.

`answer_from_documents` does all steps for a question that the team's own documents may answer: it searches within the
asker's scopes, then answers with a measured confidence or refuses. It gives no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rag.answer.answer_model import load_answer_model
from rag.answer.answerability import (
    FEATURES,
    confidence,
    features,
    load_weights,
    log_odds,
    shares_of_words,
)
from rag.answer.citations import Answer, cite, refusal, with_corrections
from rag.answer.pieces import Piece, piece_in_context, split_pieces
from rag.answer.precedence import with_precedence
from rag.answer.question_terms import QuestionTerms, read_question, stems
from rag.answer.score_penalties import penalties
from rag.search.embedding import Embedder
from rag.search.retrieval import Passage, retrieve
from rag.search.tables import cells_of

if TYPE_CHECKING:
    from rag.index import Index

MAX_CLAIMS = 3
MAX_PIECES_EMBEDDED = 10  # a piece costs 4.5 CPU-ms; the rest share too few words to be the best
MAX_PIECES_READ = 6  # by the answerability model, at 7 CPU-ms each
MAX_ODDS_BELOW_BEST = 0.7  # log-odds: further below the best, a piece does not stand beside it
MAX_COSINE_BETWEEN_CLAIMS = 0.82  # two pieces nearer than this count as duplicates
WEIGHT_OF_COSINE = 4.0  # beside the shares of words, in choosing what the model reads
WEIGHTS_OF_WORDS = (1.0, 1.0, 2.0)  # in the piece, near it, and the rank of its passage
MIN_SHARE_OF_WORDS = 0.1  # less of the question's words in the answer: it is near in meaning alone
NEAREST = "None of the documents uses your words; this is the nearest in meaning, so check that it is meant."
GUIDE = "guide"


@dataclass(frozen=True)
class FactualAnswer:
    """The cited answer (or the refusal) with the measured chance, 0-1, that its best piece answers."""

    answer: Answer
    confidence: float


@dataclass(frozen=True)
class Ranking:
    """Pieces with their vectors and features, in the passages' order."""

    pieces: tuple[Piece, ...]
    rows: np.ndarray
    table: np.ndarray

    @property
    def odds(self) -> np.ndarray:
        """The log-odds that each piece answers, by the fitted score alone."""
        return log_odds(self.table)


def answer_from_documents(
    index: Index,
    question: str,
    scopes: frozenset[str],
    embed: Embedder,
    *,
    with_guide: bool = False,
    skip: Callable[[str], bool] = lambda text: False,
) -> FactualAnswer:
    """The answer from the documents that readers of `scopes` may see; the team's own alone unless `with_guide`.

    The threshold is the one for questions that may not be about the documents, such as small talk.
    """
    sources = index.documents(scopes)
    readable_ids = {document.id for document in sources if with_guide or document.root != GUIDE}
    passages = (
        [p for p in retrieve(index, question, scopes) if p.doc_id in readable_ids] if readable_ids else []
    )
    bar = load_weights().min_log_odds_unasked
    return answer_fact(question, passages, embed, len(readable_ids), bar, skip)


def answer_fact(
    question: str,
    passages: Sequence[Passage],
    embed: Embedder,
    document_count: int = 0,
    min_log_odds: float | None = None,
    skip: Callable[[str], bool] = lambda text: False,
) -> FactualAnswer:
    """The answer from these passages, best piece first; `document_count` documents are named in a refusal."""
    ranking = rank_pieces(question, passages, embed, skip)
    terms = read_question(question)
    if not ranking.pieces or not terms.words:  # "cannot say" asks for nothing
        return FactualAnswer(refusal(passages, document_count), 0.0)
    every = with_precedence(question, ranking.pieces, ranking.odds - penalties(question, ranking.pieces))
    best = int(every.argmax())
    odds = float(every[best])
    if odds < (load_weights().min_log_odds if min_log_odds is None else min_log_odds):
        return FactualAnswer(refusal(passages, document_count), confidence(odds))
    pieces = [_as_claim(ranking.pieces[i], terms) for i in _beside(ranking, every, best)]
    answer = cite(with_corrections(pieces, embed))
    if not answer.claims:
        return FactualAnswer(refusal(passages, document_count), confidence(odds))
    if ranking.table[best, FEATURES.index("words_near")] < MIN_SHARE_OF_WORDS:
        answer = replace(answer, note=NEAREST)
    return FactualAnswer(answer, confidence(odds))


def rank_pieces(
    question: str,
    passages: Sequence[Passage],
    embed: Embedder,
    skip: Callable[[str], bool] = lambda text: False,
) -> Ranking:
    """The pieces that share most with the question, with the log-odds that each answers it."""
    pieces = [piece for passage in passages for piece in split_pieces(passage) if not skip(piece.text)]
    if not pieces:
        return Ranking((), np.zeros((0, 0)), np.zeros((0, len(FEATURES))))
    pieces = _best(question, pieces, np.zeros(len(pieces)), MAX_PIECES_EMBEDDED)[0]
    rows = embed([question, *map(readable, pieces)])
    pieces, order = _best(question, pieces, rows[1:] @ rows[0], MAX_PIECES_READ)
    piece_rows = rows[1:][order]
    logits = load_answer_model(embed.cache)(question, [in_context(piece) for piece in pieces])
    return Ranking(tuple(pieces), piece_rows, features(question, pieces, piece_rows @ rows[0], logits))


def _best(
    question: str, pieces: list[Piece], cosines: np.ndarray, most: int
) -> tuple[list[Piece], list[int]]:
    """At most `most` pieces with their indices, in order: the best by shared words and nearness."""
    if len(pieces) <= most:
        return pieces, list(range(len(pieces)))
    score = shares_of_words(question, pieces) @ WEIGHTS_OF_WORDS + WEIGHT_OF_COSINE * cosines
    order = sorted(map(int, np.argsort(-score, kind="stable")[:most]))
    return [pieces[i] for i in order], order


def in_context(piece: Piece) -> str:
    """A piece with its title, heading and preceding text, as the answerability model reads it."""
    return piece_in_context(piece.passage.title, piece.leaf, piece.text, piece.before, piece.header)


def readable(piece: Piece) -> str:
    """A piece under its heading, a row with the names of its columns, as it is embedded."""
    if not piece.header:
        return f"{piece.leaf}: {piece.text}"
    cells = zip(piece.header, cells_of(piece.text), strict=False)
    return f"{piece.leaf}: " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells)


def _beside(ranking: Ranking, odds: np.ndarray, best: int) -> list[int]:
    """The best piece and those nearly as likely, without duplicates."""
    picks = [best]
    for i in map(int, np.argsort(-odds, kind="stable")):
        near = odds[i] >= odds[best] - MAX_ODDS_BELOW_BEST
        if i == best or not near or len(picks) == MAX_CLAIMS:
            continue
        if all(float(ranking.rows[i] @ ranking.rows[j]) < MAX_COSINE_BETWEEN_CLAIMS for j in picks):
            picks.append(i)
    return picks


def _as_claim(piece: Piece, terms: QuestionTerms) -> Piece:
    """A row as a sentence: the table's subject, the row's label, and the requested cells."""
    if not piece.header:
        return piece
    label, *cells = cells_of(piece.text)
    names = [*piece.header[1:], *[""] * len(cells)][: len(cells)]
    shares = [len(stems(name) & terms.words.keys()) for name in names]
    best = max(shares, default=0)
    columns = [i for i in range(len(cells)) if cells[i] and (shares[i] == best or best == 0)]
    beside = [c for i, c in enumerate(cells) if i not in columns and stems(c) & terms.words.keys()]
    label = ", ".join([label, *beside])  # "Norway, Bergen" where a merged cell is the label of several rows
    values = "; ".join(f"{names[i]}: {cells[i]}" if names[i] else cells[i] for i in columns)
    return replace(piece, said=f"{piece.leaf}: {label}: {values}" if values else f"{piece.leaf}: {label}")
