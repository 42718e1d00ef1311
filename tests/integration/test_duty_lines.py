"""The line beneath a ticket while Slack loses answers: one message that says the latest, none beneath a deleted ticket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.slack.delivery.placing import Answer
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
        duty.enter(self.engine, self.watch.id, self.key, self.ts, "I was charged twice", harness.now)

    def settle(self, queue: str) -> None:
        """The model's answer, and its line as the clerk owes it."""
        (ticket,) = duty.waiting(self.engine, self.watch.id)
        answer = replace(ticket, state=duty.ANSWERED, queue=queue, confidence=0.9, likeliest=((queue, 0.9),))
        text, blocks = ticket_line(answer)
        line = replace(Answer(CHANNEL, self.ts, RAVI, text, blocks, key=""), since=self.harness.now)
        assert duty.settle(self.engine, answer, line.to_json(), CHANNEL, self.harness.now)

    def edit(self, text: str) -> None:
        """Its author changes the words."""
        assert duty.edit(self.engine, self.watch.id, self.key, text)

    def lines(self) -> list[str]:
        """What stands beneath it once everything was paid."""
        for _ in range(8):
            self.harness.later(70)
        assert self.harness.ledger.due_posts(self.harness.now + 1e6) == []
        thread: list[dict[str, Any]] = self.harness.ravi.messages(CHANNEL, self.ts)
        return [text_of(one) for one in thread if one["ts"] != self.ts]


def test_a_ticket_that_is_edited_before_its_line_goes_out_has_one(harness: NotifierHarness) -> None:
    """The bot that speaks was away: the line to the old words is not sent any more."""
    ticket = Ticket(harness)
    ticket.settle("billing")
    ticket.edit("I cannot sign in")
    ticket.settle("login")
    (line,) = ticket.lines()
    assert "login" in line


@pytest.mark.parametrize("how", HOWS)
def test_a_ticket_that_is_edited_while_its_line_is_unsure_has_one(harness: NotifierHarness, how: str) -> None:
    """Whether the first line arrived is not known yet: the second one waits for it, and then changes it."""
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
def test_a_ticket_that_is_deleted_while_its_line_is_unsure_has_none(
    harness: NotifierHarness, how: str
) -> None:
    """What arrived after all is taken away; what did not is not sent."""
    ticket = Ticket(harness)
    ticket.settle("billing")
    harness.workspace.fail("chat.postMessage", how=how)
    harness.notifier.work_once()
    duty.delete_ticket(ticket.engine, ticket.watch.id, ticket.key)
    assert ticket.lines() == []
