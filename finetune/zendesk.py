"""A Zendesk ticket (JSON export or incremental API) as the plain values that the columns are read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_zendesk(value: Any) -> bool:
    """Whether this object is a Zendesk ticket, or an export that holds them."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tickets"), list):
        return True
    return "description" in value and "subject" in value and ("requester_id" in value or "requester" in value)


def zendesk_values(ticket: Mapping[str, Any]) -> dict[str, Any]:
    """text = subject and first message; answer = first public comment by someone else than the requester;
    label = group, else type, else the only tag; customer = requester; thread = problem or the ticket itself.
    """
    requester = _part(ticket.get("requester"), "id", "email", "name") or ticket.get("requester_id")
    subject, description = _text(ticket.get("subject")), _text(ticket.get("description"))
    repeated = description.casefold().startswith(subject.casefold())
    return {
        "id": ticket.get("id"),
        "text": description if repeated else f"{subject}\n\n{description}".strip(),
        "label": _label(ticket),
        "answer": _first_answer(ticket, requester),
        "customer": requester,
        "thread": ticket.get("problem_id") or ticket.get("followup_source_id"),
        "created_at": ticket.get("created_at"),
        "requester_name": _part(ticket.get("requester"), "name"),
        "assignee": _part(ticket.get("assignee"), "name"),
    }


def _label(ticket: Mapping[str, Any]) -> str | None:
    for key in ("group", "ticket_form", "queue", "category"):
        if found := _part(ticket.get(key), "name"):
            return str(found)
    if ticket.get("group_id"):
        return f"group {ticket['group_id']}"
    if ticket.get("type"):
        return str(ticket["type"])
    tags = ticket.get("tags")
    return str(tags[0]) if isinstance(tags, list) and len(tags) == 1 else None


def _first_answer(ticket: Mapping[str, Any], requester: Any) -> str | None:
    for comment in ticket.get("comments") or ():
        if not isinstance(comment, dict) or comment.get("public") is False:
            continue
        author = comment.get("author_id") or _part(comment.get("author"), "id", "email", "name")
        body = _text(comment.get("plain_body") or comment.get("body"))
        if body and author != requester and body != _text(ticket.get("description")):
            return body
    return None


def _part(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return next((value[name] for name in names if value.get(name)), None)
    return value if isinstance(value, str) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
