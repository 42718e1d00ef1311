"""The cited answer without a language model: pieces of the retrieved passages, chosen and held to their source.

Behind a verdict, the best piece for each line of the table that decided, then the question's own best; for a
factual question its best pieces, or one piece per part where it asks for a list. Covers that every claim
stands verbatim in its passage. Does not cover whether the passage is true.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from rag.answer.answerability import LEAST, Signs, log_odds, signs, telling
from rag.grounding import names, squeezed, supported
from rag.reply import Citation, Claim
from rag.search.chunking import sentences
from rag.search.embedding import Embedder
from rag.search.retrieval import Passage, identifiers

MOST_CLAIMS, MOST_CORRECTIONS = 4, 2
BACKS = 0.55  # a piece this near to a phrase backs it (docs/decisions.d/llm-path.md)
BESIDE = 0.8  # share of the best piece's score from which another stands beside it
OWN_WORDS = 0.1  # less than this share of the question's words in the answer: it is near in meaning alone
NEAREST = "None of the documents uses your words; this is the nearest in meaning, so check that it is meant."
ASKED = 0.59  # the least for the question's own piece to stand beside a verdict
ON_POINT = 0.70  # ... with half of its nearness to the verdict's phrases added
DIRECT = 0.87  # a piece this good answers a question for a list by itself
SHARED = 0.35  # weight of the words that question and piece share, beside the cosine
SAME = 0.82  # two pieces this near say the same
CORRECTS = 0.5
CORRECTION = "Correction ("


@dataclass(frozen=True)
class Answer:
    """Claims with their numbered citations, or none; `note` says what was searched, or that meaning alone found it."""

    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    note: str | None = None


@dataclass(frozen=True)
class Piece:
    """One run of a passage's text. `label` goes before it in a list; `said` is the claim that it proves, if other."""

    passage: Passage
    text: str
    label: str = ""
    said: str = ""

    @property
    def leaf(self) -> str:
        return self.passage.heading.rsplit(" > ", 1)[-1]

    @property
    def claim(self) -> str:
        return self.said or (f"{self.label}: {self.text}" if self.label else self.text)

    @property
    def is_correction(self) -> bool:
        return self.text.startswith(CORRECTION)


class Pool:
    """The pieces of some passages with their vectors; scores are cosine (0-1) plus shared words."""

    def __init__(self, passages: Sequence[Passage], embed: Embedder, skip: Callable[[str], bool]) -> None:
        self.pieces = [Piece(p, u) for p in passages for u in units(p.text) if not skip(u)]
        self._embed = embed
        self.rows = embed([piece.text for piece in self.pieces])
        self._leaves = embed([piece.leaf for piece in self.pieces])
        self._words = [telling(f"{piece.leaf} {piece.text}") for piece in self.pieces]
        self._count = Counter(word for words in self._words for word in words)

    def nearness(self, text: str) -> np.ndarray:
        """Cosine of each piece to the text, with something for the heading that it stands under."""
        row = self._embed([text])[0]
        return np.asarray(0.85 * (self.rows @ row) + 0.15 * (self._leaves @ row))

    def scores(self, text: str) -> np.ndarray:
        """Nearness, and something for the words that a piece shares with the text."""
        return self.nearness(text) + SHARED * self.shared(text)

    def shared(self, text: str) -> np.ndarray:
        """The share of the text's words that each piece holds, rare words counting more."""
        wanted = telling(text)
        weight = {word: log(1 + len(self.pieces) / (1 + self._count[word])) for word in wanted}
        whole = sum(weight.values()) or 1.0
        return np.asarray([sum(weight[w] for w in wanted & words) / whole for words in self._words])

    def ranking(self, text: str) -> np.ndarray:
        """Scores for choosing: the piece's, its passage's as retrieved, less what lacks a code that is named."""
        found = np.asarray([piece.passage.score for piece in self.pieces])
        return self.scores(text) + found - self.lacking(text)

    def signs(self, text: str, i: int, unheard: float) -> Signs:
        """What speaks for and against piece `i` as the answer; `unheard` as rag/answer/answerability.py counts it."""
        piece = self.pieces[i]
        return signs(
            text,
            f"{piece.passage.heading} {piece.passage.text}",
            float(self.nearness(text)[i]),
            float(self.shared(text)[i]),
            float(self.lacking(text)[i]),
            piece.passage.score,
            unheard,
        )

    def lacking(self, text: str) -> np.ndarray:
        """1 for each piece without the identifiers (letters with digits) that the text names, else 0."""
        wanted = {name.lower() for name in identifiers(text) if re.search(r"\d", name)}
        told = [f"{piece.leaf} {piece.text}".lower() for piece in self.pieces]
        return np.asarray([0.0 if all(name in text for name in wanted) else 1.0 for text in told])


