"""GitHub's list of a repository's issues, written from its REST reference (2022-11-28). Never run live."""

from __future__ import annotations

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

ROBOT = "robot"


class GitHubServer(HelpDesk):
    """Pages by number, `Link` while there are more; one entry is a pull request."""

    source = SOURCES["github"]
    project = "acme/shop"
    has_cursors = False

    def settings(self) -> dict[str, str]:
        return {"TRAINWISE_GITHUB_URL": self.url, "TRAINWISE_GITHUB_TOKEN": TOKEN}

    def is_authorised(self, request: Request) -> bool:
        assert request.headers["x-github-api-version"] == "2022-11-28"
        return request.headers.get("authorization") == f"Bearer {self.token}"

    def refusal(self, status: int, text: str = "Bad credentials") -> Answer:
        return Answer(status, {"message": text, "documentation_url": "https://docs.github.com/rest"})

    def answer(self, request: Request) -> Answer:
        query = request.query
        if request.path == "/rate_limit":
            return Answer(200, {"resources": {}})
        if match := re.fullmatch(f"/repos/{self.project}/issues/(\\d+)/comments", request.path):
            one = next(one for one in self.tickets if one.id == int(match[1]))
            return Answer(200, [_comment(message, one) for message in talk(one) if message.is_public])
        if request.path != f"/repos/{self.project}/issues":
            return self.refusal(404, "Not Found")
        assert (query["state"], query["sort"], query["direction"]) == ("all", "updated", "asc")
        matches = self.changed_since(seconds(query["since"]) if "since" in query else 0)
        matches = [one for one in matches if not one.is_deleted]
        size = min(self.page, int(query["per_page"]))
        start = (int(query["page"]) - 1) * size
        issues = self.serve(matches[start : start + size])
        more = start + size < len(matches)
        link = f'<{self.url}{request.path}?page={int(query["page"]) + 1}>; rel="next"'
        return Answer(200, [self.show(one) for one in issues], {"Link": link} if more else {})

    def show(self, one: DeskTicket) -> dict[str, Any]:
        labels = [{"id": 1, "name": one.queue}, {"id": 2, "name": "triaged"}] if one.queue else []
        issue: dict[str, Any] = {
            "number": one.id,
            "title": one.subject,
            "body": one.text,
            "comments": len(talk(one)),
            "labels": labels,
            "state": "closed",
            "user": {"login": one.requester, "id": 5},
            "milestone": None,
            "node_id": NOTE,
            "created_at": iso(one.created_at),
            "updated_at": iso(one.updated_at),
        }
        return {**issue, "pull_request": {"url": "x"}} if one.requester == ROBOT else issue


def _comment(message: Comment, one: DeskTicket) -> dict[str, Any]:
    people = {"customer": one.requester, "agent": "bo", "robot": "helper[bot]"}
    kind = "Bot" if message.who == "robot" else "User"
    role = "NONE" if message.who == "customer" else "MEMBER"
    return {
        "body": message.text,
        "user": {"login": people[message.who], "type": kind},
        "author_association": role,
    }


WIRE = GitHubServer
