"""Intercom's search of conversations and its teams, written from its reference (2.11). Never run live."""

from __future__ import annotations

import re
from typing import Any

from finetune.sources import SOURCES
from tests.finetune.sources.help_desk import NOTE, TOKEN, Answer, DeskTicket, HelpDesk, Request, talk

TEAMS = {"Billing": "801", "Login": "802", "Legal": "803"}


class IntercomServer(HelpDesk):
    """`starting_after` points behind a conversation, in the order of the last change."""

    source = SOURCES["intercom"]

    def settings(self) -> dict[str, str]:
        return {"TRAINWISE_INTERCOM_URL": self.url, "TRAINWISE_INTERCOM_TOKEN": TOKEN}

    def is_authorised(self, request: Request) -> bool:
        assert request.headers["intercom-version"] == "2.11"
        return request.headers.get("authorization") == f"Bearer {self.token}"

    def refusal(self, status: int, text: str = "Access Token Invalid") -> Answer:
        return Answer(status, {"type": "error.list", "errors": [{"code": "unauthorized", "message": text}]})

    def answer(self, request: Request) -> Answer:
        if request.path == "/teams":
            teams = [{"type": "team", "id": number, "name": name} for name, number in TEAMS.items()]
            return Answer(200, {"type": "team.list", "teams": teams})
        if request.path == "/me":
            return Answer(200, {"type": "admin", "id": "1"})
        if match := re.fullmatch(r"/conversations/(\d+)", request.path):
            return Answer(200, self.show_whole(int(match[1])))
        if (request.method, request.path) != ("POST", "/conversations/search"):
            return self.refusal(404, "not matches")
        body = request.json
        assert body["sort"] == {"field": "updated_at", "order": "ascending"}
        (clause,) = body["query"]["value"]
        assert (clause["field"], clause["operator"]) == ("updated_at", ">")
        matches = [one for one in self.changed_since(int(clause["value"]) + 1) if not one.is_deleted]
        if after := body["pagination"].get("starting_after"):
            generation, at, last = after.split("-")
            if int(generation) != self.generation:
                return Answer(
                    400,
                    {
                        "type": "error.list",
                        "errors": [{"code": "parameter_invalid", "message": "bad cursor"}],
                    },
                )
            matches = [one for one in matches if (one.updated_at, one.id) > (int(at), int(last))]
        tickets = self.serve(matches[: min(self.page, body["pagination"]["per_page"])])
        pages: dict[str, Any] = {"type": "pages", "page": 1, "per_page": self.page, "total_pages": 9}
        if len(matches) > len(tickets):
            last_one = tickets[-1]
            pages["next"] = {
                "page": 2,
                "starting_after": f"{self.generation}-{last_one.updated_at}-{last_one.id}",
            }
        value = {
            "type": "conversation.list",
            "conversations": [self.show(one) for one in tickets],
            "pages": pages,
        }
        return Answer(200, {**value, "total_count": len(matches)})

    def show_whole(self, number: int) -> dict[str, Any]:
        one = next(one for one in self.tickets if one.id == number)
        kinds = {
            "customer": ("user", "Ada Quimby"),
            "agent": ("admin", "Bo Lind"),
            "robot": ("bot", "Operator"),
        }
        parts = [
            {"type": "conversation_part", "part_type": "assignment", "body": f"<p>{NOTE}</p>", "author": {"type": "admin"}},
            {"type": "conversation_part", "part_type": "close", "body": None, "author": {"type": "admin"}},
        ]  # fmt: skip
        for each in talk(one):
            author = dict(zip(("type", "name"), kinds[each.who], strict=True))
            kind = "comment" if each.is_public else "note"
            parts.append({"part_type": kind, "body": f"<p>{each.text}</p>", "author": author})
        parts_list = {"type": "conversation_part.list", "conversation_parts": parts, "total_count": 9}
        return {**self.show(one), "conversation_parts": parts_list}

    def show(self, one: DeskTicket) -> dict[str, Any]:
        author = {"type": "user", "id": one.requester, "name": "Ada Quimby", "email": "ada@example.org"}
        return {
            "type": "conversation",
            "id": str(one.id),
            "created_at": one.created_at,
            "updated_at": one.updated_at,
            "source": {
                "type": "email",
                "subject": one.subject,
                "body": f"<p>{one.text}</p>",
                "author": author,
            },
            "team_assignee_id": TEAMS.get(one.queue),
            "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "1", "name": one.queue.lower()}]},
            "custom_attributes": {"Note": NOTE},
        }


WIRE = IntercomServer
