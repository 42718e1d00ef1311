"""The fixed words of an answer in the asker's language: translated tables, English where a word is missing.

Covers which language a message is written in. Does not translate documents: what is cited stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

from rag.errors import RagError

FOLDER = Path(__file__).parents[1] / "data" / "phrases"
LATIN = ("en", "de", "fr", "es", "pt", "it", "nl")
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
MOST_ENGLISH = 0.1  # probability of English up to which another language is believed
MIN_WORDS = 4
KANA = re.compile(r"[\u3040-\u30ff]")
HAN = re.compile(r"[\u4e00-\u9fff]")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
LETTER = re.compile(r"[^\W\d_]")
MIN_SCRIPT = 0.3  # share of the letters from which a script tells the language


@dataclass(frozen=True)
class Phrases:
    """The words of one language by a dotted key ("opening.rag"); `table` are translations of the table's lines."""

    language: str
    words: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The words with the values in their braces; KeyError for a key that English does not have."""
        text = self.words[key]
        return text.format(**values) if values else text

    def get(self, key: str, otherwise: str) -> str:
        """The words of this key, or what is given where this language has none."""
        return self.words.get(key, otherwise)


@cache
def load_phrases_of(language: str) -> Phrases:
    """The phrases of a language, English ones where it lacks some; RagError when the file cannot be used."""
    path = FOLDER / f"{language}.yaml"
    try:
        words = dict(_flat(yaml.safe_load(path.read_text(encoding="utf-8")), ""))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise RagError(f"{path} cannot be used ({type(error).__name__}). Restore it with git.") from error
    return Phrases(language, words if language == "en" else {**load_phrases_of("en").words, **words})


def _flat(node: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in node.items():
        if isinstance(value, Mapping):
            pairs += _flat(cast("Mapping[str, object]", value), f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", str(value)))
    return pairs


def language_of(text: str, before: str = "en") -> str:
    """The language of a message, one of LANGUAGES; `before` (the thread's) for one that is too short to tell."""
    language = _told_language(text, before)
    return language if language in LANGUAGES else before


def _told_language(text: str, before: str) -> str:
    letters = len(LETTER.findall(text))
    if not letters:
        return before
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    if kana and han + kana >= MIN_SCRIPT * letters:
        return "ja"
    if han >= MIN_SCRIPT * letters:
        return "zh"
    if len(CYRILLIC.findall(text)) >= MIN_SCRIPT * letters:
        return "ru"
    if len(text.split()) < MIN_WORDS:
        return before
    ranking = _identifier().rank(text)
    english = next(share for language, share in ranking if language == "en")
    if english <= MOST_ENGLISH:
        return str(ranking[0][0])
    return "en" if ranking[0][0] == "en" else before


class Identifier(Protocol):
    """What is used of py3langid: the languages with their shares of the probability, the likeliest first."""

    def rank(self, text: str) -> list[tuple[str, float]]: ...


@cache
def _identifier() -> Identifier:
    """langid's classifier over the Latin-script languages, loaded on the first message."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LATIN))
    return cast(Identifier, identifier)
