"""Finds the passages that answer a question, within the asker's scopes.

Combines three searches (k=10, as measured in docs/quality.md): exact identifiers (error codes, model names, settings; a
bonus by the share that a passage contains), words (BM25 over stems, weighted by how well they cover the question), and
meaning (nearest vectors, by the best of a passage and its sub-passages); the last two are fused by rank. Each search
filters by scope itself; results are never dropped afterwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from rag.search.full_text import scope_word
from rag.search.store import Store, check_scopes, unpack_parts

if TYPE_CHECKING:
    from rag.index import Index

CANDIDATES = 40
MAX_QUESTION = 2000
# A word in more than this share of the passages is uninformative and costs most of the search time.
COMMON = 0.15
SMALL = 2000
MAX_POSTINGS, MIN_WORDS = (
    15_000,
    2,
)  # passages that the words looked up stand in, together: each costs 0.4 µs
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_IDENTIFIER = re.compile(r"[^\s,;!?\"'()\[\]{}<>|`]*[\w][^\s,;!?\"'()\[\]{}<>|`]*")
STOP_WORDS = frozenset(
    ["a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does", "doing", "for", "from", "get", "had", "has", "have", "how", "i", "if", "in", "is", "it", "its", "just", "me", "my", "need", "no", "not", "of", "on", "or", "our", "out", "should", "so", "some", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "us", "use", "want", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your"]
)  # fmt: skip


@dataclass(frozen=True)
class SearchWeights:
    """The weight of each search (0: off), whether a passage's parts count, and RRF's k."""

    exact: float = 3.0
    words: float = 1.0
    meaning: float = 1.0
    parts: bool = True
    rrf_k: int = 10


@dataclass(frozen=True)
class Passage:
    """A retrieved passage; `score` is the best cosine of it or a part of it to the question (0-1), `file` its file's name."""

    chunk_id: str
    doc_id: str
    title: str
    heading: str
    text: str
    url: str | None
    score: float
    file: str = ""


def retrieve(
    index: Index, question: str, scopes: frozenset[str], k: int = 8, legs: SearchWeights | None = None
) -> list[Passage]:
    """The `k` best passages that readers of `scopes` may see, best first; [] for an empty question.

    `legs` is for measuring each part of the search alone.
    """
    legs, scopes = legs or SearchWeights(), check_scopes(scopes)
    question = " ".join(question[:MAX_QUESTION].split())
    if not question or not scopes:
        return []
    row, store = index.embed([question])[0], index.store
    near = index.nearest(row, scopes, CANDIDATES) if legs.meaning else []
    exact = find_identifiers(store, question, scopes) if legs.exact else {}
    words, belief = find_words(store, question, scopes) if legs.words else ([], 0.0)
    rows = load_rows(store, {*near, *exact, *words}, scopes, index.embed.name)
    scores = {
        key: _similarity(row, found_row[-2], found_row[-1], legs.parts) for key, found_row in rows.items()
    }
    meaning = sorted(scores, key=lambda key: -scores[key])[:CANDIDATES] if legs.meaning else []
    lists = [(legs.words * belief, words), (legs.meaning, meaning)]
    first = legs.exact / (legs.rrf_k + 1)
    order = fuse(
        [(weight, [key for key in leg if key in rows]) for weight, leg in lists],
        legs.rrf_k,
        {key: first * share for key, share in exact.items() if key in rows},
    )
    return [_passage(key, rows[key], scores[key]) for key in _once(order, rows)[:k]]


def _once(order: Sequence[int], rows: dict[int, tuple[object, ...]]) -> list[int]:
    """Removes duplicates: of equal texts in two documents the better ranked stays."""
    first: dict[tuple[object, ...], int] = {}
    for key in order:
        first.setdefault(rows[key][2:4], key)
    return list(first.values())


def fuse(
    legs: Iterable[tuple[float, Sequence[int]]], k: int = 10, bonus: Mapping[int, float] | None = None
) -> list[int]:
    """Reciprocal rank fusion: each leg gives weight/(k + rank) on top of `bonus`; ties go to the older passage."""
    points: dict[int, float] = dict(bonus or {})
    for weight, keys in legs:
        for rank, key in enumerate(keys, start=1):
            points[key] = points.get(key, 0.0) + weight / (k + rank)
    return sorted(points, key=lambda key: (-points[key], key))


def identifiers(question: str) -> list[str]:
    """The tokens that must match exactly: codes, file and model names, settings, addresses, CamelCase."""
    tokens = []
    for token in _IDENTIFIER.findall(question):
        token = token.strip(".:-/…—–")
        letters, digits = any(c.isalpha() for c in token), any(c.isdigit() for c in token)
        compound = re.search(r"\w[_/=@\\#]\w|\w\.\w{2,}|::", token)
        camel = re.search(r"[a-z]-?[A-Z]", token)  # OpenAI, Idempotency-Key
        if len(token) > 2 and ((letters and digits) or compound or camel or re.fullmatch(r"\d{4,}", token)):
            tokens.append(token)
    return list(dict.fromkeys(tokens))[:8]


