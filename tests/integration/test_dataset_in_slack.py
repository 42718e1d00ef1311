"""A file of tickets in Slack: the card and its picture for the channel, the bad rows for the sender alone."""

from __future__ import annotations

import pytest

from bot.playground import Person
from tests.integration.conftest import few_tickets, text_of, until

pytestmark = pytest.mark.integration
CHANNEL = "#support-ml"


def test_a_dropped_file_becomes_a_card_a_picture_and_a_list(maya: Person, ravi: Person) -> None:
    """Good rows are kept and redacted; the list of bad ones reaches the sender and nobody else."""
    bad = b'=cmd|calc,"x",extra\n,empty_text\nmy card 4111 1111 1111 1111 was charged twice on the old plan,billing\n'
    file = maya.upload(None, "Tickets (1).csv", few_tickets(60) + bad)["file"]["id"]
    maya.command("/datasets", "add", CHANNEL)
    form = maya.wait_view(title="Add tickets")
    values = {"file": [file], "name": "from-slack", "scope": "channel", "licence": "ours"}
    assert maya.submit(form, values)["ok"]
    card = maya.wait_message(CHANNEL, lambda m: "added *from-slack*" in m.get("text", ""), 120)
    said = text_of(card)
    assert "2 left out, unreadable" in said
    assert "1 CARD" in said
    assert "Redacted is not anonymous" in said

    def picture() -> list[str]:
        replies = ravi.messages(CHANNEL, card["ts"])
        return [f["name"] for m in replies for f in m.get("files", [])]

    assert until(lambda: "from-slack.png" in picture())

    def listed(person: Person) -> list[str]:
        return [f["name"] for m in person.messages("@trainwise") for f in m.get("files", [])]

    assert until(lambda: "from-slack.problems.csv" in listed(maya))
    assert "from-slack.problems.csv" not in listed(ravi)
