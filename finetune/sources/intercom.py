"""Intercom conversations by the search endpoint, in the order in which they changed.

Written from Intercom's reference (version 2.11: Conversations, Pagination, Rate limiting); driven in tests against a server on
loopback that speaks it; never run live. The search has no choice of fields: what is not asked for is dropped on arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from finetune.registry import Variable
from finetune.sources.contract import (
    LAG_S,
    Cursor,
    ExpiredCursor,
    Missing,
    Page,
    Query,
    Refusal,
    Source,
    Wait,
)
from finetune.sources.exchange import Message, with_exchange, words_of
from finetune.sources.http import ApiClient, Login, newest

URL, TOKEN = "TRAINWISE_INTERCOM_URL", "TRAINWISE_INTERCOM_TOKEN"
VERSION = "2.11"
PAGE = 150
PUBLIC = (
    "comment"  # the kind of part that is written to the customer; notes and what is said on assigning are not
)
CUSTOMERS = ("user", "lead", "contact")


class Intercom:
    """The conversations of one workspace."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._teams: dict[str, str] | None = None

    def ping(self) -> None:
        self._client.get("/me")

    def resolve(self, query: Query) -> Query:
        """`tags` and `topics` are lists one level down; everything else is checked on the first rows."""
        label = query.columns["label"]
        inner = {"tags": "tags.tags", "topics": "topics.topics"}.get(label, label)
        return replace(query, columns={**query.columns, "label": inner})

    def start(self, query: Query, since: float | None) -> Cursor:
        return {"since": int(since or 0)}

    def page(self, query: Query, cursor: Cursor) -> Page:
        since = int(cursor["since"])
        pagination: dict[str, Any] = {"per_page": PAGE}
        if after := cursor.get("after"):
            pagination["starting_after"] = after
        clause = {"field": "updated_at", "operator": ">", "value": str(since - 1)}
        body = {
            "query": {"operator": "AND", "value": [clause]},
            "sort": {"field": "updated_at", "order": "ascending"},
            "pagination": pagination,
        }
        try:
            reply = self._client.post("/conversations/search", body)
        except Refusal as error:
            if after:
                raise ExpiredCursor(str(error)) from error
            raise
        conversations = reply.rows("conversations")
        onward = (reply.object().get("pages") or {}).get("next") or {}
        going_on = onward.get("starting_after") if isinstance(onward, dict) else None
        until = newest(conversations)
        latest = max(int(until or 0), int(cursor.get("latest", 0)))
        rows = [self._row(one, query) for one in conversations if _author(one) in CUSTOMERS]
        skips = len(conversations) - len(rows)
        if query.has_replies:
            rows = [with_exchange(row, self._messages(row)) for row in rows]
        return Page(
            tuple(rows),
            {"since": since, "after": going_on, "latest": latest}
            if going_on
            else {"since": max(since, latest - int(LAG_S))},
            not going_on,
            until,
            skips={"begun by the team, not by a customer": skips} if skips else {},
        )

    def _row(self, conversation: dict[str, Any], query: Query) -> dict[str, Any]:
        """The conversation, with its team's name where that is the label."""
        if query.columns["label"] != "team":
            return conversation
        if self._teams is None:
            teams = self._client.get("/teams").rows("teams")
            self._teams = {str(one.get("id")): str(one.get("name", "")) for one in teams}
        team = str(conversation.get("team_assignee_id") or "")
        return {**conversation, "team": self._teams.get(team, "")}

    def _messages(self, conversation: Mapping[str, Any]) -> Iterator[Message]:
        """What opened the conversation, then its parts that are comments, by a person."""
        source = conversation["source"]
        yield Message(words_of(source.get("body")), False, words_of(source["author"].get("name")))
        try:
            whole = self._client.get(f"/conversations/{conversation.get('id')}").object()
        except Missing:  # deleted since the search
            return
        parts = whole.get("conversation_parts")
        for one in parts.get("conversation_parts") or () if isinstance(parts, dict) else ():
            author = one.get("author") if isinstance(one, dict) else None
            if not isinstance(author, dict) or one.get("part_type") != PUBLIC:
                continue
            if author.get("type") in ("admin", *CUSTOMERS):
                words = words_of(one.get("body"))
                yield Message(words, author["type"] == "admin", words_of(author.get("name")))


def _author(conversation: Mapping[str, Any]) -> str:
    source = conversation.get("source")
    author = source.get("author") if isinstance(source, dict) else None
    return str(author.get("type", "")) if isinstance(author, dict) else ""


def connect(values: Mapping[str, str], wait: Wait) -> Intercom:
    login = Login(f"Bearer {values[TOKEN]}", URL, TOKEN)
    more = {"Intercom-Version": VERSION}
    return Intercom(ApiClient("Intercom", values[URL], login, wait, more))


SOURCE = Source(
    name="intercom",
    label="Intercom",
    variables=(
        Variable(
            URL,
            "Address of Intercom's API: `https://api.eu.intercom.io` or `https://api.au.intercom.io` outside the US.",
            default="https://api.intercom.io",
        ),
        Variable(TOKEN, "Intercom's access token; it needs to read conversations and teams.", True, None),
    ),
    connect=connect,
    columns={
        **{"text": "source.body", "subject": "source.subject", "label": "team", "id": "id"},
        **{"created_at": "created_at", "customer": "source.author.id"},
    },
    example="team, tags, topics, or custom_attributes.NAME",
    has_replies=True,
)
