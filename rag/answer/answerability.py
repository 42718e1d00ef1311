"""Scores whether a piece of a document answers a question or only resembles it, by a logistic regression over FEATURES.

The question's words count at four distances: in the piece, in its surroundings (heading, caption, column names, the
sentence before), in its passage or the document's title, nowhere. A code, year, version or name of the question that
the passage lacks lowers the score, and so does another one of the same shape in its place. Further features are the
logits of the answerability model (`rag/answer/answer_model.py`), which reads question and piece together.
`python benchmarks/fit_answerability.py` fits the weights (rag/data/answerability.json). Does not cover whether the
piece is true.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from rag.answer.pieces import Piece
from rag.answer.question_terms import (
    NUMBER_WORDS,
    QuestionTerms,
    code_shape,
    has_digit,
    holds,
    rarity,
    read_question,
    stem,
    stems,
    tokens,
)
from rag.search.tables import cells_of

WEIGHTS = Path(__file__).parents[1] / "data" / "answerability.json"
FEATURES = (
    "cosine", "cosine_to_best", "passage_cosine", "passage_rank", "from_first_passage", "words_in_piece",
    "words_near", "words_in_passage", "weight_lacking", "code_lacking", "code_far", "code_conflict", "has_number",
    "has_date", "has_name", "wrong_kind", "is_definition", "is_row", "words_in_row_label", "words_in_columns",
    "is_chat_line", "length", "words_unheard", "words_near_to_best", "words_in_title", "holds_question_mark",
    "codes_in_piece", "rarity_lacking", "rarest_lacking", "rarest_far", "counted_noun_lacking", "no_money",
    "row_lacks", "name_lacking", "cosine_without_words", "is_yes_or_no", "words_partly",
    "model_answers", "model_subject", "model_attribute", "model_to_best",
)  # fmt: skip
_DATE = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b|\b1\d{3}\b|\b20\d\d\b|\d{1,2}:\d{2}",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[€£$¥]|\b(?:euros?|pounds?|dollars?|pence|cents?|usd|eur|gbp|free|price|cost|fee)\b", re.I
)
_NAME_IN_PROSE = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][a-zà-ÿ]+")
_NAME_IN_CELL = re.compile(r"[A-Z][a-z]+")
_CHAT_LINE = re.compile(r"\[?\d\d:\d\d")
_DEFINES = re.compile(r"\b(?:is|are|means|refers|stands|was)\b|,|:")


@dataclass(frozen=True)
class Words:
    """The stems of a piece by distance; each set includes the nearer ones."""

    piece: frozenset[str]
    columns: frozenset[str]
    near: frozenset[str]
    passage: frozenset[str]
    title: frozenset[str]


@dataclass(frozen=True)
class Shares:
    """The question's words with their weights over these pieces; shares are of the total weight (0-1)."""

    terms: QuestionTerms
    weights: dict[str, float]
    rarities: dict[str, float]

    def of(self, words: frozenset[str]) -> float:
        whole = sum(self.weights.values()) or 1.0
        return sum(weight for term, weight in self.weights.items() if holds(words, term)) / whole

    def lacking(self, words: frozenset[str]) -> list[str]:
        return [term for term in self.weights if not holds(words, term)]


def words_of(piece: Piece) -> Words:
    """The words of a piece at each distance."""
    own, before = stems(piece.text), stems(piece.before)
    near = own | before | stems(piece.passage.heading)
    title = stems(f"{piece.passage.title} {piece.passage.file}")
    return Words(own, before, near, near | stems(piece.passage.text) | title, title)


