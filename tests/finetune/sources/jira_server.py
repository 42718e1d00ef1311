"""Jira Cloud's search by JQL, its fields and who one is, written from the reference of REST API v3. Never run live."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from finetune.sources import SOURCES
from tests.finetune.sources.help_desk import NOTE, TOKEN, Answer, DeskTicket, HelpDesk, Request, talk

EMAIL = "lead@acme.example"
ZONE = "America/New_York"
REQUEST_TYPE = "customfield_10010"
JQL = re.compile(r'project = "(\w+)"(?: AND updated >= "([\d: -]+)")? ORDER BY updated ASC, key ASC')


class JiraServer(HelpDesk):
    """Times in a query are in the zone of the person and have minutes only, as in Jira."""

    source = SOURCES["jira"]
    project = "SUP"

    def settings(self) -> dict[str, str]:
        return {
            "TRAINWISE_JIRA_URL": self.url,
            "TRAINWISE_JIRA_EMAIL": EMAIL,
            "TRAINWISE_JIRA_TOKEN": TOKEN,
        }

    def is_authorised(self, request: Request) -> bool:
        word = base64.b64encode(f"{EMAIL}:{self.token}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {word}"

    def refusal(
        self, status: int, text: str = "Client must be authenticated to access this resource."
    ) -> Answer:
        return Answer(status, {"errorMessages": [text], "errors": {}})

    def answer(self, request: Request) -> Answer:
        if request.path == "/rest/api/3/myself":
            return Answer(200, {"accountId": "5b10", "timeZone": ZONE})
        if request.path == "/rest/api/3/field":
            names = {
                "summary": "Summary",
                "description": "Description",
                "issuetype": "Issue Type",
                "components": "Components",
            }
            fields = [{"id": key, "key": key, "name": name} for key, name in names.items()]
            return Answer(200, [*fields, {"id": REQUEST_TYPE, "name": "Request Type", "custom": True}])
        if (request.method, request.path) != ("POST", "/rest/api/3/search/jql"):
            return self.refusal(404, "null for uri")
        body = request.json
        match = JQL.fullmatch(body["jql"])
        assert match, body["jql"]
        if match[1] != self.project:
            return self.refusal(400, f"The value '{match[1]}' does not exist for the field 'project'.")
        since = (
            datetime.fromisoformat(match[2]).replace(tzinfo=ZoneInfo(ZONE)).timestamp() if match[2] else 0.0
        )
        matches = [one for one in self.changed_since(since) if not one.is_deleted]
        if token := body.get("nextPageToken"):
            generation, at, last = token.split("|")
            if int(generation) != self.generation:
                return self.refusal(400, "The nextPageToken is not valid or has expired.")
            matches = [one for one in matches if (one.updated_at, one.id) > (int(at), int(last))]
        issues = self.serve(matches[: min(self.page, body["maxResults"])])
        value: dict[str, Any] = {"issues": [self.show(one, body["fields"]) for one in issues]}
        value["isLast"] = len(matches) <= len(issues)
        if not value["isLast"]:
            value["nextPageToken"] = f"{self.generation}|{issues[-1].updated_at}|{issues[-1].id}"
        return Answer(200, value)

    def show(self, one: DeskTicket, names: list[str]) -> dict[str, Any]:
        people = {"customer": one.requester, "agent": "5b77", "robot": "5b99"}
        comments = [
            {
                "author": {
                    "accountId": people[message.who],
                    "accountType": "app" if message.who == "robot" else "atlassian",
                    "displayName": "Ada Quimby" if message.who == "customer" else "Bo Lind",
                },
                "body": _document(message.text),
                **({} if message.is_public else {"jsdPublic": False}),
            }
            for message in talk(one)
        ]
        role = {"visibility": {"type": "role", "value": "Developers"}}
        note = {"author": {"accountId": "5b77"}, "body": _document(NOTE), "jsdPublic": True, **role}
        fields = {
            "summary": one.subject,
            "description": _document(one.text),
            "comment": {"comments": [note, *comments], "total": 9},
            "issuetype": {"id": "10004", "name": one.queue} if one.queue else None,
            "components": [{"id": "1", "name": one.queue}],
            REQUEST_TYPE: {"requestType": {"id": "7", "name": f"Help with {one.queue}"}, "currentStatus": {}},
            "reporter": {
                "accountId": one.requester,
                "displayName": "Ada Quimby",
                "emailAddress": "ada@example.org",
            },
            "created": _time(one.created_at),
            "updated": _time(one.updated_at),
            "customfield_1": NOTE,
        }
        return {
            "id": str(10_000 + one.id),
            "key": f"SUP-{one.id}",
            "fields": {name: fields.get(name) for name in names},
        }


def _document(text: str) -> dict[str, Any]:
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": text}]}
    return {"type": "doc", "version": 1, "content": [paragraph]}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


WIRE = JiraServer
