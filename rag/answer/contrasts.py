"""Detects that a piece is about another value than the question: another weekday, gate, row or number, or the opposite.

A near miss shares all words of the question but one, and often holds another value in its place. Covers words
that exclude each other (ALTERNATIVES), the row's label beside the column's own name ("the freezer East"), and a count
beside a column's name ("with 20 seats"). Does not cover other names in prose: companies are named in many questions
whose answer does not name them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from rag.answer.pieces import Piece
from rag.answer.question_terms import read_question, stem, stems, tokens
from rag.search.tables import cells_of

NEAR_WORDS = 2  # a name this near to the column's name is the label that is asked for
ALTERNATIVES = (
    "monday tuesday wednesday thursday friday saturday sunday",
    "weekday weekend",
    "january february march april may june july august september october november december",
    "spring summer autumn winter",
    "north south east west", "northern southern eastern western",
    "begin|begins|start|starts end|ends|finish|finishes", "open|opens|opening close|closes|closing|shut|shuts",
    "minimum|smallest|lowest|least maximum|largest|highest|most", "arrive|arrives|arrival depart|departs|departure|leave|leaves",
    "import imports export exports", "buy|buys sell|sells", "morning afternoon evening night", "day night", "adult adults child children",
    "left right", "upper lower", "inbound outbound", "domestic international", "internal external",
    "lend|lends borrow|borrows", "increase|increases|rise|rises|rose decrease|decreases|fall|falls|fell", "gross net",
    "monthly yearly|annual|annually weekly daily hourly quarterly", "indoor outdoor", "windows|macos|linux",
    "android ios", "low medium high", "dog|dogs cat|cats", "breakfast lunch dinner",
)  # fmt: skip
_DAY, _MONTH = "mon|tues|wednes|thurs|fri|satur|sun", "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATES = frozenset(map(stem, " ".join(ALTERNATIVES[:3]).split()))
_MONTHS = frozenset(map(stem, ALTERNATIVES[2].split()))  # one in a heading is the date of a meeting
_RANGE = re.compile(
    rf"\b(?:{_DAY}|{_MONTH})\w* (?:to|until|till|through|and) (?:\d+ )?(?:{_DAY}|{_MONTH})|\b(?:{_DAY}|{_MONTH})\w*\s?[–-]\s?(?:\d+ )?(?:{_DAY}|{_MONTH})|\bbetween\b",
    re.I,
)
_MAY = re.compile(r"(?:[\w,] |\| |^)May\b(?! (?:i|we|you|one|the|a|an)\b)")
_COUNT = re.compile(r"\b(\d[\d.,]*)\s+([^\W\d_]{3,})")
_ONE_NUMBER = re.compile(r"\D{0,3}(\d[\d.,]*)\s*[^\W\d_]{0,12}\.?")
_COMMON = re.compile(
    r"\w+est|with|from|your|their|this|that|these|those|each|every|which|what|same|other|another|best|next|last|first|second|third|most|more"
    r"|paid|current|whole|entire|single|given|have|does|many|much|cheaper|larger|smaller|bigger|higher|lower|about|under|over|only|main|exact|right"
)
_LESSER = re.compile(
    r"\b(?:deputy|vice|assistant|former|acting|previous|honorary|interim|co-?founder)\b", re.I
)
_ASKS_WHICH = re.compile(r"\b(?:which|what|any|each|every|all|how many)\s+(?:of the )?$", re.I)


@lru_cache(maxsize=1)
def _rivals() -> dict[str, frozenset[str]]:
    """The stems that exclude a word, by its stem."""
    table: dict[str, set[str]] = {}
    for line in ALTERNATIVES:
        groups = [frozenset(map(stem, group.split("|"))) for group in line.split(" ")]
        groups = [frozenset({one}) for one in groups[0]] if len(groups) == 1 else groups
        for group in groups:
            for word in group:
                table.setdefault(word, set()).update(*(other for other in groups if other != group))
    return {word: frozenset(others) for word, others in table.items()}


def mismatch(question: str, piece: Piece) -> float:
    """How much a piece is about another value than the question's: 0 not at all, 1 by an opposite
    word, 2 as the row of another thing."""
    if piece.header and (_is_other_row(question, piece) or _is_opposite(question, piece, only_label=True)):
        return 2.0
    lesser = set(_LESSER.findall(question.lower())) - set(
        _LESSER.findall(f"{piece.text} {piece.passage.heading}".lower())
    )
    return float(bool(lesser) or _is_opposite(question, piece))


def _is_opposite(question: str, piece: Piece, only_label: bool = False) -> bool:
    rivals = _rivals()
    asked_for = _stems(question)
    own_words = _stems(piece.text)
    own = own_words | (_stems(piece.before) if piece.header else frozenset())
    near = own | _stems(piece.before) | _stems(piece.passage.heading) | _stems(piece.passage.title)
    for word in asked_for & rivals.keys():
        if word in _DATES and _RANGE.search(piece.text):
            continue
        others = rivals[word] - asked_for
        same = {word} | {one for one in rivals if rivals[one] == rivals[word]}
        around = own_words if word in _MONTHS and not piece.header and others & own_words else near
        if not same & around and others & (_stems(cells_of(piece.text)[0]) if only_label else own):
            return True
    return False


@lru_cache(maxsize=1024)
def _stems(text: str) -> frozenset[str]:
    """The words of a text by their stems; "may" only where it is a month."""
    return stems(text) if _MAY.search(text) else stems(text) - {"may"}


def _is_other_row(question: str, piece: Piece) -> bool:
    cells = cells_of(piece.text)
    for number, noun in _COUNT.findall(question):
        is_of_column = any(re.search(rf"\b{re.escape(number)}\b", name) for name in piece.header[1:])
        for name, cell in zip(piece.header, cells, strict=False):
            match = _ONE_NUMBER.fullmatch(cell)
            if (
                match
                and not is_of_column
                and stem(noun) in stems(name)
                and match[1].strip(".,") != number.strip(".,")
            ):
                return True
    names = _label_names(question, piece.header[0])
    if not names & stems(cells[0]) and (modifier := _modifier(question, piece.header[0])):
        words = stems(f"{piece.text} {piece.before} {piece.passage.heading} {piece.passage.title}")
        if modifier not in words:
            return True
    others = {stem(word) for word in re.findall(r"\b[A-Z][\w-]*", cells[0])} - stems(question)
    if not names & stems(cells[0]):
        return bool(names) and not read_question(question).words.keys() & stems(cells[0])
    return bool(names - stems(cells[0]) and others)


def _modifier(question: str, column: str) -> str:
    """The word right before the name of the label's column ("the senior card"), by its stem; "" for a common one."""
    words = tokens(question)
    nouns = stems(column)
    for before, word in pairwise(words):
        if stem(word) in nouns and before.islower() and len(before) > 3 and not _COMMON.fullmatch(before):
            return stem(before) if stem(before) not in nouns else ""
    return ""


def _label_names(question: str, column: str) -> frozenset[str]:
    """The capitalised words and codes beside the name of the label's column, by their stems; none where it asks which."""
    words = tokens(question)
    nouns = stems(column)
    names: set[str] = set()
    for at, word in enumerate(words):
        if stem(word) not in nouns:
            continue
        if _ASKS_WHICH.search(question[: question.find(word)]):
            return frozenset()
        for place in range(max(1, at - NEAR_WORDS), min(len(words), at + NEAR_WORDS + 1)):
            beside = words[place]
            if (
                place == at
                or words[place - 1].lower() in ("at", "of", "by", "from", "with", "for")
                or beside == "I"
            ):
                continue
            if beside[:1].isupper() or re.fullmatch(r"[A-Za-z]*-?\d+", beside):
                names.add(stem(beside))
    return frozenset(names - nouns)
