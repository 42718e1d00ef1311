"""Zendesk tickets by the incremental ticket export with cursors.

Written from Zendesk's reference of Incremental Exports, Ticket Fields and Ticket Comments (API v2); driven in tests against a server on
loopback that speaks it; never run live. The export has no choice of fields: what is not asked for is dropped on arrival.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from finetune.errors import did_you_mean
from finetune.registry import Variable
from finetune.sources.contract import (
    Cursor,
    ExpiredCursor,
    Missing,
    Page,
    Query,
    Refusal,
    Source,
    SourceError,
    Wait,
)
from finetune.sources.exchange import Message, with_exchange, words_of
from finetune.sources.http import ApiClient, Login, newest

URL, EMAIL, TOKEN = "TRAINWISE_ZENDESK_URL", "TRAINWISE_ZENDESK_EMAIL", "TRAINWISE_ZENDESK_TOKEN"
PAGE = 1000
PAGE_OF_REPLIES = 100  # tickets whose comments are asked for one by one before they are kept
TEAM = ("agent", "admin")
LAG_S = 61  # the export leaves out the newest minute
OWN_FIELDS = (
    "group",
    "type",
    "priority",
    "status",
    "tags",
    "brand_id",
    "ticket_form_id",
    "recipient",
    "organization_id",
)


class Zendesk:
    """The tickets of one account."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def ping(self) -> None:
        self._client.get("/api/v2/users/me.json")

    def resolve(self, query: Query) -> Query:
        """A label that is no field of every ticket is looked up among the ticket fields, by title or id."""
        label = query.columns["label"]
        if label in OWN_FIELDS or label.startswith("custom_fields."):
            return query
        fields = self._client.get("/api/v2/ticket_fields.json").rows("ticket_fields")
        for one in fields:
            if label.casefold() in (str(one.get("title", "")).casefold(), str(one.get("id"))):
                return replace(query, columns={**query.columns, "label": f"custom_fields.{one['id']}"})
        titles = [*OWN_FIELDS[:5], *(str(one.get("title", "")) for one in fields if one.get("id"))]
        raise SourceError(
            f"Zendesk has no ticket field {label!r}.{did_you_mean(label, titles)} Name one of: {', '.join(titles[:20])}."
        )

    def start(self, query: Query, since: float | None) -> Cursor:
        return {"start_time": max(0, int(min(since or 0, time.time() - LAG_S)))}

    def page(self, query: Query, cursor: Cursor) -> Page:
        params: dict[str, str | int] = {**cursor, "per_page": PAGE_OF_REPLIES if query.has_replies else PAGE}
        if query.columns["label"] == "group":
            params["include"] = "groups"
        try:
            reply = self._client.get("/api/v2/incremental/tickets/cursor.json", **params)
        except Refusal as error:
            if "cursor" in cursor:
                raise ExpiredCursor(str(error)) from error
            raise
        except Missing as error:
            raise Missing(f"There is no Zendesk at the address in {URL}: check it.") from error
        answer, tickets = reply.object(), reply.rows("tickets")
        groups = {one.get("id"): str(one.get("name", "")) for one in reply.rows("groups")}
        after = answer.get("after_cursor")
        rows = [_row(one, groups) for one in tickets if one.get("status") != "deleted"]
        if query.has_replies:
            rows = [with_exchange(row, self._messages(row)) for row in rows]
        return Page(
            tuple(rows),
            {"cursor": str(after)} if after else cursor,
            bool(answer.get("end_of_stream", True)),
            newest(tickets, "generated_timestamp") or newest(tickets),
            tuple(str(one["id"]) for one in tickets if one.get("status") == "deleted"),
        )

    def _messages(self, ticket: Mapping[str, Any]) -> Iterator[Message]:
        """The first hundred comments that are public; the first one is the description."""
        path = f"/api/v2/tickets/{ticket.get('id')}/comments.json"
        try:
            reply = self._client.get(path, include="users", per_page=100)
        except Missing:  # deleted since the list was read
            return
        people = {one.get("id"): one for one in reply.rows("users")}
        for one in reply.rows("comments"):
            author = people.get(one.get("author_id"), {})
            text = words_of(one.get("plain_body")) or words_of(one.get("body"))
            if one.get("public") is True:
                yield Message(text, author.get("role") in TEAM, words_of(author.get("name")))


def _row(ticket: Mapping[str, Any], groups: Mapping[Any, str]) -> dict[str, Any]:
    """The ticket with its group's name, and each custom field under its id."""
    own = {
        str(one["id"]): one.get("value")
        for one in ticket.get("custom_fields") or ()
        if isinstance(one, dict) and "id" in one
    }
    return {**ticket, "group": groups.get(ticket.get("group_id"), ""), "custom_fields": own}


def connect(values: Mapping[str, str], wait: Wait) -> Zendesk:
    """With an address of an agent the token is an API token, without one an OAuth token."""
    email = values.get(EMAIL, "")
    login = Login.of_person(f"{email}/token" if email else "", values[TOKEN], URL, TOKEN)
    return Zendesk(ApiClient("Zendesk", values[URL], login, wait))


SOURCE = Source(
    name="zendesk",
    label="Zendesk",
    variables=(
        Variable(
            URL,
            "Address of Zendesk to pull tickets from, such as `https://company.zendesk.com`.",
            default=None,
        ),
        Variable(EMAIL, "The agent whose API token it is; empty: the token is an OAuth token."),
        Variable(
            TOKEN, "Zendesk's API token; it needs to read tickets, groups and ticket fields.", True, None
        ),
    ),
    connect=connect,
    columns={
        **{"text": "description", "subject": "subject", "label": "group", "id": "id"},
        **{"created_at": "created_at", "customer": "requester_id"},
    },
    example="group, or a ticket field's title",
    has_replies=True,
)
