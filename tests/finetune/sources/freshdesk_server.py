"""Freshdesk's list of tickets and of groups, written from its reference of API v2. Never run live."""

from __future__ import annotations

import base64
import re
from typing import Any

from finetune.sources import SOURCES
from tests.finetune.sources.help_desk import (
    NOTE,
    TOKEN,
    Answer,
    Comment,
    DeskTicket,
    HelpDesk,
    Request,
    iso,
    seconds,
    talk,
)

GROUPS = {"Billing": 501, "Login": 502, "Legal": 503}


class FreshdeskServer(HelpDesk):
    """Pages by number, `Link` while there are more."""

    source = SOURCES["freshdesk"]
    has_cursors = False

    def settings(self) -> dict[str, str]:
        return {"TRAINWISE_FRESHDESK_URL": self.url, "TRAINWISE_FRESHDESK_TOKEN": TOKEN}

    def is_authorised(self, request: Request) -> bool:
        word = base64.b64encode(f"{self.token}:X".encode()).decode()
        return request.headers.get("authorization") == f"Basic {word}"

    def refusal(self, status: int, text: str = "You have to be logged in to perform this action.") -> Answer:
        return Answer(status, {"code": "invalid_credentials", "message": text})

    def answer(self, request: Request) -> Answer:
        query = request.query
        if request.path == "/api/v2/groups":
            return Answer(200, [{"id": number, "name": name} for name, number in GROUPS.items()])
        if request.path == "/api/v2/agents/me":
            return Answer(200, {"id": 1, "type": "support_agent"})
        if match := re.fullmatch(r"/api/v2/tickets/(\d+)/conversations", request.path):
            one = next(one for one in self.tickets if one.id == int(match[1]))
            to_others = Comment("agent", f"{NOTE}: can you look at it?")
            forward = [{**_conversation(to_others), "source": 8}]
            talks = [each for each in talk(one) if each.who != "robot"]
            return Answer(200, [*forward, *map(_conversation, talks)])
        if request.path != "/api/v2/tickets":
            return self.refusal(404, "not matches")
        assert (query["order_by"], query["order_type"], query["include"]) == (
            "updated_at",
            "asc",
            "description",
        )
        matches = [one for one in self.changed_since(seconds(query["updated_since"])) if not one.is_deleted]
        size = min(self.page, int(query["per_page"]))
        start = (int(query["page"]) - 1) * size
        tickets = self.serve(matches[start : start + size])
        more = start + size < len(matches)
        link = f'<{self.url}/api/v2/tickets?page={int(query["page"]) + 1}>; rel="next"'
        return Answer(200, [self.show(one) for one in tickets], {"Link": link} if more else {})

    def show(self, one: DeskTicket) -> dict[str, Any]:
        return {
            "id": one.id,
            "subject": one.subject,
            "description": f"<div>{one.text}</div>",
            "description_text": one.text,
            "type": one.queue or None,
            "group_id": GROUPS.get(one.queue),
            "requester_id": one.requester,
            "tags": [],
            "custom_fields": {"cf_topic": one.queue.lower() or None, "cf_note": NOTE},
            "created_at": iso(one.created_at),
            "updated_at": iso(one.updated_at),
        }


def _conversation(message: Comment) -> dict[str, Any]:
    words = {"body": f"<div>{message.text}</div>", "body_text": message.text}
    source = 0 if message.is_public else 2
    return {
        **words,
        "incoming": message.who == "customer",
        "private": not message.is_public,
        "source": source,
    }


WIRE = FreshdeskServer
