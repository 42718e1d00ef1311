"""Names in free text by the optional models: hidden where they are installed, what stands in many rows stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from finetune.data import name_models, redact
from finetune.data.name_models import has_name_models
from finetune.data.ticket import Ticket, Tickets

needs_models = pytest.mark.skipif(not has_name_models(), reason="the extra `names` is not installed")
FRENCH = "Merci de supprimer l'accès de Margaux Chevalier, elle a quitté la société hier."
ENGLISH = "The technician Daniel Johnson came by yesterday and replaced the router, but it is still slow."


def tickets(*texts: str) -> Tickets:
    return Tickets(tuple(Ticket(str(n), text, "it") for n, text in enumerate(texts)), "triage")


@needs_models
def test_full_names_in_english_and_french_are_hidden_and_things_stay() -> None:
    """A product that stands in many rows is no person, whatever the model takes it for; the card says what is missed."""
    things = [f"Visa Gold does not open any more since update {n}." for n in range(12)]
    result = redact.redact(tickets(ENGLISH, FRENCH, *things))
    texts = list(result.tickets.texts)
    assert texts[0] == ENGLISH.replace("Daniel Johnson", "<NAME>")
    assert texts[1] == FRENCH.replace("Margaux Chevalier", "<NAME>")
    assert texts[2:] == things
    assert "one in eight full names" in result.not_covered


@needs_models
def test_names_in_a_long_text_are_hidden_wherever_they_stand() -> None:
    """The model reads it in pieces: none ends within a name, and the last reaches the text's end."""
    filler = "the printer on the second floor is slow again and nobody knows why. "
    for size in range(1_920, 2_000, 13):  # the name stands across the 2,000th character in some
        text = f"{'x' * (size % len(filler))} {filler * (size // len(filler))}{ENGLISH}"
        assert "Daniel Johnson" not in redact.redact(tickets(text)).tickets.texts[0]
    assert "Daniel Johnson" not in redact.redact(tickets(filler * 350 + ENGLISH)).tickets.texts[0]


def test_a_text_is_split_at_sentence_ends() -> None:
    """Nothing is left out, no piece is longer than the model takes, and a text without sentences is cut all the same."""
    long = f"{ENGLISH} " * 500
    pieces = list(name_models._pieces(long))
    assert "".join(piece for _, piece in pieces) == long
    assert all(long[at : at + len(piece)] == piece for at, piece in pieces)
    assert all(piece.rstrip().endswith(".") for _, piece in pieces)
    assert max(len(piece) for _, piece in pieces) <= name_models.PIECE
    assert [len(piece) for _, piece in name_models._pieces("x" * 5_000)] == [2_000, 2_000, 1_000]


def test_without_the_extra_nothing_is_loaded_and_the_card_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names stay, as NOT_COVERED tells."""
    monkeypatch.setattr(name_models, "has_name_models", lambda: False)
    monkeypatch.setattr(redact, "has_name_models", lambda: False)
    result = redact.redact(tickets(ENGLISH))
    assert result.tickets.texts[0] == ENGLISH
    assert result.not_covered == redact.NOT_COVERED


def test_the_models_are_loaded_with_the_first_text_that_may_name_someone() -> None:
    """Importing redaction, and texts in small letters, load no spaCy."""
    code = (
        "import sys; from finetune.data.redact import redact_texts; redact_texts(['the printer is broken again']); "
        "print('spacy' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