def compose(
    question: str,
    passages: Sequence[Passage],
    embed: Embedder,
    *,
    sought: Sequence[str] = (),
    parts: Sequence[Passage] = (),
    searched: int = 0,
    unheard: float = 0.0,
    least: float = LEAST,
    skip: Callable[[str], bool] = lambda text: False,
) -> Answer:
    """The answer from these passages.

    `sought` are the phrases behind a verdict, `parts` the passages of a list that was asked for, `searched`
    the number of documents that the asker may read, `unheard` the share of words that none of them holds, `least` the log-odds for an answer; `skip` tells pieces that must not be said.
    """
    pool = Pool(passages, embed, skip) if passages else None
    if pool is None or not pool.pieces:
        return refusal(passages, searched)
    if parts and float(pool.scores(question).max()) < DIRECT:
        listed = [Piece(p, u, _label(p, u)) for p in parts for u in _first(p, skip)]
        return cited(with_corrections(listed, embed))
    chosen = (
        _behind_verdict(question, sought, pool) if sought else _to_question(question, pool, unheard, least)
    )
    if not chosen:
        return refusal(passages, searched)
    answer = cited(with_corrections([pool.pieces[i] for i in chosen], embed))
    by_meaning = not sought and float(pool.shared(question)[chosen[0]]) < OWN_WORDS
    return replace(answer, note=NEAREST) if by_meaning and answer.claims else answer


def _behind_verdict(question: str, sought: Sequence[str], pool: Pool) -> list[int]:
    """The best piece for each phrase, then the question's own where it is on the verdict's point."""
    chosen: list[int] = []
    near = np.zeros(len(pool.pieces))
    for phrase in sought:
        scores = pool.nearness(phrase)
        near = np.maximum(near, scores)
        best = int(scores.argmax())
        if scores[best] >= BACKS:
            _take(best, chosen, pool)
    scores = pool.scores(question)
    best = int(scores.argmax())
    if scores[best] >= ASKED and scores[best] + 0.5 * near[best] >= ON_POINT:
        _take(best, chosen, pool)
    return chosen[:MOST_CLAIMS]


def _to_question(question: str, pool: Pool, unheard: float, least_odds: float) -> list[int]:
    """The pieces nearest to the question, each saying something of its own; none where the best answers it hardly."""
    scores = pool.ranking(question)
    least = BESIDE * float(scores.max())
    if log_odds(pool.signs(question, int(scores.argmax()), unheard)) < least_odds:
        return []
    chosen: list[int] = []
    for i in np.argsort(-scores):
        if scores[i] >= least and len(chosen) < MOST_CLAIMS:
            _take(int(i), chosen, pool)
    return chosen


def _take(i: int, chosen: list[int], pool: Pool) -> None:
    if all(float(pool.rows[i] @ pool.rows[j]) < SAME for j in chosen):
        chosen.append(i)


def _first(passage: Passage, skip: Callable[[str], bool]) -> list[str]:
    return [unit for unit in units(passage.text) if not skip(unit) and not unit.startswith(CORRECTION)][:1]


def _label(passage: Passage, text: str) -> str:
    """The section's name, unless the text opens with it."""
    leaf = passage.heading.rsplit(" > ", 1)[-1]
    return "" if text.split()[0].lower() == leaf.split()[0].lower() else leaf


