"""Which tickets say the same thing: exact copies after normalising, and near copies by MinHash.

Covers edited copies (recall about .99/.96/.74 at 3/8/15% of the words changed; benchmarks/data.py measures
it); does not cover paraphrases, which share no words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

PERMUTATIONS = 64
THRESHOLD = 0.5  # Jaccard of word 2-grams
_NUMBERED = re.compile(r"\b(?=\w*\d)[\w.:/-]*\w")
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Clusters:
    """`of[i]` is row i's cluster, named by its lowest row; the counts are rows beyond the first."""

    of: tuple[int, ...]
    exact: int
    near: int


def normalise(text: str) -> str:
    """The text without case, punctuation, numbers and anything that holds a digit (dates, order ids)."""
    return _NO_WORD.sub(" ", _NUMBERED.sub(" 0 ", text.casefold())).strip()


def find_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> Clusters:
    """Cluster texts that are equal after `normalise`, then those whose word 2-grams overlap by `threshold`.

    Clusters are connected components: a near b and b near c puts all three together. Deterministic.
    """
    first: dict[str, int] = {}
    parent = list(range(len(texts)))
    for row, text in enumerate(texts):
        parent[row] = first.setdefault(normalise(text) or f"\0{row}", row)
    exact = sum(parent[row] != row for row in range(len(texts)))
    originals = [row for row in range(len(texts)) if parent[row] == row]
    for left, right in _near_pairs({row: normalise(texts[row]) for row in originals}, threshold):
        union(parent, left, right)
    of = tuple(find(parent, row) for row in range(len(texts)))
    return Clusters(of, exact, len(originals) - len(set(of)))


def find(parent: list[int], item: int) -> int:
    """The root of `item` in a union-find forest, halving the path on the way."""
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def union(parent: list[int], left: int, right: int) -> None:
    """Put both items into one set of the forest, named by the lower root."""
    a, b = find(parent, left), find(parent, right)
    parent[max(a, b)] = min(a, b)


def _near_pairs(texts: dict[int, str], threshold: float) -> list[tuple[int, int]]:
    """Pairs of rows whose estimated Jaccard similarity reaches the threshold (each row with earlier ones)."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    rows = list(texts)
    sketches = MinHash.bulk([_shingles(texts[row]) for row in rows], num_perm=PERMUTATIONS)
    by_row = dict(zip(rows, sketches, strict=True))
    pairs: list[tuple[int, int]] = []
    for row, sketch in by_row.items():
        alike = (other for other in index.query(sketch) if sketch.jaccard(by_row[other]) >= threshold)
        pairs.extend((other, row) for other in alike)
        index.insert(row, sketch, check_duplication=False)
    return sorted(pairs)


def _shingles(text: str) -> list[bytes]:
    words = text.split()
    if len(words) < 2:
        return [text.encode()]
    return [f"{left} {right}".encode() for left, right in itertools.pairwise(words)]
