"""Help desks' API answers as rows: Zendesk, Intercom, Freshdesk, HubSpot, Jira, ServiceNow, Salesforce. Pure.

Envelopes are opened, objects flattened (`fields.issuetype.name`), lists of words joined; the first
public answer of an agent is added as `answer`. Every field keeps its name, so that it can be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from finetune.data.chats import is_turns

ENVELOPES = (
    *("tickets", "results", "result", "rows", "data", "items", "issues", "conversations", "records", "value", "values"),
    *("cases", "objects", "hits", "content", "entries", "list", "response", "d", "requests", "incidents", "messages"),
)  # fmt: skip
_CONTENTS = re.compile(
    r"text|body|description|subject|summary|title|question|message|prompt|instruction", re.I
)
DEPTH = 8
_NAMES = ("display_value", "displayName", "name", "value", "title", "label", "key", "text", "email", "id")


def rows_of(value: Any) -> list[Any] | None:
    """The list of rows in an API's answer, one envelope in another at most twice; None where it is one row itself."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    lists = {key: item for key in ENVELOPES if (item := value.get(key)) is not None}
    for key, item in lists.items():
        others = [name for name in value if name != key and isinstance(value[name], str)]
        if any(_CONTENTS.search(name) for name in others) or is_turns(item):
            continue
        if isinstance(item, list) and (not item or isinstance(item[0], dict)):
            return item
        if isinstance(item, dict) and (inner := rows_of(item)) is not None:
            return inner
    return None


def flat_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields by name, nested ones as `outer.inner`; with `answer`, if an agent answered in it."""
    values = dict(_flat(row, "", DEPTH))
    answer = first_answer(row)
    if answer and "answer" not in values:
        values["answer"] = answer
    return values


def _flat(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item.get("type") == "doc":
            yield name, document_text(item)
        elif isinstance(item, dict):
            if depth > 1:
                yield from _flat(item, f"{name}.", depth - 1)
        elif isinstance(item, list):
            if (words := _words(item)) is not None:
                yield name, words
        else:
            yield name, item


def _words(items: list[Any]) -> str | None:
    """A list of words, or of things with names, joined by commas; None for a list of anything else."""
    names = []
    for item in items:
        if isinstance(item, dict):
            item = next((item[key] for key in _NAMES[:6] if isinstance(item.get(key), str)), None)
            if item is None or len(item) > 80:
                return None
        if isinstance(item, list | dict) or item is None:
            return None
        names.append(str(item).replace(",", " "))
    return ", ".join(names)


def document_text(node: Mapping[str, Any]) -> str:
    """The text of an Atlassian document: its paragraphs, list items and code, each on a line."""
    if isinstance(node.get("text"), str):
        return str(node["text"])
    if node.get("type") == "hardBreak":
        return "\n"
    parts = [document_text(part) for part in node.get("content") or () if isinstance(part, dict)]
    is_block = node.get("type") in (
        "doc",
        "bulletList",
        "orderedList",
        "listItem",
        "blockquote",
        "table",
        "tableRow",
    )
    return ("\n" if is_block else "").join(parts).strip("\n" if is_block else "")


def first_answer(row: Mapping[str, Any]) -> str | None:
    """The first public message by an agent in the ways that help desks keep them."""
    fields, source = _object(row.get("fields")), _object(row.get("source"))
    parts = _list_in(row, "comments") or _list_in(row, "conversations") or _list_in(row, "conversation_parts")
    parts = parts or _list_in(row, "replies") or _list_in(fields, "comment") or _list_in(row, "CaseComments")
    requester = _person(row.get("requester")) or row.get("requester_id") or _person(fields.get("reporter"))
    own = {_text(row.get("description")), _text(source.get("body")), _text(row.get("description_text"))}
    for part in parts:
        if (
            not isinstance(part, dict)
            or part.get("public") is False
            or part.get("private")
            or part.get("incoming")
        ):
            continue
        author = part.get("author")
        kind = author.get("type") if isinstance(author, dict) else None
        who = part.get("author_id") or _person(author)
        if kind in ("user", "lead", "contact", "bot") or (who is not None and who == requester):
            continue
        body = part.get("plain_body") or part.get("body_text") or part.get("body") or part.get("CommentBody")
        words = document_text(body) if isinstance(body, dict) else _text(body)
        if words and words not in own:
            return words
    return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list_in(row: Mapping[str, Any], name: str) -> list[Any]:
    """The list under a name, or inside an envelope under it (`comment.comments`, `CaseComments.records`)."""
    value = row.get(name)
    if isinstance(value, dict):
        value = next((item for item in value.values() if isinstance(item, list)), [])
    return value if isinstance(value, list) else []


def _person(value: Any) -> Any:
    if isinstance(value, dict):
        return next(
            (value[key] for key in ("id", "accountId", "email", "name", "displayName") if value.get(key)),
            None,
        )
    return value if isinstance(value, str) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
