"""Detects which of ten languages a message is in: by its script, else by py3langid among seven Latin ones; no network."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Protocol, cast

from rag.one_at_a_time import one_at_a_time

LATIN = ("en", "de", "fr", "es", "pt", "it", "nl")
LANGUAGES = tuple(sorted((*LATIN, "ja", "ru", "zh")))
MAX_ENGLISH = 0.1  # highest probability of English at which another language is accepted
MIN_WORDS = 4
KANA = re.compile(r"[\u3040-\u30ff]")
HAN = re.compile(r"[\u4e00-\u9fff]")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
LETTER = re.compile(r"[^\W\d_]")
MIN_SCRIPT = 0.3  # share of the letters in a script that decides the language


def language_of(text: str, before: str = "en") -> str:
    """The language of a message, one of LANGUAGES; `before` (the thread's) for one that is too short to tell."""
    language = _detect_language(text, before)
    return language if language in LANGUAGES else before


@lru_cache(maxsize=64)
def _detect_language(text: str, before: str) -> str:
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
    if english <= MAX_ENGLISH:
        return str(ranking[0][0])
    return "en" if ranking[0][0] == "en" else before


class Identifier(Protocol):
    """The used part of py3langid: the languages with their probabilities, the likeliest first."""

    def rank(self, text: str) -> list[tuple[str, float]]: ...


@one_at_a_time
@cache
def _identifier() -> Identifier:
    """langid's classifier over the Latin-script languages, 55 MB; its table of all 142 languages is let go."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    every: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    every.set_languages(list(LATIN))
    tables = every.nb_ptc, every.nb_pc, every.nb_classes, every.tk_nextmove, every.tk_output
    return cast(Identifier, LanguageIdentifier(*tables, norm_probs=True, tk_row=every.tk_row))
