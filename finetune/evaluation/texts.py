"""What the texts make doubtful: longer than the encoder reads, or in a language that it hardly knows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from finetune.data.languages import NAMES, identify_language
from finetune.evaluation.sample import Caution

LONG_TEXTS, LANGUAGE = "long", "language"
WORDS_READ = 190  # about the 256 tokens of the packaged encoder, in English
MANY = 0.1  # share of the texts from which on a caution is worth its line
LOOKED_AT, LEAST_WORDS, SURE = 300, 8, 0.9


def text_cautions(texts: Sequence[str], seed: int) -> list[Caution]:
    """What a reader of the scores must know about the texts, from up to LOOKED_AT of them."""
    order = np.random.default_rng([seed, 3]).permutation(len(texts))[:LOOKED_AT]
    some = [texts[at] for at in order]
    notes = []
    long = np.mean([len(text.split()) > WORDS_READ for text in some]) if some else 0.0
    if long > MANY:
        text = (
            f"{100 * long:.0f}% of the tickets are longer than the {WORDS_READ} words or so that the encoder reads: "
            "of them it and the fine-tune know the beginning only; the linear SVM counts the words of the whole text."
        )
        notes.append(Caution(LONG_TEXTS, text))
    languages = foreign_languages(some)
    if sum(languages.values()) > MANY:
        names = ", ".join(
            f"{NAMES.get(code, code)} {100 * share:.0f}%" for code, share in languages.most_common(3)
        )
        text = (
            f"Not all tickets are in English ({names}). The packaged encoder learned English, so the figures hold for it "
            "alone: a multilingual base model may do better."
        )
        notes.append(Caution(LANGUAGE, text))
    return notes


def foreign_languages(texts: Sequence[str]) -> Counter[str]:
    """The share of the texts that are for certain in each language but English; too short ones are passed over."""
    long_enough = [text for text in texts if len(text.split()) >= LEAST_WORDS]
    if not long_enough:
        return Counter()
    guesses = map(identify_language, long_enough)
    counts = Counter(code for code, share in guesses if share > SURE and code not in ("en", ""))
    return Counter({code: count / len(long_enough) for code, count in counts.items()})
