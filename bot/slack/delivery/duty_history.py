"""Reads the history of watched channels: new messages, and edits and deletions from the time when the bot was down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slack_sdk import WebClient
from sqlalchemy import Engine

from bot.slack.on_duty import ticket_in, ticket_key, without_personal_data
from bot.slack.ui.duty import message_text
from bot.slack.ui.escape import question_of
from worker.ledger import duty
from worker.ledger.duty import Watch

PAGE = 200
LOOK_BACK_S = 3 * 86_400.0  # how far back edits and deletions are searched
LOOK_BACK_PAGES = 25
TOMBSTONE = "tombstone"  # Slack's subtype of a deleted message that has replies
Message = dict[str, Any]


class ChannelHistory:
    """Reads watched channels with the bot's client; `should_stop` ends the reading between two pages."""

    def __init__(
        self, engine: Engine, clock: Callable[[], float], client: WebClient, should_stop: Callable[[], bool]
    ) -> None:
        self._engine, self._clock, self._client, self._should_stop = engine, clock, client, should_stop

    def enter_new(self, watch: Watch, bot_user: str) -> str:
        """Enters every ticket since `read_ts`, page by page.

        Returns the newest message's ts; "" when there is none, or when the reading was stopped.
        """
        newest, now = "", self._clock()
        for page in self._pages(watch.channel, watch.read_ts):
            for message in page:
                ts = str(message["ts"])
                newest = max(newest, ts, key=lambda one: float(one or 0))
                if (text := ticket_in(message, bot_user)) is not None:
                    ticket = (
                        ticket_key(watch.channel, ts),
                        ts,
                        without_personal_data(text),
                        min(now, float(ts)),
                    )
                    duty.add_ticket(self._engine, watch.id, *ticket)
        return "" if self._should_stop() else newest

    def apply_changes(self, watch: Watch) -> list[str]:
        """Applies edits and deletions of recent tickets, as their events would; returns the ts of lines of deleted tickets.

        Tickets older than the last page that was read stay unchanged.
        """
        recent = duty.tickets_of(self._engine, watch.id, self._clock() - LOOK_BACK_S)
        tickets = [one for one in recent if one.ts and one.state != duty.DELETED]
        if not tickets:
            return []
        oldest = min((one.ts for one in tickets), key=float)
        messages: dict[str, Message] = {}
        read_from = float("inf")
        for number, page in enumerate(self._pages(watch.channel, f"{float(oldest) - 1e-6:.6f}"), 1):
            messages |= {str(message["ts"]): message for message in page}
            if number == LOOK_BACK_PAGES:
                read_from = min((float(ts) for ts in messages), default=read_from)
                break
        else:
            read_from = float("inf") if self._should_stop() else float(oldest)
        lines = []
        for ticket in tickets:
            if float(ticket.ts) < read_from:
                continue
            message = messages.get(ticket.ts)
            if message is None or message.get("subtype") == TOMBSTONE:
                lines.append(duty.delete_ticket(self._engine, watch.id, ticket.key))
            elif "edited" in message:
                words = without_personal_data(question_of(message_text(message)))
                duty.edit_ticket(self._engine, watch.id, ticket.key, words)
        return [line for line in lines if line]

    def _pages(self, channel: str, since: str) -> Iterator[list[Message]]:
        """The messages after `since`: the newest page first, each page oldest first; ends early when `should_stop`."""
        query: dict[str, Any] = {"channel": channel, "oldest": since, "limit": PAGE}
        while not self._should_stop():
            answer = self._client.conversations_history(**query)
            yield sorted(answer.get("messages") or [], key=lambda one: float(one["ts"]))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            query["cursor"] = cursor