def with_corrections(pieces: Sequence[Piece], embed: Embedder) -> list[Piece]:
    """The pieces, each followed by the dated corrections of it that stand in the same passage."""
    told: list[Piece] = []
    room = MOST_CORRECTIONS + sum(piece.is_correction for piece in pieces)
    for piece in sorted(pieces, key=lambda piece: _follows(piece, pieces, embed)):
        if piece.is_correction:
            told += [piece] if all(piece.text not in other.text for other in told) else []
            continue
        told.append(piece)
        for text in units(piece.passage.text):
            said = any(text in other.text or other.text in text for other in told)
            if room and text.startswith(CORRECTION) and not said and corrects(text, piece.text, embed):
                written = next((other for other in pieces if other.text == text), Piece(piece.passage, text))
                told.append(written)
                room -= 1
    return told


def _follows(piece: Piece, pieces: Sequence[Piece], embed: Embedder) -> bool:
    """Whether the piece corrects another of them, and so comes after it."""
    return piece.is_correction and any(
        other.passage == piece.passage and not other.is_correction and corrects(piece.text, other.text, embed)
        for other in pieces
    )


def corrects(correction: str, text: str, embed: Embedder) -> bool:
    """Whether a correction is about this text: a figure or name in common, or nearly the same subject."""
    body = correction.partition("):")[2]
    if _told(body) & _told(text) or names(body) & names(text):
        return True
    rows = embed([body, text])
    return float(rows[0] @ rows[1]) >= CORRECTS


def _told(text: str) -> set[str]:
    """The numbers of a text, dates apart."""
    return set(re.findall(r"\d[\d,.]*\b", re.sub(r"\b\d{4}-\d{2}(?:-\d{2})?\b", " ", text)))


def cited(pieces: Sequence[Piece]) -> Answer:
    """The pieces as claims, each with its numbered source; what its source does not hold is left out."""
    claims: list[Claim] = []
    citations: list[Citation] = []
    for piece in pieces:
        quote, source = squeezed(piece.text), piece.passage
        if not supported(piece.said or quote, quote, source.text, source.heading):
            continue
        number = len(citations) + 1
        citations.append(citation(number, source, quote))
        claims.append(Claim(squeezed(piece.claim), (number,)))
    return Answer(tuple(claims), tuple(citations))


def citation(number: int, source: Passage, quote: str) -> Citation:
    """A numbered source as the reply carries it."""
    return Citation(number, source.chunk_id, source.title, source.heading, quote, source.text, source.url)


def refusal(passages: Sequence[Passage], searched: int) -> Answer:
    """No claim at all: how much was searched, what is near, and what the asker can do."""
    what = f"{searched} documents" if searched != 1 else "1 document"
    near = list(dict.fromkeys(passage.heading.rsplit(" > ", 1)[-1] for passage in passages))[:3]
    told = f" The nearest sections are: {'; '.join(near)}." if near else ""
    wish = "Whoever keeps these documents can add the answer; or ask me in other words."
    return Answer((), (), f"I searched {what} and found nothing that answers this.{told} {wish}")


LEAST_WORDS = 5
SHORT = 8  # words: an opener like "Retrieval and tuning add up." takes the next sentence with it
MOST_WORDS = 70
_LEANS = re.compile(
    r"(?:it|they|this|these|those|that|such|both|he|she|its|their|use it|consider it|result:|for example|then"
    r"|however|otherwise|the latter|until then|instead|check the)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[A-Z]\w+: \S")


def units(text: str) -> list[str]:
    """The pieces in order; each is one run of the passage's own text, white space apart."""
    found: list[str] = []
    for line in re.split(r"\n+", text):
        open_run = False
        for sentence in sentences(line.strip().lstrip("-*•").strip()):
            leans = bool(_LEANS.match(sentence))
            if open_run and (leans or len(found[-1].split()) < SHORT):
                found[-1] = f"{found[-1]} {sentence}"
            elif not leans:
                found.append(sentence)
            open_run = open_run or not leans
    return [unit for unit in dict.fromkeys(found) if _whole(unit)]


def _whole(unit: str) -> bool:
    """Long enough to say something, and not half of a labelled pair."""
    words = len(unit.split())
    half = _LABEL.match(unit) and words < 10 and not unit.startswith("Correction")
    return LEAST_WORDS <= words <= MOST_WORDS and not half
