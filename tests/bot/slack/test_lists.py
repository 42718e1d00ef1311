"""What the lists and the card of a dataset say, and what can be pressed beneath it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.slack.app import summaries
from bot.slack.ui.limits import validate_message
from bot.slack.ui.lists import dataset_card, dataset_list, seen_by
from finetune.data.card import Card

CARD = Card(
    "mine",
    1,
    "4c53",
    "triage",
    201,
    (("bug", 120), ("login", 81)),
    ("workspace",),
    "ours",
    "U1",
    "2026-11-30",
)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("triage", ["Measure it", "Fine-tune", "Repair"]), ("reply", ["Fine-tune", "Repair"])],
)
def test_a_new_dataset_is_measured_before_it_is_trained_on(kind: str, labels: list[str]) -> None:
    """The buttons beneath its card, the first one first; replies have no queues to measure."""
    blocks = validate_message(dataset_card(replace(CARD, kind=kind)))
    buttons = blocks[-1]["elements"]
    assert [button["text"]["text"] for button in buttons] == labels
    assert {button["value"] for button in buttons} == {"mine"}


def test_the_list_counts_what_the_card_counts() -> None:
    """Rows left out are all rows of the file that are not in the dataset, copies among them."""
    card = replace(CARD, rejected=3, repaired=26, intake={"left_out": {"exact copies": 20, "no text": 3}})
    assert "23 rows left out, 26 repaired" in str(dataset_list([card], frozenset(), "Datasets"))
    assert "3 rows left out" in str(dataset_list([replace(card, intake={})], frozenset(), "Datasets"))


@pytest.mark.parametrize(
    ("scopes", "here", "words"),
    [
        (("workspace", "channel:C0A"), True, "everyone"),
        (("channel:C0A",), True, "this channel"),
        (("channel:C0B", "channel:C0A"), False, "<#C0A>, <#C0B>"),
        (("channel:D0A",), True, "direct messages"),
        (("channel:D0A",), False, "direct messages"),
    ],
)
def test_who_sees_it_is_said_for_the_place_where_it_is_read(
    scopes: tuple[str, ...], here: bool, words: str
) -> None:
    """Home is no channel, and one's own conversation is none either."""
    assert seen_by(scopes, here=here) == words


def test_home_begins_with_the_question_that_everyone_may_ask() -> None:
    """What only admins do with the same command stands below."""
    commands = [line.split("`")[1] for line in summaries()]
    assert commands[0] == "/should-i-train"
    assert commands[-1] == "/should-i-train connect"
