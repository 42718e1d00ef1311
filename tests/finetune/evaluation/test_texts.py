"""Long texts and other languages are told; a doubling is judged by class too."""

from __future__ import annotations

import numpy as np

from finetune.evaluation.learning_curve import rising_classes
from finetune.evaluation.texts import LANGUAGE, LONG_TEXTS, foreign_languages, text_warnings
from tests.finetune.measurement.measuring import cut_sample, sample_rows

ENGLISH = [text for text, _ in sample_rows()[:60]]
GERMAN = (
    "Guten Tag, seit gestern kann ich mich nicht mehr anmelden und bitte um ein neues Passwort.",
    "Die Rechnung für den letzten Monat ist doppelt in meinem Postfach angekommen, bitte prüfen Sie das.",
)


def kinds(texts: list[str]) -> set[str]:
    return {warning.kind for warning in text_warnings(texts, 7)}


def test_plain_english_tickets_get_no_caution() -> None:
    """The bundled sample is short and English."""
    assert kinds(ENGLISH) == set()


def test_tickets_in_another_language_are_told_with_their_share() -> None:
    """A third in German is named; one in thirty is not worth a line."""
    mixture = [*ENGLISH[:40], *(GERMAN * 10)]
    notes = {warning.kind: warning.text for warning in text_warnings(mixture, 7)}
    assert "German" in notes[LANGUAGE]
    assert kinds([*ENGLISH, *GERMAN]) == set()
    assert 0.2 < foreign_languages(mixture)["de"] < 0.5


def test_mails_longer_than_the_encoder_reads_are_told() -> None:
    """A quarter of the tickets has 300 words: the encoder reads their beginning only."""
    mails = [" ".join(ENGLISH[at : at + 20]) for at in range(15)]
    assert LONG_TEXTS in kinds([*ENGLISH[:45], *mails])


def test_only_classes_that_rose_for_certain_are_named() -> None:
    """Class 1 is learned between half and all of the tickets, the others stand still; noise names none."""
    sample = cut_sample(120, 20, 160)
    half = np.where(sample.truth == 1, 0, sample.truth)
    sentence = rising_classes(sample, {70: [half, half], 140: [sample.truth]})
    assert "1 +100 points" in sentence
    assert "3 others did not" in sentence
    rng = np.random.default_rng(2)
    draws = [np.where(rng.random(160) < 0.3, 0, sample.truth) for _ in range(3)]
    assert "none of the 4" in rising_classes(sample, {70: draws[:2], 140: draws[2:]})
    assert rising_classes(sample, {140: [sample.truth]}) == ""
