"""Help desks' API answers as rows: Zendesk, Intercom, Freshdesk, HubSpot, Jira, ServiceNow, Salesforce. Pure.

Envelopes are opened, objects flattened (`fields.issuetype.name`), lists of words joined; the first
public answer of an agent is added as `answer`. Every field keeps its name, so that it can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

DEPTH = 8
_NAMES = ("display_value", "displayName", "name", "value", "title", "label", "key", "text", "email", "id")
_WORDED = ("text", "body", "plain_body", "description", "description_text", "content", "message", "question")


def flat_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields by name, nested ones as `outer.inner`; with `answer`, if an agent answered in it.

    A row that has only messages gets the customer's first one as `text`.
    """
    values = dict(_flat(row, "", DEPTH))
    answer = first_answer(row)
    if answer and "answer" not in values:
        values["answer"] = answer
    is_worded = any(str(values[name] or "").strip() for name in values if name.rpartition(".")[2] in _WORDED)
    if not is_worded and (question := first_question(row)):
        values["text"] = question
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
            if custom := _custom_fields(item):
                yield from ((f"{name}.{field}", inner) for field, inner in custom.items())
            elif (words := _words(item)) is not None:
                yield name, words
        else:
            yield name, item


def _custom_fields(items: list[Any]) -> dict[str, Any]:
    """The values of a list of fields by their name, else by their id; {} for any other list."""
    if not items or not all(isinstance(one, dict) and "value" in one for one in items):
        return {}
    fields = {}
    for one in items:
        name = next(
            (one[key] for key in ("name", "title", "label", "field", "key", "id") if one.get(key)), None
        )
        inner = one["value"]
        if name is None or str(name) in fields or isinstance(inner, dict):
            return {}
        fields[str(name)] = _words(inner) if isinstance(inner, list) else inner
    return fields


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


_INLINE = frozenset(
    ("text", "hardBreak", "mention", "emoji", "inlineCard", "status", "date", "placeholder", "mediaInline")
)


def document_text(node: Mapping[str, Any]) -> str:
    """The text of an Atlassian document as its page shows it: each block on a line, the cells of a table's row apart.

    People, links, states and dates that stand in a line are words of it; pictures are their caption.
    """
    kind, content = node.get("type"), [one for one in node.get("content") or () if isinstance(one, dict)]
    if isinstance(node.get("text"), str):
        return str(node["text"])
    if kind == "hardBreak":
        return "\n"
    own = _attribute_text(kind, _object(node.get("attrs")))
    if kind == "tableRow":
        return " | ".join(" ".join(document_text(cell).split()) for cell in content)
    if any(one.get("type") not in _INLINE for one in content):
        return "\n".join(part for part in (own, *map(document_text, content)) if part)
    return own + "".join(map(document_text, content))


def _attribute_text(kind: Any, attributes: Mapping[str, Any]) -> str:
    """What a node says by its attributes: a person's name, a link, a day, the title of what unfolds."""
    if kind == "date" and str(attributes.get("timestamp", "")).isdecimal():
        return datetime.fromtimestamp(int(attributes["timestamp"]) / 1000, UTC).date().isoformat()
    names = {"emoji": ("text", "shortName"), "media": ("alt",), "mediaInline": ("alt",)}.get(
        str(kind), ("text", "url", "title")
    )
    return next((str(attributes[name]) for name in names if isinstance(attributes.get(name), str)), "")


_PART_LISTS = (
    "comments",
    "conversations",
    "conversation_parts",
    "replies",
    "threads",
    "articles",
    "posts",
    "messages",
)
_NOTES = frozenset(
    ("note", "internal", "internal_note", "private_note", "internal-note", "assignment", "lineitem")
)
_CUSTOMERS = frozenset(
    ("user", "lead", "contact", "customer", "end-user", "end_user", "visitor", "requester")
)
_ROBOTS = frozenset(("bot", "system", "app", "workflow"))
_TO_OTHERS = (6, 8, 9)  # Freshdesk's numbers of a survey, a mail forwarded to others, a phone call


def first_answer(row: Mapping[str, Any]) -> str | None:
    """The first public message by an agent in the ways that help desks keep them; internal notes are never taken."""
    own = {_text(row.get("description")), _text(row.get("description_text"))}
    own.add(_text(_object(row.get("source")).get("body")))
    messages = list(_public_messages(row))
    is_asked = own != {""} or all(who == "team" for who, _ in messages)
    for who, words in messages:
        if who == "team" and is_asked and words not in own:
            return words
        is_asked = is_asked or who == "customer"
    return None


def first_question(row: Mapping[str, Any]) -> str | None:
    """The first public message by a customer, of a row that says who wrote."""
    return next((words for who, words in _public_messages(row) if who == "customer"), None)


def _public_messages(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who wrote ("customer" or "team") and the words, in order of time; of programs and notes none."""
    fields, embedded = _object(row.get("fields")), _object(row.get("_embedded"))
    parts = next((items for name in _PART_LISTS if (items := _list_in(row, name))), [])
    parts = (
        parts or _list_in(fields, "comment") or _list_in(embedded, "threads") or _list_in(row, "CaseComments")
    )
    requester = _person(row.get("requester")) or row.get("requester_id") or _person(fields.get("reporter"))
    for part in _in_time(parts):
        if not isinstance(part, dict) or _is_internal(part):
            continue
        author = part.get("author") or part.get("createdBy") or part.get("created_by") or part.get("sender")
        kinds = {_word(part.get(key)) for key in ("type", "part_type", "author_type", "SenderType")}
        role = _word(_object(author).get("type") or _object(author).get("role"))
        kinds |= {role} if part.get("author") or role != "user" else set()  # Help Scout's users are the team
        who = part.get("author_id") or _person(author)
        if who is None and kinds <= {""} and not {"incoming", "CommentBody"} & part.keys():
            continue  # nobody says whose words these are
        if kinds & _ROBOTS:
            continue
        is_own = (
            bool(part.get("incoming")) or bool(kinds & _CUSTOMERS) or (who is not None and who == requester)
        )
        body = next(
            (
                part[key]
                for key in ("plain_body", "body_text", "body", "CommentBody", "text")
                if part.get(key)
            ),
            None,
        )
        words = document_text(body) if isinstance(body, dict) else _text(body)
        if words:
            yield "customer" if is_own else "team", words


def _is_internal(part: Mapping[str, Any]) -> bool:
    """Whether the customer could not see it."""
    kinds = {_word(part.get(key)) for key in ("type", "part_type")}
    is_internal = (
        str(part.get("IsVisibleForCustomer", 1)) == "0"
        or part.get("public") is False
        or part.get("jsdPublic") is False
        or part.get("IsPublished") is False
    )
    is_internal = (
        is_internal or bool(part.get("private")) or bool(part.get("visibility")) or bool(part.get("internal"))
    )
    return is_internal or bool(kinds & _NOTES) or ("incoming" in part and part.get("source") in _TO_OTHERS)


def _in_time(parts: list[Any]) -> list[Any]:
    """The messages from the oldest on: some APIs give the newest first."""
    keys = ("created_at", "createdAt", "created", "CreatedDate", "date")
    times = [
        str(next((part[key] for key in keys if part.get(key)), ""))
        for part in parts
        if isinstance(part, dict)
    ]
    if not any(times):
        times = [
            f"{part['id']:020d}"
            for part in parts
            if isinstance(part, dict) and isinstance(part.get("id"), int)
        ]
    return parts[::-1] if len(times) > 1 and times[0] and times[-1] and times[0] > times[-1] else parts


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


def _word(value: Any) -> str:
    return value.casefold() if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
