"""Corrections of the understood values in Slack: open the menus, choose, and see the verdict change in its message."""

from __future__ import annotations

from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, MENTION, answer, text_of, until

pytestmark = pytest.mark.integration
QUESTION = "our support mails: 3,000 of them are labelled with 8 queues, should we train?"


def card_now(person: Person, card: dict[str, Any]) -> dict[str, Any]:
    """The message as it stands now."""
    thread = person.messages(CHANNEL, card["thread_ts"])
    return next(message for message in thread if message["ts"] == card["ts"])


def menus_of(card: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The selects of a card by the name of what they correct."""
    elements = [element for block in card["blocks"] for element in block.get("elements", ())]
    selects = [element for element in elements if element.get("type") == "static_select"]
    return {element["action_id"].partition(":")[2]: element for element in selects}


def test_a_tap_corrects_the_reading_and_the_verdict_changes_in_place(stack: LocalStack, maya: Person) -> None:
    """The menus open with the understood values; another choice changes the verdict and shows what changed."""
    question = maya.say(CHANNEL, f"{MENTION} {QUESTION}")
    card = answer(maya, question["ts"])
    assert "I understood" in text_of(card)
    assert menus_of(card) == {}
    maya.click(CHANNEL, card["ts"], "reading", "open")
    card_open = until(lambda: (now := card_now(maya, card)) and menus_of(now) and now)
    menus = menus_of(card_open)
    assert list(menus) == ["task", "gaps", "baseline", "examples", "binds"]
    assert menus["task"]["initial_option"]["value"] == "classify"
    maya.click(CHANNEL, card["ts"], "reading:task", "qa")
    card_after = until(lambda: "maya" in text_of(now := card_now(maya, card)).lower() and now)
    assert "answer questions from documents" in text_of(card_after)
    assert "The verdict was" in text_of(card_after)
    assert len(maya.messages(CHANNEL, card["thread_ts"])) == 2
    maya.click(CHANNEL, card["ts"], "reading", "close")
    until(lambda: not menus_of(card_now(maya, card)))


def test_a_later_message_does_not_overwrite_a_correction(stack: LocalStack, maya: Person) -> None:
    """The confirmed task stays, whatever a later message contains."""
    question = maya.say(CHANNEL, f"{MENTION} {QUESTION}")
    card = answer(maya, question["ts"])
    maya.click(CHANNEL, card["ts"], "reading", "open")
    until(lambda: menus_of(card_now(maya, card)))
    maya.click(CHANNEL, card["ts"], "reading:task", "extract")
    until(lambda: "pull out fields" in text_of(card_now(maya, card)))
    maya.say(CHANNEL, "we get 400 of them a day", thread_ts=card["thread_ts"])
    second = answer(maya, card["thread_ts"], number=2)
    assert "pull out fields" in text_of(second)
