"""Finds labels that may be two spellings of one ("Biling" and "Billing", "Bug" and "Bugs"), for a person to judge. Pure.

Covers typos, plurals, joined words, accents and filler words ("Billing issues"); does not cover synonyms (the label check
finds confused labels) nor a typo in the first letter. Different numbers never match.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import combinations

ALIKE = 0.8  # of two words' letters, in order
FILLERS = frozenset(
    """and or the of und et y e issue issues problem problems question questions request requests query queries inquiry
    inquiries enquiry enquiries ticket tickets case cases topic topics team queue department dept category general misc
    other related support help probleme fragen frage anfrage anfragen thema problème problèmes demande demandes
    problema problemas consulta consultas""".split()  # noqa: SIM905 - a list of words reads best as words
)


def similar_labels(classes: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    """Pairs (rarer label, similar label), each label the rarer one in one pair at most; largest pairs first.

    `classes` are labels with their counts, most frequent first.
    """
    rank = {label: place for place, (label, _) in enumerate(classes)}
    count = dict(classes)
    best: dict[str, str] = {}
    for first, second in _alike(list(rank)):
        larger, smaller = sorted((first, second), key=rank.__getitem__)
        if smaller not in best or rank[larger] < rank[best[smaller]]:
            best[smaller] = larger
    return sorted(best.items(), key=lambda pair: (-count[pair[0]], rank[pair[0]]))


def _alike(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Similar pairs; compares only labels with the same first letter."""
    words = {label: every for label in labels if (every := _words(label))}
    telling = {
        label: tuple(word for word in every if word not in FILLERS) or every for label, every in words.items()
    }
    groups: dict[str, list[str]] = defaultdict(list)
    for label in words:
        for letter in {words[label][0][0], telling[label][0][0]}:
            groups[letter].append(label)
    for group in groups.values():
        for first, second in combinations(group, 2):
            is_one_word = "".join(words[first]) == "".join(words[second])
            if is_one_word or _same(telling[first], telling[second]):
                yield first, second


def _words(label: str) -> tuple[str, ...]:
    """The label's words without case and accents."""
    letters = unicodedata.normalize("NFKD", label.casefold())
    return tuple(re.findall(r"[^\W_]+", "".join(one for one in letters if not unicodedata.combining(one))))


def _same(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether both are equal except for typos; words with a digit must be equal."""
    return len(first) == len(second) and all(map(_same_word, first, second))


def _same_word(first: str, second: str) -> bool:
    if first == second:
        return True
    if first[0] != second[0] or re.search(r"\d", first + second):
        return False
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE
