"""Freshdesk tickets by `updated_since`, each page beginning where the one before ended in time.

Pages by number shift when a ticket changes meanwhile, and end at the 300th: time does neither. Written from Freshdesk's API v2
reference; driven in tests against a server on loopback that speaks it; never run live. The list has no choice of
fields: what is not asked for is dropped on arrival.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from finetune.registry import Variable
from finetune.sources.contract import Cursor, Missing, Page, Query, Source, Wait
from finetune.sources.exchange import Message, with_exchange, words_of
from finetune.sources.http import ApiClient, Login, iso_of, newest
from finetune.sources.time_paging import next_cursor

URL, TOKEN = "TRAINWISE_FRESHDESK_URL", "TRAINWISE_FRESHDESK_TOKEN"
PAGE = 100
TO_OTHERS = (6, 8, 9)  # of a message: a survey's answer, a mail forwarded to somebody else, a phone call
BY_TEAM = 10  # of a ticket: a mail that the team sent first
BEGINNING = 946_684_800.0  # 2000-01-01: without a time only the last 30 days are listed


class Freshdesk:
    """The tickets of one account; deleted ones and spam are not listed."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._groups: dict[Any, str] | None = None

    def ping(self) -> None:
        self._client.get("/api/v2/agents/me")

    def resolve(self, query: Query) -> Query:
        return query

    def start(self, query: Query, since: float | None) -> Cursor:
        return {"since": max(BEGINNING, since or 0.0), "page": 1}

    def page(self, query: Query, cursor: Cursor) -> Page:
        try:
            reply = self._client.get(
                "/api/v2/tickets",
                updated_since=iso_of(cursor["since"]),
                order_by="updated_at",
                order_type="asc",
                include="description",
                per_page=PAGE,
                page=int(cursor["page"]),
            )
        except Missing as error:
            raise Missing(f"There is no Freshdesk at the address in {URL}: check it.") from error
        tickets, until = reply.rows(), newest(reply.rows())
        is_last = not reply.next_link
        place = next_cursor(cursor, until, is_last)
        rows = [self._row(one, query) for one in tickets]
        if query.has_replies:
            rows = [with_exchange(row, self._messages(row)) for row in rows]
        return Page(tuple(rows), place, is_last, until)

    def _messages(self, ticket: Mapping[str, Any]) -> Iterator[Message]:
        """The ticket's own words and the first hundred of its conversations, without private ones."""
        text = words_of(ticket.get("description_text"))
        yield Message(text, is_by_team=ticket.get("source") == BY_TEAM)
        try:
            reply = self._client.get(f"/api/v2/tickets/{ticket.get('id')}/conversations", per_page=PAGE)
        except Missing:  # deleted since the list was read
            return
        for one in reply.rows():
            if one.get("private") is False and one.get("source") not in TO_OTHERS:
                words = words_of(one.get("body_text")) or words_of(one.get("body"))
                yield Message(words, one.get("incoming") is False)

    def _row(self, ticket: dict[str, Any], query: Query) -> dict[str, Any]:
        """The ticket, with its group's name where that is the label."""
        if query.columns["label"] != "group":
            return ticket
        if self._groups is None:
            rows = self._client.get("/api/v2/groups", per_page=PAGE).rows()
            self._groups = {one.get("id"): str(one.get("name", "")) for one in rows}
        return {**ticket, "group": self._groups.get(ticket.get("group_id"), "")}


def connect(values: Mapping[str, str], wait: Wait) -> Freshdesk:
    basic = base64.b64encode(f"{values[TOKEN]}:X".encode()).decode()
    return Freshdesk(ApiClient("Freshdesk", values[URL], Login(f"Basic {basic}", URL, TOKEN), wait))


SOURCE = Source(
    name="freshdesk",
    label="Freshdesk",
    variables=(
        Variable(
            URL,
            "Address of Freshdesk to pull tickets from, such as `https://company.freshdesk.com`.",
            default=None,
        ),
        Variable(TOKEN, "Freshdesk's API key; it sees the tickets that its agent sees.", True, None),
    ),
    connect=connect,
    columns={
        **{"text": "description_text", "subject": "subject", "label": "type", "id": "id"},
        **{"created_at": "created_at", "customer": "requester_id"},
    },
    example="type, group, tags, or custom_fields.NAME",
    has_replies=True,
)