def features(question: str, pieces: Sequence[Piece], cosines: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(pieces, FEATURES) for a question; `cosines` are the pieces' to the question, `logits` the model's of them."""
    if not pieces:
        return np.zeros((0, len(FEATURES)))
    words = [words_of(piece) for piece in pieces]
    shares = _shares(read_question(question), words)
    in_no_passage = _share_in_no_passage(shares, words)
    ranks = {key: rank for rank, key in enumerate(dict.fromkeys(p.passage.chunk_id for p in pieces))}
    best, best_logit = float(cosines.max()), float(logits[:, 0].max())
    rows = []
    for piece, own, cosine, row_logits in zip(pieces, words, cosines.tolist(), logits.tolist(), strict=True):
        rank = ranks[piece.passage.chunk_id]
        values = {
            "cosine": cosine,
            "cosine_to_best": cosine - best,
            "passage_cosine": piece.passage.score,
            "passage_rank": 1 / (1 + rank),
            "from_first_passage": float(rank == 0),
            "words_unheard": in_no_passage,
            "cosine_without_words": cosine * (1 - shares.of(own.near)),
            "words_partly": shares.of(own.near) * (1 - shares.of(own.near)),  # how a near miss looks
            **dict(zip(("model_answers", "model_subject", "model_attribute"), row_logits, strict=True)),
            "model_to_best": row_logits[0] - best_logit,
            **_coverage(shares, own),
            **_codes(shares.terms, own),
            **_kind(shares, piece, own),
            **_row(shares, piece, own),
        }
        rows.append([values.get(name, 0.0) for name in FEATURES])
    table = np.asarray(rows)
    near = table[:, FEATURES.index("words_near")]
    table[:, FEATURES.index("words_near_to_best")] = near - near.max()
    return table


def shares_of_words(question: str, pieces: Sequence[Piece]) -> np.ndarray:
    """(pieces, 3): words_in_piece, words_near and passage_rank of `features`, at a tenth of its cost."""
    words = [words_of(piece) for piece in pieces]
    shares = _shares(read_question(question), words)
    ranks = {key: rank for rank, key in enumerate(dict.fromkeys(p.passage.chunk_id for p in pieces))}
    return np.asarray(
        [
            (shares.of(own.piece), shares.of(own.near), 1 / (1 + ranks[piece.passage.chunk_id]))
            for piece, own in zip(pieces, words, strict=True)
        ]
    )


def _shares(terms: QuestionTerms, words: Sequence[Words]) -> Shares:
    counts = Counter(word for own in words for word in own.near)
    weights = {term: math.log(1 + len(words) / (0.5 + counts[term])) for term in terms.words}
    return Shares(terms, weights, {term: rarity(word) for term, word in terms.words.items()})


def _share_in_no_passage(shares: Shares, words: Sequence[Words]) -> float:
    """The share of the question's words that none of the passages contains."""
    everything = frozenset[str]().union(*(own.passage for own in words))
    return 1 - shares.of(everything)


def _coverage(shares: Shares, own: Words) -> dict[str, float]:
    lacking, far = shares.lacking(own.passage), shares.lacking(own.near | own.title)
    whole = sum(shares.rarities.values()) or 1.0
    noun = shares.terms.unit_asked
    return {
        "words_in_piece": shares.of(own.piece),
        "words_near": shares.of(own.near),
        "words_in_passage": shares.of(own.passage),
        "weight_lacking": 1 - shares.of(own.passage),
        "words_in_title": shares.of(own.title),
        "rarity_lacking": sum(shares.rarities[term] for term in lacking) / whole,
        "rarest_lacking": max((shares.rarities[term] for term in lacking), default=0.0),
        "rarest_far": max((shares.rarities[term] for term in far), default=0.0),
        "counted_noun_lacking": float(noun is not None and noun not in own.near),
        "name_lacking": float(any(name not in own.passage for name in shares.terms.capitals)),
    }


def _codes(terms: QuestionTerms, own: Words) -> dict[str, float]:
    near = own.near | own.title
    far = [code for code in terms.codes if not holds(near, code)]
    shapes = {code_shape(word) for word in own.near if has_digit(word)}
    inside = sum(holds(own.piece, code) for code in terms.codes)
    return {
        "code_lacking": float(any(not holds(own.passage, code) for code in terms.codes)),
        "code_far": float(bool(far)),
        "code_conflict": float(any(code_shape(code) in shapes for code in far)),
        "codes_in_piece": inside / len(terms.codes) if terms.codes else 0.5,
    }


def _kind(shares: Shares, piece: Piece, own: Words) -> dict[str, float]:
    """Whether the piece contains the type of answer that the question expects."""
    text, terms = piece.text, shares.terms
    number = any(has_digit(word) and word not in terms.words for word in own.piece) or any(
        word.lower() in NUMBER_WORDS for word in tokens(text)
    )
    name = bool((_NAME_IN_CELL if piece.is_table_row else _NAME_IN_PROSE).search(text))
    date = bool(_DATE.search(text))
    expects = terms.expects
    wrong = {"number": not number, "when": not (date or number), "who": not name}.get(expects, False)
    money = _MONEY.search(f"{text} {piece.before} {piece.leaf}")
    return {
        "has_number": float(expects == "number" and number),
        "has_date": float(expects == "when" and date),
        "has_name": float(expects in ("who", "where") and name),
        "wrong_kind": float(wrong),
        "is_definition": float(expects == "definition" and _defines(shares, piece)),
        "is_chat_line": float(bool(_CHAT_LINE.match(text))),
        "length": len(text.split()) / 70,
        "holds_question_mark": float("?" in text),
        "no_money": float(terms.wants_money and not money),
        "is_yes_or_no": float(expects == "yes or no"),
    }


def _defines(shares: Shares, piece: Piece) -> bool:
    """Whether the piece opens with the question's subject and defines it."""
    heaviest = max(shares.weights.values(), default=1.0)
    core = {term for term, weight in shares.weights.items() if weight >= 0.5 * heaviest}
    if piece.is_table_row:
        return bool(core & stems(cells_of(piece.text)[0]))
    opening = {stem(word) for word in tokens(piece.text)[:6]}
    return bool(core & opening) and bool(_DEFINES.search(piece.text))


def _row(shares: Shares, piece: Piece, own: Words) -> dict[str, float]:
    """Matches a table row by its label and by the names of its columns."""
    if not piece.is_table_row:
        return {}
    heaviest = max((shares.weights[term] for term in shares.lacking(own.near | own.title)), default=0.0)
    return {
        "is_row": 1.0,
        "words_in_row_label": shares.of(stems(cells_of(piece.text)[0])),
        "words_in_columns": shares.of(own.columns),
        "row_lacks": heaviest / 5,
    }


@dataclass(frozen=True)
class Weights:
    """The fitted logistic: `bias` + `values` (in FEATURES' order) gives log-odds; the thresholds are log-odds too."""

    values: tuple[float, ...]
    bias: float
    min_log_odds: float
    min_log_odds_unasked: float
    calibration: tuple[float, float]


@cache
def load_weights(path: Path = WEIGHTS) -> Weights:
    """The weights that come with this release."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Weights(
        tuple(raw["weights"][name] for name in FEATURES),
        raw["bias"],
        raw["min_log_odds"],
        raw["min_log_odds_unasked"],
        (raw["calibration"]["slope"], raw["calibration"]["intercept"]),
    )


def log_odds(table: np.ndarray) -> np.ndarray:
    """The log-odds that each piece answers (0: even odds); `table` as from `features`."""
    weights = load_weights()
    return np.asarray(table @ np.asarray(weights.values) + weights.bias)


def confidence(odds: float) -> float:
    """The measured share of answers at this log-odds that were right (0-1)."""
    slope, intercept = load_weights().calibration
    return 1 / (1 + math.exp(-(slope * odds + intercept)))
