"""Zendesk's incremental ticket export and ticket fields, written from its reference. Never run live."""

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
    talk,
)

EMAIL = "agent@acme.example"
GROUPS = {"Billing": 98_001, "Login": 98_002, "Legal": 98_003}
TOPIC = 27_642


class ZendeskServer(HelpDesk):
    """Cursors are opaque and name a time and an id, as Zendesk's do."""

    source = SOURCES["zendesk"]
    tells_deletions = True

    def settings(self) -> dict[str, str]:
        return {
            "TRAINWISE_ZENDESK_URL": self.url,
            "TRAINWISE_ZENDESK_EMAIL": EMAIL,
            "TRAINWISE_ZENDESK_TOKEN": TOKEN,
        }

    def is_authorised(self, request: Request) -> bool:
        word = base64.b64encode(f"{EMAIL}/token:{self.token}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {word}"

    def refusal(self, status: int, text: str = "Couldn't authenticate you") -> Answer:
        return Answer(status, {"error": text})

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/v2/ticket_fields.json":
            fields = [{"id": TOPIC, "title": "Topic", "type": "tagger"}, {"id": 1, "title": "Subject"}]
            return Answer(200, {"ticket_fields": fields, "next_page": None, "count": 2})
        if request.path == "/api/v2/users/me.json":
            return Answer(200, {"user": {"id": 1, "role": "admin"}})
        if match := re.fullmatch(r"/api/v2/tickets/(\d+)/comments\.json", request.path):
            assert request.query == {"include": "users", "per_page": "100"}
            return self.comments(int(match[1]))
        if request.path != "/api/v2/incremental/tickets/cursor.json":
            return self.refusal(404, "RecordNotFound")
        if cursor := request.query.get("cursor"):
            generation, at, last = base64.b64decode(cursor).decode().split("|")
            if int(generation) != self.generation:
                return Answer(400, {"error": "InvalidCursor", "description": "The cursor is not valid"})
            place = (int(at), int(last))
        else:
            place = (int(request.query["start_time"]), -1)
        waiting = [one for one in self.changed_since(0) if (one.updated_at, one.id) > place]
        tickets = self.serve(waiting[: min(self.page, int(request.query["per_page"]))])
        if tickets:
            place = (tickets[-1].updated_at, tickets[-1].id)
        after = base64.b64encode(f"{self.generation}|{place[0]}|{place[1]}".encode()).decode()
        value: dict[str, Any] = {
            "tickets": [self.show(one) for one in tickets],
            "after_cursor": after,
            "after_url": f"{self.url}/api/v2/incremental/tickets/cursor.json?cursor={after}",
            "before_cursor": None,
            "before_url": None,
            "end_of_stream": len(waiting) <= len(tickets),
        }
        if request.query.get("include") == "groups":
            value["groups"] = [{"id": number, "name": name} for name, number in GROUPS.items()]
        return Answer(200, value)

    def comments(self, number: int) -> Answer:
        one = next(one for one in self.tickets if one.id == number)
        people = {"customer": one.requester, "agent": 77, "robot": -1}
        users = [
            {"id": one.requester, "role": "end-user", "name": "Ada Quimby"},
            {"id": 77, "role": "agent", "name": "Bo Lind"},
            {"id": -1, "role": "end-user", "name": "System"},
        ]
        talks = [Comment("customer", one.text), *(one for one in talk(one) if one.who != "robot")]
        comments = [
            {"id": at, "author_id": people[each.who], "body": each.text, "plain_body": each.text, "public": each.is_public}
            for at, each in enumerate(talks)
        ]  # fmt: skip
        return Answer(200, {"comments": comments, "users": users, "count": len(comments), "next_page": None})

    def show(self, one: DeskTicket) -> dict[str, Any]:
        return {
            "id": one.id,
            "subject": "SCRUBBED" if one.is_deleted else one.subject,
            "description": "SCRUBBED" if one.is_deleted else one.text,
            "status": "deleted" if one.is_deleted else "solved",
            "group_id": GROUPS.get(one.queue),
            "requester_id": one.requester,
            "tags": ["web", one.queue.lower()],
            "custom_fields": [
                {"id": TOPIC, "value": one.queue.lower() or None},
                {"id": 27_648, "value": NOTE},
            ],
            "created_at": iso(one.created_at),
            "updated_at": iso(one.updated_at),
            "generated_timestamp": one.updated_at,
            "via": {"channel": "web"},
        }


WIRE = ZendeskServer
