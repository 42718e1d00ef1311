"""Cites pieces as claims with numbered sources; a correction follows its claim; a claim without a source is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.answer.pieces import CORRECTION, Piece, sentences_alone
from rag.grounding import is_supported, names, squeeze
from rag.reply import Citation, Claim
from rag.search.embedding import Embedder
from rag.search.retrieval import Passage

MAX_CORRECTIONS = 2
MIN_COSINE_TO_CORRECT = 0.5


@dataclass(frozen=True)
class Answer:
    """Claims with their numbered citations, or none; `note` says what was searched, or that meaning alone found it."""

    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    note: str | None = None


def with_corrections(pieces: Sequence[Piece], embed: Embedder) -> list[Piece]:
    """The pieces, each followed by its dated corrections from the same passage."""
    sequence: list[Piece] = []
    room = MAX_CORRECTIONS + sum(piece.is_correction for piece in pieces)
    for piece in sorted(pieces, key=lambda piece: _follows(piece, pieces, embed)):
        if piece.is_correction:
            sequence += [piece] if all(piece.text not in other.text for other in sequence) else []
            continue
        sequence.append(piece)
        for text in sentences_alone(piece.passage.text):
            is_there = any(text in other.text or other.text in text for other in sequence)
            if room and text.startswith(CORRECTION) and not is_there and corrects(text, piece.text, embed):
                correction = next(
                    (other for other in pieces if other.text == text), Piece(piece.passage, text)
                )
                sequence.append(correction)
                room -= 1
    return sequence


def _follows(piece: Piece, pieces: Sequence[Piece], embed: Embedder) -> bool:
    """Whether the piece corrects another of these pieces and so follows it."""
    return piece.is_correction and any(
        other.passage == piece.passage and not other.is_correction and corrects(piece.text, other.text, embed)
        for other in pieces
    )


def corrects(correction: str, text: str, embed: Embedder) -> bool:
    """Whether a correction is about this text: a figure or name in common, or nearly the same subject."""
    body = correction.partition("):")[2]
    if _numbers(body) & _numbers(text) or names(body) & names(text):
        return True
    rows = embed([body, text])
    return float(rows[0] @ rows[1]) >= MIN_COSINE_TO_CORRECT


def _numbers(text: str) -> set[str]:
    """The numbers of a text, dates apart."""
    return set(re.findall(r"\d[\d,.]*\b", re.sub(r"\b\d{4}-\d{2}(?:-\d{2})?\b", " ", text)))


def cite(pieces: Sequence[Piece]) -> Answer:
    """The pieces as claims, each with its numbered source; a claim that its source does not contain is left out."""
    claims: list[Claim] = []
    citations: list[Citation] = []
    for piece in pieces:
        quote, source = squeeze(piece.text), piece.passage
        above = f"{source.heading} {piece.before}" if piece.is_table_row else source.heading
        if not is_supported(piece.said or quote, quote, source.text, above):
            continue
        number = len(citations) + 1
        citations.append(citation(number, source, quote))
        claims.append(Claim(squeeze(piece.claim), (number,)))
    return Answer(tuple(claims), tuple(citations))


def citation(number: int, source: Passage, quote: str) -> Citation:
    """A numbered source of the reply."""
    return Citation(number, source.chunk_id, source.title, source.heading, quote, source.text, source.url)


def refusal(passages: Sequence[Passage], document_count: int) -> Answer:
    """An answer without claims: how much was searched, the nearest passages, and what the asker can do."""
    what = f"{document_count} documents" if document_count != 1 else "1 document"
    near = list(dict.fromkeys(passage.heading.rsplit(" > ", 1)[-1] for passage in passages))[:3]
    hint = f" The nearest sections are: {'; '.join(near)}." if near else ""
    wish = "Whoever keeps these documents can add the answer; or ask me in other words."
    return Answer((), (), f"I searched {what} and found nothing that answers this.{hint} {wish}")
