"""Prepares a ticket for a served model: cleaned and redacted like the training tickets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.data.clutter import is_automatic, without_history, without_signature
from finetune.data.languages import NAMES, identify_language
from finetune.data.markup import plain
from finetune.data.redact import redact_texts

LONGEST = 20_000  # characters of a ticket that are read; a model reads a few hundred words of them
MIN_LETTERS = 2
COMMON_LANGUAGE = 0.02  # share of the training tickets from which on the model is taken to know a language
MIN_WORDS, SURE = 6, 0.95  # words of a text, and certainty of its language, before a language is refused


@dataclass(frozen=True)
class TicketText:
    """The cleaned text; `refusal` says why the model must not answer alone ("" if it may)."""

    text: str
    refusal: str = ""


def read_ticket(raw: str, languages: Mapping[str, float]) -> TicketText:
    """Clean and redact one ticket; `languages` are the shares of the training tickets' languages."""
    raw = raw[:LONGEST]
    if is_automatic(raw):
        return TicketText(redact_texts([raw])[0], "it is an automatic reply")
    text = redact_texts([without_signature(without_history(plain(raw)))])[0]
    if len(re.findall(r"[^\W\d_]", text)) < MIN_LETTERS:
        return TicketText(text, "it has no words")
    language = language_of(text)
    if languages and language and language not in languages:
        return TicketText(text, f"it is in {NAMES.get(language, language)}, which no training ticket is in")
    return TicketText(text)


def language_of(text: str) -> str:
    """The text's language as a two-letter code; "" where it is too short or not certain."""
    if len(text.split()) < MIN_WORDS:
        return ""
    code, share = identify_language(text)
    return code if share > SURE else ""


def languages_of(texts: Sequence[str]) -> dict[str, float]:
    """The languages that a model has learned, with their shares of the training tickets; rare ones are left out.

    Empty where too few texts are long enough to tell: then no ticket is refused for its language.
    """
    codes = Counter(filter(None, map(language_of, texts)))
    total = sum(codes.values())
    if total < MIN_KNOWN:
        return {}
    return {code: count / total for code, count in codes.most_common() if count >= COMMON_LANGUAGE * total}


MIN_KNOWN = 20  # training tickets of a certain language
