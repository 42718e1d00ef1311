"""Replies by pull: the customer's first message and the team's first public reply; notes, programs and names never arrive."""

from __future__ import annotations

import pytest

from finetune.data.store import DatasetStore
from finetune.sources.contract import Query, SourceError
from finetune.sources.exchange import QUESTION, REPLY, Message, with_exchange
from tests.finetune.sources.conftest import NAME, Rig
from tests.finetune.sources.help_desk import NOTE, ticket


def query_of(rig: Rig, labels: tuple[str, ...] = ()) -> Query:
    return rig.desk.source.query(rig.desk.project, {}, labels, "", has_replies=True)


def test_questions_come_with_the_team_s_first_public_reply(rig: Rig) -> None:
    """Redacted before anything is kept; what only a note or a program answered waits until a person has."""
    result = rig.pull(query_of(rig))
    rows = {row.id.removeprefix("SUP-"): row for row in rig.store.tickets(result.card.digest).rows}
    assert result.card.kind == "reply"
    assert set(rows) == {str(one.id) for one in rig.desk.tickets if one.id % 6}
    assert result.card.intake["left_out"] == {"no answer": 4}
    for number, row in rows.items():
        assert f"number {number} does not work since Monday. Write to <EMAIL> please." in row.text
        assert f"number {number} is repaired, write to <EMAIL> else." in str(row.answer)
        assert row.label is None
    content = rig.bytes()
    for word in (NOTE, "ROBOT", "Closed now", "in the list", "@acme.example", "@example.org"):
        assert word.encode() not in content


def test_a_reply_that_comes_later_makes_the_next_version(rig: Rig) -> None:
    """The ticket has changed at its source, so the next pull reads it; what has not changed is not asked about."""
    rig.pull(query_of(rig))
    rig.desk.touch(6, is_answered=True)
    before = len(rig.desk.requests)
    result = rig.pull(query_of(rig))
    assert (result.change.new_rows, result.card.rows) == (1, 21)
    assert len(rig.desk.requests) - before < 24


def test_only_replies_of_the_queues_that_were_named(rig: Rig) -> None:
    """The others are left out and counted; the queue itself is not kept."""
    rig.desk.tickets = [ticket(number) for number in range(1, 41)]
    result = rig.pull(query_of(rig, ("Billing",)))
    assert result.card.rows == sum(one.queue == "Billing" and one.id % 6 > 0 for one in rig.desk.tickets)
    assert result.card.intake["left_out"]["of other queues"] == 20


def test_queues_and_replies_are_two_datasets(zendesk: Rig) -> None:
    """One name holds one of them: the sentence says so, and nothing is changed."""
    zendesk.pull()
    with pytest.raises(SourceError, match=r"holds queues: pull replies under another name \(--name\)"):
        zendesk.pull(query_of(zendesk))
    store = DatasetStore(str(zendesk.folder))
    assert [card.kind for card in store.versions(NAME)] == ["triage"]


def test_no_public_reply_anywhere_is_one_sentence(zendesk: Rig) -> None:
    """It says what a ticket needs."""
    zendesk.desk.tickets = [one for one in zendesk.desk.tickets if one.id % 6 == 0]
    with pytest.raises(
        SourceError, match=r"None of the 4 tickets(.|\n)*4 no answer(.|\n)*notes do not count"
    ):
        zendesk.pull(query_of(zendesk))


def test_the_reply_is_the_first_one_after_the_customer_s_words() -> None:
    """Where the team writes first, its words are no reply; empty messages are none."""
    messages = [
        Message("We have opened this for you.", True),
        Message(" ", False),
        Message("It rattles.", False),
    ]
    row = with_exchange({"id": 1}, [*messages, Message("", True), Message("Turn it off.", True, "Bo Lind")])
    assert row == {"id": 1, QUESTION: "It rattles.", REPLY: "Turn it off.", "agent name": "Bo Lind"}
    assert with_exchange({}, messages)[REPLY] is None
