"""Parses requests: one ticket or many, or a chat whose last message is the ticket. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.errors import FinetuneError
from finetune.serving.server.engine import Ticket

MAX_TICKETS = 128


class BadRequest(FinetuneError):
    """The request is not one that can be answered; the text says how to write it."""


@dataclass(frozen=True)
class TriageRequest:
    """Tickets for a served name; `many`: they came as a list and go back as one."""

    model: str
    tickets: tuple[Ticket, ...]
    many: bool
    stream: bool = False


def read_json(body: bytes) -> Mapping[str, Any]:
    """The body's JSON object."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            'The body is no JSON. Send one object, for example {"text": "my invoice is wrong"}.'
        ) from error
    if not isinstance(data, dict):
        raise BadRequest('The body must be one JSON object, for example {"text": "my invoice is wrong"}.')
    return data


def read_triage(data: Mapping[str, Any], names: Sequence[str]) -> TriageRequest:
    """`{"text": ...}` or `{"tickets": [{"id": ..., "text": ...}, ...]}`, with `model` where several are served."""
    if "tickets" not in data:
        return TriageRequest(_model(data, names), (_ticket(data, "the request"),), many=False)
    rows = data["tickets"]
    if not isinstance(rows, list) or not rows:
        raise BadRequest("`tickets` must be a list with at least one ticket.")
    if len(rows) > MAX_TICKETS:
        raise BadRequest(f"{len(rows)} tickets are too many for one request: send at most {MAX_TICKETS}.")
    tickets = tuple(
        _ticket({"text": row} if isinstance(row, str) else row, f"ticket {at}")
        for at, row in enumerate(rows, 1)
    )
    return TriageRequest(_model(data, names), tickets, many=True)


def read_chat(data: Mapping[str, Any], names: Sequence[str]) -> TriageRequest:
    """An OpenAI chat: the last message of the user is the ticket."""
    messages = data.get("messages")
    rows = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    words = [_words(one.get("content")) for one in rows if one.get("role") == "user"]
    if not words:
        raise BadRequest(
            "`messages` holds no message of the role `user`: the last one is read as the ticket."
        )
    ticket = _ticket({"text": words[-1]}, "the last message")
    return TriageRequest(_model(data, names), (ticket,), many=False, stream=data.get("stream") is True)


def _words(content: Any) -> Any:
    """A message's text, also where it comes in parts."""
    if not isinstance(content, list):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(part for part in parts if isinstance(part, str))


def _ticket(row: Any, place: str) -> Ticket:
    text = row.get("text") if isinstance(row, Mapping) else None
    if not isinstance(text, str):
        raise BadRequest(f'{place} has no `text`, or it is no string: write {{"id": "4711", "text": "..."}}.')
    text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    number = row.get("id")
    if number is not None and not isinstance(number, str | int):
        raise BadRequest(f"{place}: `id` must be a string or a number.")
    return Ticket(str(number) if number is not None else hashlib.sha256(text.encode()).hexdigest()[:16], text)


def _model(data: Mapping[str, Any], names: Sequence[str]) -> str:
    name = data.get("model")
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise BadRequest(f"`model` must be one of: {', '.join(names)}.")
    return str(name)