def find_identifiers(store: Store, question: str, scopes: frozenset[str]) -> dict[int, float]:
    """Passages that contain the question's identifiers (ignoring case), each with its share (0-1).

    Rare identifiers weigh more, so that the passage with the rare code ranks before many with a common one,
    whatever their similarity (which differs between processors).
    """
    points: dict[int, float] = {}
    for token in identifiers(question):
        phrase = " ".join(_WORD.findall(token))
        if not phrase:
            continue
        hits = _match(store, f'"{phrase}"', scopes, CANDIDATES)
        verbatim = [key for key in hits if _holds(store, key, token)]
        for rank, key in enumerate(verbatim, start=1):
            points[key] = points.get(key, 0.0) + 1 / (len(verbatim) + rank)
    most = max(points.values(), default=1.0)
    return {key: value / most for key, value in points.items()}


def find_words(store: Store, question: str, scopes: frozenset[str]) -> tuple[list[int], float]:
    """BM25 over the question's content words, and the weight of the result (0-1).

    The weight is the square of the best passage's score over that of a passage with every word once: a question
    worded unlike its answer shares only chance words with any passage, and those must not outvote meaning.
    """
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(question)))
    telling = [word for word in words if word not in STOP_WORDS][:32]
    total = store.word_counts.total(store.connection, store.generation)
    counts = dict(zip(telling, store.word_counts.of(store.connection, telling), strict=True))
    rare = _rare(counts, total)
    if not rare:
        return [], 0.0
    hits = _scores(store, " OR ".join(f'"{word}"' for word in rare), scopes, CANDIDATES)
    ideal = sum(math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in counts.values())
    return [key for key, _ in hits], min(1.0, hits[0][1] / ideal) ** 2 if hits else 0.0


def load_rows(
    store: Store, keys: Iterable[int], scopes: frozenset[str], embedder: str
) -> dict[int, tuple[object, ...]]:
    """The rows of passages by key; a passage outside `scopes` (or deleted meanwhile) is missing.

    The searches filter by scope already; this is a second check.
    """
    ordered_keys = sorted(keys)
    rows: dict[int, tuple[object, ...]] = {}
    marks = ",".join("?" * len(ordered_keys))
    for row in store.connection.execute(
        "SELECT c.key, c.doc_id, d.title, c.heading, c.text, d.url, d.scopes, d.source, v.row, v.parts"  # noqa: S608
        " FROM chunks c JOIN documents d ON d.id = c.doc_id"
        f" JOIN vectors v ON v.digest = c.digest AND v.embedder = ? WHERE c.key IN ({marks})",
        (embedder, *ordered_keys),
    ):
        if scopes & frozenset(row[6].split()):
            rows[row[0]] = row[1:6] + row[7:]
    return rows


def occurs(store: Store, word: str, scopes: frozenset[str]) -> bool:
    """Whether a word (its stem) stands in any passage that readers of `scopes` may see."""
    may_see = " OR ".join(scope_word(scope) for scope in sorted(scopes))
    expression = f'(body : ("{word}")) AND (scopes : ({may_see}))'
    cursor = store.connection.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (expression,))
    return cursor.fetchone() is not None


def _match(store: Store, expression: str, scopes: frozenset[str], n: int) -> list[int]:
    return [key for key, _ in _scores(store, expression, scopes, n)]


def _scores(store: Store, expression: str, scopes: frozenset[str], n: int) -> list[tuple[int, float]]:
    """Best `n` by BM25 among the passages of `scopes`; the scope is part of the match itself."""
    may_see = " OR ".join(scope_word(scope) for scope in sorted(scopes))
    rows = store.connection.execute(
        "SELECT rowid, -bm25(words, 1.0, 0.0) AS score FROM words WHERE words MATCH ? ORDER BY score DESC LIMIT ?",
        (f"(body : ({expression})) AND (scopes : ({may_see}))", n),
    )
    return rows.fetchall()


def _rare(counts: dict[str, int], total: int) -> list[str]:
    """The rare words, rarest first, as long as the lookup stays quick; at least two."""
    present = sorted((word for word in counts if counts[word]), key=lambda word: counts[word])
    if total < SMALL:
        return present
    words: list[str] = []
    postings = 0
    for word in present:
        postings += counts[word]
        if len(words) >= MIN_WORDS and (postings > MAX_POSTINGS or counts[word] > COMMON * total):
            break
        words.append(word)
    return words


def _holds(store: Store, key: int, token: str) -> bool:
    row = store.connection.execute("SELECT heading, text FROM chunks WHERE key = ?", (key,)).fetchone()
    return row is not None and token.lower() in f"{row[0]}\n{row[1]}".lower()


def _similarity(row: np.ndarray, blob: object, parts: object, use_parts: bool = True) -> float:
    assert isinstance(blob, bytes)
    assert isinstance(parts, bytes)
    best = float(np.frombuffer(blob, dtype=np.float32) @ row)
    if parts and use_parts:
        best = max(best, float((unpack_parts(parts, len(row)) @ row).max()))
    return best


def _passage(key: int, row: tuple[object, ...], score: float) -> Passage:
    doc_id, title, heading, text, url, source = row[:6]
    return Passage(
        str(key), str(doc_id), str(title), str(heading), str(text), str(url) if url else None, round(score, 4),
        PurePath(str(source)).stem,
    )  # fmt: skip
