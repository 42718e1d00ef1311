"""Whether a piece of a document answers a question, or is only about something near: a logistic over seven figures.

Decides by meaning where question and passage share no word (a paraphrase), by the words where they share all, and
doubts what shares some and lacks the rest: that is how a near miss looks. `python benchmarks/answers.py --fit` prints
the weights from labelled questions. Does not cover whether the piece is true.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

from rag.search.retrieval import STOP_WORDS, occurs
from rag.search.store import Store

# nearness, passage, shared, partly, names, codes, unheard: fitted on 2026-11-24, docs/decisions.d/llm-path.md
WEIGHTS = (4.0, 2.9, 1.5, -12.8, -2.6, -4.0, -2.9)
BIAS = 0.95
LEAST = 1.35  # log-odds from which a piece is given as an answer
SURE = 2.45  # ... to a question that nobody asked of the documents, such as small talk
_NAME = re.compile(r"(?<!^)(?<![.?!:]\s)\b[A-Z][\w-]*\b")


@dataclass(frozen=True)
class Signs:
    """What speaks for and against a piece: cosines 0-1 of piece and passage, the share of the question's words in
    the piece, whether names (by their capital) and codes are lacking, the share of words that no passage holds."""

    nearness: float
    passage: float
    shared: float
    partly: float
    names: float
    codes: float
    unheard: float


def signs(
    question: str,
    source: str,
    nearness: float,
    shared: float,
    lacks_code: float,
    score: float,
    unheard: float,
) -> Signs:
    """The figures for a piece: `source` is its passage with the heading, `score` the passage's as retrieved."""
    lacking = any(name.lower().rstrip("s") not in source.lower() for name in named(question))
    return Signs(nearness, score, shared, shared * (1 - shared), float(lacking), lacks_code, unheard)


def unheard(question: str, store: Store, scopes: frozenset[str]) -> float:
    """The share of the question's telling words that stand in no passage which readers of `scopes` may see."""
    words = {word for word in re.findall(r"[^\W_]+", question.lower()) if word not in STOP_WORDS}
    return sum(not occurs(store, word, scopes) for word in words) / max(1, len(words))


def log_odds(seen: Signs) -> float:
    """How likely the piece answers, 0 being even."""
    return BIAS + sum(weight * value for weight, value in zip(WEIGHTS, astuple(seen), strict=True))


def named(question: str) -> list[str]:
    """Words with a capital inside a sentence: names, unless they are everyday words."""
    return [name for name in _NAME.findall(question) if name.lower() not in STOP_WORDS and len(name) > 1]


def telling(text: str) -> set[str]:
    """The words that are no stop words, cut to six letters."""
    return {word[:6] for word in re.findall(r"[^\W_]{2,}", text.lower()) if word not in STOP_WORDS}
