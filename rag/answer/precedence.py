"""Ranks pieces by the form of the question: a definition, an entry of a question list, a rule.

The fitted score weighs words and meaning, and a neighbour of the right sentence shares most of both. An entry whose
heading is this very question is its answer, whatever its score; a question about a rule needs a piece that allows or forbids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rag.answer.pieces import Piece, split_pieces
from rag.answer.question_terms import read_question, stem, tokens
from rag.search.retrieval import Passage

OPENING_WORDS = 6
ENTRY = 1.5  # the least log-odds of the entry with this very question as its heading
NO_RULE = 4.0  # log-odds subtracted from a piece that neither allows nor forbids, for a question about a rule
_ASKS_FOR_A_WORD = re.compile(r"^\W*(?:what(?:['’]?s| is| are| does)|define|explain)\b", re.IGNORECASE)
_ASKS_FOR_A_RULE = re.compile(
    r"\bmay (?:we|i|one|you|they|he|she|it|(?:the|our|an?|my) \w+|agents?|employees?|staff)\b"
    r"|\b(?:allowed|permitted|permission|forbidden|prohibited) (?:to|for)\b|\b(?:is|are) \w[^?]{0,60}\b(?:allowed|permitted|forbidden|prohibited)\b",
    re.IGNORECASE,
)
_ASKS_FOR_MORE = re.compile(r"\b(?:how|what|when|which|who|whom|whose|where|why)\b", re.IGNORECASE)
_RULE = re.compile(
    r"\b(?:may|must|shall|should|can|cannot|can['’]t|not|never|no|nobody|none|only|always|unless|without|until|except|need\w*|require\w*"
    r"|allow\w*|permit\w*|permission|forb[ai]d\w*|prohibit\w*|bann?(?:ed)?|consent\w*|approv\w*|welcome|fine|ok(?:ay)?|entitled|free to|ha(?:s|ve) to|rules?|yes)\b",
    re.IGNORECASE,
)


def asks_for_a_rule(question: str) -> bool:
    """Whether a question asks if somebody may do something; "how much", "when" and "who" do not count."""
    return bool(_ASKS_FOR_A_RULE.search(question)) and not _ASKS_FOR_MORE.search(question)


def with_precedence(question: str, pieces: Sequence[Piece], odds: np.ndarray) -> np.ndarray:
    """The pieces' log-odds with the entry of this very question as likely as the best, and ENTRY at the least.

    For a question about a rule, a piece without a rule loses NO_RULE.
    """
    values = np.array(odds, dtype=float)
    if asks_for_a_rule(question):
        values -= [0.0 if _RULE.search(piece.text) else NO_RULE for piece in pieces]
    entries = [i for i, piece in enumerate(pieces) if opens_entry(question, piece)]
    if entries:
        first = max(entries, key=lambda i: values[i])
        best = max(float(values.max()), ENTRY)
        values = np.minimum(values, best - 1e-6)
        values[first] = best
    return values


def has_entry(question: str, passage: Passage) -> bool:
    """Whether the passage's heading is this very question."""
    return any(opens_entry(question, piece) for piece in split_pieces(passage))


def opens_entry(question: str, piece: Piece) -> bool:
    """Whether a piece opens a passage whose heading is the question, or the term that the question asks about."""
    words = read_question(question).words.keys()
    if piece.before or piece.is_table_row or not words or read_question(piece.leaf).words.keys() != words:
        return False
    if piece.leaf.rstrip().endswith("?"):
        return True
    opening = {stem(word) for word in tokens(piece.text)[:OPENING_WORDS]}
    return bool(_ASKS_FOR_A_WORD.match(question)) and words <= opening
