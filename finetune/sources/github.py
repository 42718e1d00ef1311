"""GitHub issues of one repository, each page beginning where the one before ended in time; `Link` tells whether more follow.

Written from GitHub's REST reference (2022-11-28: Issues, Pagination, Rate limits); driven in tests against a server on loopback
that speaks it; never run live. The list has no choice of fields: what is not asked for is dropped on arrival.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from finetune.registry import Variable
from finetune.sources.contract import Cursor, Missing, Page, Query, Source, SourceError, Wait
from finetune.sources.exchange import Message, with_exchange, words_of
from finetune.sources.http import ApiClient, Login, iso_of, newest
from finetune.sources.time_paging import next_cursor

URL, TOKEN, PROJECTS = "TRAINWISE_GITHUB_URL", "TRAINWISE_GITHUB_TOKEN", "TRAINWISE_GITHUB_REPOSITORIES"
PAGE = 100
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")


class GitHub:
    """The issues that the token may read; pull requests are not tickets."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def ping(self) -> None:
        self._client.get("/rate_limit")

    def resolve(self, query: Query) -> Query:
        if not REPOSITORY.fullmatch(query.project) or query.project.endswith(("/.", "/..")):
            raise SourceError(
                f"{query.project[:80]!r} is no repository: write OWNER/NAME, such as acme/shop."
            )
        return query

    def start(self, query: Query, since: float | None) -> Cursor:
        return {"since": since or 0.0, "page": 1}

    def page(self, query: Query, cursor: Cursor) -> Page:
        params: dict[str, str | int] = {"state": "all", "sort": "updated", "direction": "asc"}
        params |= {"per_page": PAGE, "page": int(cursor["page"])}
        if cursor["since"]:
            params["since"] = iso_of(cursor["since"])
        try:
            reply = self._client.get(f"/repos/{query.project}/issues", **params)
        except Missing as error:
            raise Missing(
                f"GitHub shows no issues of {query.project}: it does not exist, has issues switched off, or the token may not see "
                f"it. Check the name, and the rights of {TOKEN}."
            ) from error
        issues, until = reply.rows(), newest(reply.rows())
        rows = [one for one in issues if "pull_request" not in one]
        skips = len(issues) - len(rows)
        is_last = not reply.next_link
        place = next_cursor(cursor, until, is_last)
        if query.has_replies:
            rows = [with_exchange(row, self._messages(query.project, row)) for row in rows]
        return Page(tuple(rows), place, is_last, until, skips={"pull requests": skips} if skips else {})

    def _messages(self, project: str, issue: Mapping[str, Any]) -> Iterator[Message]:
        """The issue, then its first hundred comments by people; who opened it is no team, whatever they are."""
        yield Message(words_of(issue.get("body")), False)
        if not issue.get("comments"):
            return
        try:
            reply = self._client.get(f"/repos/{project}/issues/{issue.get('number')}/comments", per_page=PAGE)
        except Missing:  # moved or deleted since the list was read
            return
        for one in reply.rows():
            author = one.get("user")
            if not isinstance(author, dict) or author.get("type") == "Bot":
                continue
            is_own = author.get("login") == (issue.get("user") or {}).get("login")
            is_by_team = not is_own and one.get("author_association") in TEAM
            yield Message(words_of(one.get("body")), is_by_team)


def connect(values: Mapping[str, str], wait: Wait) -> GitHub:
    more = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    login = Login(f"Bearer {values[TOKEN]}", URL, TOKEN)
    return GitHub(ApiClient("GitHub", values[URL], login, wait, more))


SOURCE = Source(
    name="github",
    label="GitHub",
    variables=(
        Variable(
            URL, "Address of GitHub's API; GitHub Enterprise has its own.", default="https://api.github.com"
        ),
        Variable(
            TOKEN, "GitHub's token; it needs to read the issues of the repositories to pull.", True, None
        ),
        Variable(
            PROJECTS, "Repositories that may be pulled, comma between; empty: all that the token reads."
        ),
    ),
    connect=connect,
    columns={
        **{"text": "body", "subject": "title", "label": "labels", "id": "number"},
        **{"created_at": "created_at", "customer": "user.login"},
    },
    project="a repository, OWNER/NAME",
    projects=PROJECTS,
    example="labels, milestone.title, or type.name",
    has_replies=True,
)
