"""Which language a text is in, by py3langid: its packaged model, no network; read with the first text."""

from __future__ import annotations

from functools import cache
from typing import Any

MOST_CHARACTERS = 1_000  # of a text that are looked at
NO_LANGUAGE = "zxx"  # what py3langid says of numbers and signs
NAMES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch",
    "pt": "Portuguese", "pl": "Polish", "sv": "Swedish", "tr": "Turkish", "ja": "Japanese", "ru": "Russian",
    "zh": "Chinese", "ko": "Korean", "ar": "Arabic", "cs": "Czech", "da": "Danish", "fi": "Finnish",
}  # fmt: skip


def identify_language(text: str) -> tuple[str, float]:
    """The likeliest language as a two-letter code, "" for what is none, and its share of the probability, 0 to 1."""
    code, share = _identifier().classify(text[:MOST_CHARACTERS])
    return "" if code == NO_LANGUAGE else str(code), float(share)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
