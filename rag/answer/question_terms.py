"""Parses a question: its content words, its codes, years and versions, and the type of answer that it expects."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from rag.search.minilm_onnx import load_tokenizer, packaged_model
from rag.search.retrieval import STOP_WORDS

ASKING_WORDS = frozenset(
    ["cannot", "can't", "don't", "doesn't", "isn't", "won't", "please", "thanks", "yes", "ok", "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "many", "much", "long", "often", "does", "do", "did", "is", "are", "was", "were", "mean", "means", "meaning", "tell", "name", "called", "there", "may", "might", "shall", "let", "say", "says", "according", "give", "list", "show", "explain", "define", "between", "under", "per", "during", "after", "before", "into", "up", "down", "off", "over", "only", "also"]
)  # fmt: skip
NUMBER_WORDS = frozenset(
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "dozen", "hundred", "thousand", "million", "billion", "half", "once", "twice", "first", "second", "third", "none"]
)  # fmt: skip
FIRST_WORD_ID, VOCABULARY = 1996, 28_000  # MiniLM's word pieces stand by how common they are in English
STEM_LETTERS = 6
MAX_LEVEL_DIGITS = 3  # a higher number is no level, quarter or priority
_TOKEN = re.compile(r"[^\W_]+(?:[.\-/:_'’,@][^\W_]+)*", re.UNICODE)
_EDGES = "'’.,-/:_"
_MONEY = re.compile(
    r"\b(?:price|cost|costs|fee|rent|pay|paid|how much (?:is|are)|charge|expensive|salary|bonus)\b", re.I
)
_EXPECTED = (
    ("who", re.compile(r"\b(?:who|whose|whom)\b")),
    ("when", re.compile(r"\bwhen\b|\b(?:what|which) (?:date|day|year|time)\b|\bdate\b|\bin which year\b")),
    ("number", re.compile(
        r"how (?:long|often|old|many|much|big|large|high|tall|wide|far|heavy|fast|deep|small)\b|\b(?:price|costs?|fee|rent"
        r"|limit|cap|number of|population|weight|size|rate|budget|revenue|profit|margin|dividend|percentage|discount"
        r"|length|minimum|maximum|max|min|capacity|bonus|salary|deadline|distance|amount)\b")),
    ("where", re.compile(r"\bwhere\b")),
    ("definition", re.compile(
        r"^(?:what|whats)\b.*\b(?:is|are|means?|about)\b|^what(?:'s| is| are|s) |\bmeaning\b|^(?:define|explain)\b")),
    ("reason", re.compile(r"\bwhy\b")),
    ("yes or no", re.compile(
        r"^(?:is|are|does|do|did|can|could|may|must|should|will|has|have|had|was|were)\b")),
)  # fmt: skip


@dataclass(frozen=True)
class QuestionTerms:
    """`words`: each content word by its stem; `codes`: the stems with a digit; `expects`: the kind of answer."""

    words: dict[str, str]
    codes: frozenset[str]
    capitals: frozenset[str]
    expects: str
    unit_asked: str | None
    wants_money: bool


def read_question(question: str) -> QuestionTerms:
    """The terms of a question."""
    words: dict[str, str] = {}
    for token in tokens(question):
        lower = re.sub(r"['’]s$", "", token.lower())
        if lower not in STOP_WORDS and lower not in ASKING_WORDS and (len(lower) > 1 or has_digit(lower)):
            words.setdefault(stem(token), token)
    lower_question = question.lower()
    capitals = {stem(word) for word in re.findall(r"(?<!^)(?<![.?!:] )\b[A-Z][\w-]*", question)}
    return QuestionTerms(
        words,
        frozenset(word for word in words if has_digit(word)),
        frozenset(capitals & words.keys()),
        next((kind for kind, pattern in _EXPECTED if pattern.search(lower_question)), "other"),
        _counted_noun(question),
        bool(_MONEY.search(question)),
    )


def _counted_noun(question: str) -> str | None:
    """The noun behind "how many", "which" or "what", by its stem."""
    match = re.search(r"\b(?:how many|which|what)\s+([a-z][\w-]*)(?:\s+([a-z][\w-]*))?", question, re.I)
    nouns = [word for word in match.groups() if word] if match else []
    telling = [w for w in nouns if w.lower() not in STOP_WORDS and w.lower() not in ASKING_WORDS]
    return stem(telling[0]) if telling else None


def tokens(text: str) -> list[str]:
    """The words of a text; codes, numbers and versions stay whole, other joined words are split."""
    words: list[str] = []
    for match in _TOKEN.findall(text):
        token = match.strip(_EDGES)
        words += [token] if has_digit(token) else [part for part in re.split(r"[.\-/:_,@]", token) if part]
    return words


@lru_cache(maxsize=1024)  # a passage's words are asked for with each of its pieces
def stems(text: str) -> frozenset[str]:
    """The words of a text, each by its stem; "Priority 1" is P1 too, as people shorten it."""
    words = tokens(text)
    short = {
        f"{word[0].lower()}{number}"
        for word, number in pairwise(words)
        if number.isdigit() and len(number) < MAX_LEVEL_DIGITS and len(word) > 1 and word.isalpha()
    }
    return frozenset(map(stem, words)) | short


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A word without its ending, at most STEM_LETTERS letters; a code in lower case."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if has_digit(word):
        return word
    if word.endswith("ies") and len(word) > 5:
        word = word[:-3] + "y"
    elif word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            word = word[: -len(ending)]
            break
    return (word[:-1] if word.endswith("e") and len(word) > 4 else word)[:STEM_LETTERS]


def has_digit(word: str) -> bool:
    """Whether a word is a number, year, version or code."""
    return not word.isalpha() and any(map(str.isdigit, word))


def code_shape(code: str) -> str:
    """A code with its numbers taken out: DX-40 and DX-25, 2019 and 2021, 6.1 and 6.2.0 have one shape."""
    return re.sub(r"\d+(?:[.,]\d+)*", "9", code.lower())


def holds(words: frozenset[str], term: str) -> bool:
    """Whether a term stands among words; 6.2 also stands in 6.2.0, and DX-40 in DX-40-EN."""
    if term in words:
        return True
    return has_digit(term) and any(word.startswith((f"{term}.", f"{term}-")) for word in words)


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    return load_tokenizer(packaged_model() / "tokenizer.json")


@lru_cache(maxsize=20_000)
def rarity(word: str) -> float:
    """How rare a word is in English, 0-1, by its place in the embedding model's vocabulary; 1 for a word not in it."""
    ids = _tokenizer().encode(word.lower()).ids[1:-1]
    if len(ids) != 1:
        return 1.0
    return min(1.0, max(0.0, math.log(max(ids[0] - FIRST_WORD_ID, 2)) / math.log(VOCABULARY)))
