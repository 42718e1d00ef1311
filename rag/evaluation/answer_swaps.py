"""Pairs in which a name, number, day or month of the question is another one: in the question alone, or in the line as well.

With the other name in both the line still answers, with it in the question alone it does not, so that the name itself says
nothing and only the comparison does. Covers words that stand in question and line alike.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rag.evaluation.answer_values import Values, fill

_NUMBER = re.compile(r"(?<![\w.,])\d[\d.,:]*\b")
_NAME = re.compile(r"(?<=[a-z,:(] )[A-Z][\w'’-]{2,}(?!:)\b(?!:)")  # in a sentence, or in a row's cell
_SERIES = (
    "monday tuesday wednesday thursday friday saturday sunday",
    "january february march april june july august september october november december",
    "spring summer autumn winter",
    "one two three four five six seven eight nine ten eleven twelve",
    "first second third fourth fifth",
    "north south east west",
    "adults children pupils students pensioners visitors volunteers members guests",
    "monthly weekly daily yearly quarterly hourly",
    "red blue green yellow white black grey",
    "morning afternoon evening night",
)
_RIVALS = {word: line.split() for line in _SERIES for word in line.split()}
COMMON = frozenset(
    [
        "the",
        "this",
        "that",
        "these",
        "those",
        "one",
        "all",
        "and",
        "but",
        "for",
        "with",
        "from",
        "when",
        "where",
        "how",
        "why",
        "what",
        "who",
        "which",
        "yes",
        "not",
    ]
)
NAME_SLOTS = ("{W}", "{w1}", "{C}")


@dataclass(frozen=True)
class Swap:
    """A word of question and line with another of its kind."""

    word: str
    other: str

    def __call__(self, text: str) -> str:
        """The text with the other word, in the case of the place."""
        return re.sub(rf"\b{re.escape(self.word)}\b", self._in_case, text, flags=re.IGNORECASE)

    def _in_case(self, match: re.Match[str]) -> str:
        return self.other.capitalize() if match[0][:1].isupper() else self.other


def find_swap(question: str, text: str, chance: random.Random) -> Swap | None:
    """A swap for question and text, by chance one of those there are; None without a word of these kinds in both."""
    asked = {word.lower() for word in re.findall(r"[\w.,:'’-]*\w", question)}
    names = [name for name in _NAME.findall(text) if not re.search(rf"\b{re.escape(name.lower())}\b", text)]
    places = [*_NUMBER.findall(text), *(name for name in names if name.lower() not in COMMON)]
    places += [word for word in re.findall(r"\w+", text) if word.lower() in _RIVALS]
    words = sorted({place.lower() for place in places if place.lower() in asked})
    if not words:
        return None
    word = chance.choice(words)
    other = _other(word, chance)
    return (
        None
        if re.search(rf"\b{re.escape(other)}\b", f"{question} {text}", re.IGNORECASE)
        else Swap(word, other)
    )


def _other(word: str, chance: random.Random) -> str:
    if word in _RIVALS:
        return chance.choice([one for one in _RIVALS[word] if one != word])
    if word[0].isdigit():
        at = chance.choice([n for n, letter in enumerate(word) if letter.isdigit()])
        digit = str((int(word[at]) + chance.randint(1, 8)) % 9 + 1)
        return word[:at] + (digit if digit != word[at] else str(int(digit) % 9 + 1)) + word[at + 1 :]
    return fill(chance.choice(NAME_SLOTS), Values(chance))
