"""Jira Cloud issues of one project by `/rest/api/3/search/jql`, in the order in which they changed.

Only the fields asked for are requested. Written from Atlassian's reference of REST API v3 (Issue search, Issue fields, Myself);
driven in tests against a server on loopback that speaks it; never run live.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from finetune.data.exports import document_text
from finetune.errors import did_you_mean
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
    SourceError,
    Wait,
)
from finetune.sources.exchange import Message, with_exchange, words_of
from finetune.sources.http import ApiClient, Login, seconds_of

URL, EMAIL, TOKEN = "TRAINWISE_JIRA_URL", "TRAINWISE_JIRA_EMAIL", "TRAINWISE_JIRA_TOKEN"
PROJECTS = "TRAINWISE_JIRA_PROJECTS"
PAGE = 100
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}")
WIDEST_ZONE = timedelta(hours=14)


class Jira:
    """The issues of one site."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._zone: tzinfo | None = None

    def ping(self) -> None:
        self._find_zone()

    def resolve(self, query: Query) -> Query:
        """The label's field by name or id. Asking who we are first: a search with a wrong token just finds nothing."""
        if not KEY.fullmatch(query.project):
            raise SourceError(
                f"{query.project[:80]!r} is no key of a Jira project: write it as in SUP-123, SUP."
            )
        self._find_zone()
        label = query.columns["label"]
        if label.startswith("fields."):
            return query
        fields = self._client.get("/rest/api/3/field").rows()
        for one in fields:
            if label.casefold() in (str(one.get("id", "")).casefold(), str(one.get("name", "")).casefold()):
                return replace(query, columns={**query.columns, "label": f"fields.{one['id']}"})
        names = [str(one.get("name", "")) for one in fields]
        raise SourceError(
            f"Jira has no field {label!r}.{did_you_mean(label, names)} Name one of: {', '.join(names[:20])}."
        )

    def _find_zone(self) -> tzinfo | None:
        """The zone of the token's person, in which Jira reads times in a query."""
        try:
            name = str(self._client.get("/rest/api/3/myself").object().get("timeZone", ""))
        except Missing as error:
            raise Missing(f"There is no Jira at the address in {URL}: check it.") from error
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            self._zone = None
        return self._zone

    def start(self, query: Query, since: float | None) -> Cursor:
        return {"since": since}

    def page(self, query: Query, cursor: Cursor) -> Page:
        names = {part.split(".")[1] for part in query.columns.values() if part.startswith("fields.")}
        names |= {"updated", *(("comment", "reporter") if query.has_replies else ())}
        body: dict[str, Any] = {
            "jql": self._jql(query, cursor["since"]),
            "maxResults": PAGE,
            "fields": sorted(names),
        }
        token = cursor.get("token")
        if token:
            body["nextPageToken"] = token
        try:
            reply = self._client.post("/rest/api/3/search/jql", body)
        except Refusal as error:
            if "project" in error.detail.casefold():
                raise Missing(
                    f"Jira has no project {query.project} that this token may see. Check the key and the rights of {EMAIL}."
                ) from error
            if token:
                raise ExpiredCursor(str(error)) from error
            raise
        issues, onward = reply.rows("issues"), reply.object().get("nextPageToken")
        times = [at for one in issues if (at := seconds_of(_fields(one).get("updated"))) is not None]
        until = max(times, default=None)
        latest = max([*times, *([cursor["latest"]] if cursor.get("latest") else [])], default=None)
        label = query.columns["label"].split(".")[1]
        place = (
            {"since": cursor["since"], "token": onward, "latest": latest}
            if onward
            else {"since": _next_start(cursor["since"], latest)}
        )
        rows = [_row(one, label) for one in issues]
        if query.has_replies:
            rows = [with_exchange(row, _messages(row["fields"])) for row in rows]
        return Page(tuple(rows), place, not onward, until)

    def _jql(self, query: Query, since: float | None) -> str:
        """Times in a query have minutes only, so the first minute is read again."""
        clause = ""
        if since is not None:
            zone = self._zone or self._find_zone()
            when = datetime.fromtimestamp(since, zone or UTC) - (timedelta(0) if zone else WIDEST_ZONE)
            clause = f' AND updated >= "{when:%Y-%m-%d %H:%M}"'
        return f'project = "{query.project}"{clause} ORDER BY updated ASC, key ASC'


def _next_start(since: float | None, latest: float | None) -> float | None:
    """Some time before the last change that was seen, never before this pull's start."""
    return since if latest is None else max(latest - LAG_S, since or 0.0)


def _fields(issue: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = issue.get("fields")
    return fields if isinstance(fields, dict) else {}


def _row(issue: Mapping[str, Any], label: str) -> dict[str, Any]:
    """The issue, with the words of its label's field, whatever kind of field it is."""
    fields = dict(_fields(issue))
    if label in fields:
        fields[label] = _words(fields[label])
    return {"key": issue.get("key"), "fields": fields}


def _messages(fields: Mapping[str, Any]) -> Iterator[Message]:
    """The description, then the comments that everybody may read and that no program wrote; the reporter's are no replies."""
    reporter = fields.get("reporter")
    reporter = reporter if isinstance(reporter, dict) else {}
    yield Message(_text(fields.get("description")), False, words_of(reporter.get("displayName")))
    comments = fields.get("comment")
    for one in comments.get("comments") or () if isinstance(comments, dict) else ():
        author = one.get("author") if isinstance(one, dict) else None
        if not isinstance(author, dict) or one.get("jsdPublic") is False or one.get("visibility"):
            continue
        if author.get("accountType") == "app":
            continue
        is_own = author.get("accountId") == reporter.get("accountId")
        is_by_team = not is_own and author.get("accountType") != "customer"
        yield Message(_text(one.get("body")), is_by_team, words_of(author.get("displayName")))


def _text(value: Any) -> str:
    return document_text(value) if isinstance(value, dict) else words_of(value)


def _words(value: Any) -> Any:
    if isinstance(value, list):
        return [_words(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = value.get("requestType")  # Jira Service Management
    holder = inner if isinstance(inner, dict) else value
    return next((holder[name] for name in ("name", "value", "displayName") if holder.get(name)), "")


def connect(values: Mapping[str, str], wait: Wait) -> Jira:
    """With an address of a person the token is an API token, without one an OAuth token."""
    login = Login.of_person(values.get(EMAIL, ""), values[TOKEN], URL, TOKEN)
    return Jira(ApiClient("Jira", values[URL], login, wait))


SOURCE = Source(
    name="jira",
    label="Jira",
    variables=(
        Variable(
            URL,
            "Address of Jira Cloud to pull issues from, such as `https://company.atlassian.net`.",
            default=None,
        ),
        Variable(EMAIL, "The person whose API token it is; empty: the token is an OAuth token."),
        Variable(TOKEN, "Jira's API token; it sees the issues that its person sees.", True, None),
        Variable(
            PROJECTS, "Keys of projects that may be pulled, comma between; empty: all that the token reads."
        ),
    ),
    connect=connect,
    columns={
        **{
            "text": "fields.description",
            "subject": "fields.summary",
            "label": "fields.issuetype",
            "id": "key",
        },
        **{"created_at": "fields.created", "customer": "fields.reporter.accountId"},
    },
    project="a project's key",
    projects=PROJECTS,
    example="Issue Type, Components, Request Type",
    has_replies=True,
)
