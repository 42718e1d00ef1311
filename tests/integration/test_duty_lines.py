"""The line below a ticket while Slack loses answers: one message with the latest answer, none for a deleted ticket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.slack.delivery.answer_message import AnswerMessage
from bot.slack.ui.duty import ticket_line
from tests.bot.slack.watches import watch_of
from tests.integration.notifier_harness import CHANNEL, RAVI, NotifierHarness, text_of
from worker.ledger import duty
from worker.ledger.duty import Watch

pytestmark = pytest.mark.integration
HOWS = ["accepted_drop", "accepted_500", "drop", "500"]


class Ticket:
    """A ticket of Ravi's in a watched channel."""

    def __init__(self, harness: NotifierHarness) -> None:
        self.harness, self.engine = harness, harness.ledger.engine
        self.watch: Watch = duty.open_watch(self.engine, watch_of(channel=CHANNEL))
        self.ts = str(harness.ravi.say(CHANNEL, "I was charged twice")["ts"])
        self.key = f"{CHANNEL}:{self.ts}"
        duty.add_ticket(self.engine, self.watch.id, self.key, self.ts, "I was charged twice", harness.now)

    def settle(self, queue: str) -> None:
        """Stores the model's answer and puts its line into the outbox."""
        (ticket,) = duty.waiting_tickets(self.engine, self.watch.id)
        answer = replace(ticket, state=duty.ANSWERED, queue=queue, confidence=0.9, likeliest=((queue, 0.9),))
        text, blocks = ticket_line(answer)
        line = replace(AnswerMessage(CHANNEL, self.ts, RAVI, text, blocks, key=""), since=self.harness.now)
        assert duty.record_answer(self.engine, answer, line.to_json(), CHANNEL, self.harness.now)

    def edit(self, text: str) -> None:
        """Edits the ticket, as its author would."""
        assert duty.edit_ticket(self.engine, self.watch.id, self.key, text)

    def lines(self) -> list[str]:
        """The lines below the ticket after the outbox is delivered."""
        for _ in range(8):
            self.harness.later(70)
        assert self.harness.ledger.due_posts(self.harness.now + 1e6) == []
        thread: list[dict[str, Any]] = self.harness.ravi.messages(CHANNEL, self.ts)
        return [text_of(one) for one in thread if one["ts"] != self.ts]


def test_a_ticket_edited_before_its_line_is_sent_has_one_line(harness: NotifierHarness) -> None:
    """The leader was down: the line of the old text is not sent any more."""
    ticket = Ticket(harness)
    ticket.settle("billing")
    ticket.edit("I cannot sign in")
    ticket.settle("login")
    (line,) = ticket.lines()
    assert "login" in line


@pytest.mark.parametrize("how", HOWS)
def test_a_ticket_edited_while_its_line_may_be_sent_has_one_line(harness: NotifierHarness, how: str) -> None:
    """It is unknown whether the first line arrived: the second waits, and then updates the first."""
    ticket = Ticket(harness)
    ticket.settle("billing")
    harness.workspace.fail("chat.postMessage", how=how)
    harness.notifier.work_once()
    ticket.edit("I cannot sign in")
    ticket.settle("login")
    harness.notifier.work_once()
    (line,) = ticket.lines()
    assert "login" in line


@pytest.mark.parametrize("how", HOWS)
def test_a_ticket_deleted_while_its_line_may_be_sent_has_no_line(harness: NotifierHarness, how: str) -> None:
    """A line that arrived is deleted; one that did not is not sent."""
    ticket = Ticket(harness)
    ticket.settle("billing")
    harness.workspace.fail("chat.postMessage", how=how)
    harness.notifier.work_once()
    duty.delete_ticket(ticket.engine, ticket.watch.id, ticket.key)
    assert ticket.lines() == []
