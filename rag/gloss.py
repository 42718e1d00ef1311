"""English beside German, French and Spanish: the words that matter, for an embedding model that reads English best.

Covers the words of rag/data/glossary.yaml, one by one; it translates no sentence and leaves English text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rag.errors import RagError

GLOSSARY = Path(__file__).parent / "data" / "glossary.yaml"
FEWEST = 2  # words of one language before a message counts as written in it
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
        said = [word.lower() for word in _WORD.findall(text)]
        hits = {
            language: sum(self._english(language, word) is not None for word in said)
            for language in self.words
        }
        language = max(hits, key=lambda name: hits[name])
        if hits[language] < FEWEST or hits[language] <= sum(word in ENGLISH for word in said):
            return text
        return _WORD.sub(lambda match: self._english(language, match[0].lower()) or match[0], text)

    def _english(self, language: str, word: str) -> str | None:
        if word in self.words[language]:
            return self.words[language][word]
        return next((english for stem, english in self.stems[language] if word.startswith(stem)), None)


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
