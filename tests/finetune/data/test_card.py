"""The card in words and in one picture: everything a person must know, nothing a ticket said."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from finetune.data.card import Card, card_lines, issues
from finetune.evaluation.dataset_plot import card_alt, card_png

CARD = Card(
    name="tickets",
    version=3,
    digest="ab" * 32,
    kind="triage",
    rows=900,
    classes=(("billing_and_refunds", 700), ("login", 160), ("$pecial_{queue}", 40)),
    scopes=("channel:C1",),
    licence="internal",
    added_by="U1",
    added_at="2026-11-24T10:00:00+00:00",
    source="export.csv",
    rejected=4,
    repaired=2,
    balance=17.5,
    duplicates={"exact": 0, "near": 31},
    cleaned={"exact copies": 60, "signatures": 200},
    redactions={"EMAIL": 12, "NAME": 3},
    not_covered="Redacted is not anonymous.",
    noise={"checked": 900, "suspects": 27, "share": 0.03},
    splits={"train": 600, "dev": 80, "test": 220, "how": "220 to test; test = the latest weeks"},
    weeks=(("2026-05-04", 400), ("2026-05-11", 500)),
    customers=320,
)


def test_the_lines_tell_size_balance_care_and_origin() -> None:
    """Each fact of the card that decides whether to train is in a line."""
    text = "\n".join(card_lines(CARD))
    for fact in (
        *("900 tickets (3 queues, 320 customers, 2026-05-04", "Balance 17.5:1", "Only 40 of $pecial_{queue}"),
        *("4 left out, unreadable, 2 repaired", "60 exact copies, 200 signatures", "Near copies: 31"),
        *("12 EMAIL, 3 NAME", "Redacted is not anonymous", "27 of 900 look wrong (3.0%)"),
        *("test = the latest weeks", "Version 3 (abababababab) from export.csv, added by U1 on 2026-11-24"),
        "licence: internal; for channel:C1",
    ):
        assert fact in text


def test_what_was_not_done_is_said_too() -> None:
    """Labels that nobody checked and a redaction that found nothing are no silence."""
    text = "\n".join(card_lines(replace(CARD, noise={}, redactions={})))
    assert "Labels: not checked yet." in text
    assert "Redacted: nothing found. Redacted is not anonymous." in text


def test_the_columns_that_were_read_are_told_and_a_guess_is_called_one() -> None:
    """Who reads the card in the channel sees what was read as what, and how to mend a guess."""
    guess = replace(CARD, guessed=True, columns={"text": "body", "label": "group"})
    assert "Columns guessed: text from “body”, label from “group”." in "\n".join(card_lines(guess))
    text = "\n".join(card_lines(replace(guess, guessed=False)))
    assert "Columns: text from “body”, label from “group”." in text


def test_issues_stand_worst_first() -> None:
    """The picture's lower half: rows left out, changed or doubtful, none of zero."""
    assert issues(CARD) == [
        ("signatures", 200),
        ("exact copies", 60),
        ("near copies", 31),
        ("doubtful labels", 27),
        ("unreadable", 4),
        ("encoding repaired", 2),
    ]


@pytest.mark.filterwarnings("error")  # a glyph that the font lacks would be drawn as a box
@pytest.mark.parametrize(
    "card",
    [
        CARD,
        replace(
            CARD,
            classes=tuple((f"queue number {at} with a very long name indeed", 200 - at) for at in range(77)),
        ),
        replace(CARD, kind="reply", classes=(), noise={}),
        replace(
            CARD,
            kind="reply",
            classes=(),
            weeks=(),
            cleaned={},
            duplicates={},
            noise={},
            rejected=0,
            repaired=0,
        ),
        replace(CARD, classes=(("請求書", 500), ("вход", 400)), name="x" * 64),
    ],
    ids=["plain", "77 queues", "replies with dates", "replies without anything", "other alphabets"],
)
def test_the_picture_reads_on_a_phone(card: Card) -> None:
    """A PNG of phone-friendly width on an opaque light ground, whatever the card; small enough for Slack."""
    from PIL import Image

    data = card_png(card)
    picture = Image.open(io.BytesIO(data))
    assert picture.width == 1024
    assert 400 < picture.height < 2400
    assert picture.convert("RGBA").getpixel((2, 2)) == (255, 255, 255, 255)
    assert len(data) < 300_000


def test_the_picture_is_told_in_words() -> None:
    """Screen readers get the same numbers."""
    assert card_alt(CARD).startswith("Bar chart. Tickets per queue: billing_and_refunds 700, login 160")
    assert "doubtful labels 27" in card_alt(CARD)


def test_the_card_says_which_languages_the_tickets_are_in() -> None:
    """With shares; rows of a dataset that nobody looked at say nothing."""
    text = "\n".join(card_lines(replace(CARD, languages={"de": 0.96, "en": 0.04})))
    assert "Languages: German 96%, English 4%." in text
    assert "Languages" not in "\n".join(card_lines(CARD))
