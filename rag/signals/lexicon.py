"""The cue lexicon: finds words in a message that indicate a signal, with their positions.

Loads rag/data/cues.yaml (regular expressions by signal and value) and finds them; weighs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import yaml

from rag.errors import RagError

CUES = Path(__file__).parents[1] / "data" / "cues.yaml"
_QUOTES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ", "\u202f": " "}
)


@dataclass(frozen=True)
class Cue:
    """One hit: the signal and value that it indicates, and the span of the words."""

    signal: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Compiled cues; `names` fixes the order of the feature vector."""

    patterns: Mapping[tuple[str, str], tuple[re.Pattern[str], ...]]

    @cached_property
    def names(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.patterns)

    def find(self, text: str) -> list[Cue]:
        """Every hit in the text, at most four per pattern, in no particular order."""
        plain = lower_with_plain_quotes(text)
        cues = []
        for (signal, value), patterns in self.patterns.items():
            for pattern in patterns:
                for number, match in enumerate(pattern.finditer(plain)):
                    if number == 4:
                        break
                    if match.end() > match.start():
                        cues.append(Cue(signal, value, *match.span()))
        return cues


def lower_with_plain_quotes(text: str) -> str:
    """Lower case with plain quotes; every character keeps its place, so spans fit the original."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text.translate(_QUOTES))


@cache
def load_lexicon(path: Path = CUES) -> Lexicon:
    """The compiled lexicon; RagError names the file and the pattern that cannot be used."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Lexicon(
            {
                (signal, str(value)): tuple(re.compile(p) for p in patterns)
                for signal, values in raw.items()
                for value, patterns in values.items()
            }
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, re.error, AttributeError, TypeError) as error:
        raise RagError(f"The cue lexicon {path} cannot be used: {error}. Restore it with git.") from error


GLOSSARY = Path(__file__).parents[1] / "data" / "glossary.yaml"
MIN_GLOSSARY_HITS = 2  # words of one language before a message counts as written in it
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
ENGLISH = frozenset(
    {"the", "is", "are", "should", "our", "we", "with", "and", "for", "it", "to", "of", "you"}
)


@dataclass(frozen=True)
class Glossary:
    """By language: whole words and stems (longest first), each with its English."""

    words: Mapping[str, Mapping[str, str]]
    stems: Mapping[str, tuple[tuple[str, str], ...]]

    def __call__(self, text: str) -> str:
        """The text with known words in English where it is mostly written in one of the languages."""
        words = [word.lower() for word in _WORD.findall(text)]
        hits = {
            language: sum(self._english(language, word) is not None for word in words)
            for language in self.words
        }
        language = max(hits, key=lambda name: hits[name])
        if hits[language] < MIN_GLOSSARY_HITS or hits[language] <= sum(word in ENGLISH for word in words):
            return text
        return _WORD.sub(lambda match: self._english(language, match[0].lower()) or match[0], text)

    def _english(self, language: str, word: str) -> str | None:
        if word in self.words[language]:
            return self.words[language][word]
        return next((english for stem, english in self.stems[language] if word.startswith(stem)), None)


@cache
def load_glossary(path: Path = GLOSSARY) -> Glossary:
    """The glossary; RagError names the file if it cannot be used."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        words = {name: {w: e for w, e in lines.items() if w[-1] != "*"} for name, lines in raw.items()}
        stems = {
            name: tuple(
                sorted(((w[:-1], e) for w, e in lines.items() if w[-1] == "*"), key=lambda s: -len(s[0]))
            )
            for name, lines in raw.items()
        }
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise RagError(f"The glossary {path} cannot be used: {error}. Restore it with git.") from error
    return Glossary(words, stems)


MAX_QUOTE_CHARACTERS = 70
_EDGE = re.compile(r"[;!?\n()]+\s*|[.,:](?:\s+|$)|\s[-–—]\s|\s->\s")


def words_around(text: str, start: int, end: int) -> str:
    """At most about seventy characters, cut at the ends of clauses and words; always holds text[start:end]."""
    left, right = 0, len(text)
    for edge in _EDGE.finditer(text):
        if edge.end() <= start:
            left = edge.end()
        elif edge.start() >= end:
            right = edge.start()
            break
    if right - left > MAX_QUOTE_CHARACTERS:
        spare = max(0, MAX_QUOTE_CHARACTERS - (end - start))
        left, right = max(left, start - spare // 2), min(right, end + spare - spare // 2)
        while left > 0 and left < start and text[left - 1] not in " \n":
            left += 1
        while right > end and right < len(text) and text[right] not in " \n":
            right -= 1
    return " ".join(text[left:right].split()).strip(" ,;:.")
