"""Checks the signatures of webhooks from other systems and reads the ticket from their payloads. Pure.

Zendesk signs timestamp and body (HMAC-SHA256, base64), Jira the body (SHA-256, hex), Intercom the body (SHA-1, hex);
Freshdesk's automations do not sign and send a header that their admin sets. Never run live: the tests sign as the
documentation says. Refuses a wrong or missing signature, a Zendesk request older than five minutes, and a payload of another
shape. A repeated request enters nothing, because the ledger knows the ticket's number.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.errors import BotError

MOST_AGE_S = 300.0
LONGEST_KEY = 41  # with source and watch it has to fit into a form's metadata (bot/slack/ui/forms.py)
Headers = Mapping[str, str]


@dataclass(frozen=True)
class WebhookSource:
    """A system that sends tickets: `is_signed(secret, headers, body, now)`; `read(payload)` returns number and text."""

    is_signed: Callable[[str, Headers, bytes, float], bool]
    read: Callable[[Mapping[str, Any]], tuple[str, str]]


def _equals(expected: str, secret: str) -> bool:
    return hmac.compare_digest(expected.encode(), secret.strip().encode("utf-8", "replace"))


def _hex_signature(secret: str, body: bytes, kind: str) -> str:
    return f"{kind}={hmac.new(secret.encode(), body, kind).hexdigest()}"


def _zendesk_signed(secret: str, headers: Headers, body: bytes, now: float) -> bool:
    stamp = headers.get("x-zendesk-webhook-signature-timestamp", "")
    try:
        at = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return False
    mac = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
    expected = base64.b64encode(mac).decode()
    return abs(now - at) <= MOST_AGE_S and _equals(expected, headers.get("x-zendesk-webhook-signature", ""))


def _jira_signed(secret: str, headers: Headers, body: bytes, now: float) -> bool:
    return _equals(_hex_signature(secret, body, "sha256"), headers.get("x-hub-signature", ""))


def _intercom_signed(secret: str, headers: Headers, body: bytes, now: float) -> bool:
    return _equals(_hex_signature(secret, body, "sha1"), headers.get("x-hub-signature", ""))


def _has_key(secret: str, headers: Headers, body: bytes, now: float) -> bool:
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return _equals(secret, headers.get("x-trainwise-key", "") or bearer)


def _read_plain(payload: Mapping[str, Any]) -> tuple[str, str]:
    """`{"id": ..., "subject": ..., "description" or "text": ...}`, also inside `ticket` or Freshdesk's `freshdesk_webhook`."""
    for name in ("ticket", "freshdesk_webhook", "detail"):
        if isinstance(payload.get(name), Mapping):
            payload = payload[name]
    number = next((payload[name] for name in ("id", "ticket_id") if payload.get(name) is not None), None)
    body = payload.get("text") or payload.get("description") or payload.get("ticket_description") or ""
    return _number(number), _words(payload.get("subject") or payload.get("ticket_subject"), body)


def _read_jira(payload: Mapping[str, Any]) -> tuple[str, str]:
    issue = _object_member(payload, "issue")
    fields = _object_member(issue, "fields")
    return _number(issue.get("key")), _words(fields.get("summary"), _document(fields.get("description")))


def _read_intercom(payload: Mapping[str, Any]) -> tuple[str, str]:
    item = _object_member(_object_member(payload, "data"), "item")
    source = item.get("source") if isinstance(item.get("source"), Mapping) else {}
    assert isinstance(source, Mapping)
    return _number(item.get("id")), _words(source.get("subject"), source.get("body"))


def _object_member(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = payload.get(name)
    if not isinstance(part, Mapping):
        raise BotError(f"The payload has no `{name}`: send the event of a new ticket.")
    return part


def _number(value: Any) -> str:
    """A ticket's number as text; "" for a value that is no number or string, so that no two tickets share a `null`."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _document(value: Any) -> str:
    """The text of a string or of Atlassian's document format."""
    if isinstance(value, Mapping):
        content = value.get("content")
        parts = [_document(part) for part in content] if isinstance(content, list) else []
        return str(value.get("text") or "") + " ".join(part for part in parts if part)
    return value if isinstance(value, str) else ""


def _words(subject: Any, body: Any) -> str:
    return "\n".join(part for part in (subject, body) if isinstance(part, str) and part.strip())


SOURCES: Mapping[str, WebhookSource] = {
    "zendesk": WebhookSource(_zendesk_signed, _read_plain),
    "jira": WebhookSource(_jira_signed, _read_jira),
    "intercom": WebhookSource(_intercom_signed, _read_intercom),
    "freshdesk": WebhookSource(_has_key, _read_plain),
    "api": WebhookSource(_has_key, _read_plain),
}


def ticket_from(source: str, payload: Any) -> tuple[str, str]:
    """The ledger's key of a ticket, `zendesk:4711`, and its text; raises BotError with what is missing."""
    if not isinstance(payload, Mapping):
        raise BotError("The body must be one JSON object.")
    number, text = SOURCES[source].read(payload)
    if not number:
        raise BotError("The ticket has no number: send its `id`.")
    if not text:
        raise BotError("The ticket has no words: send its subject or description.")
    return f"{source}:{_key(number)}", text


def _key(number: str) -> str:
    """The number itself if it fits into a key; else its beginning and a digest, so that different numbers stay different."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", number)
    if plain == number and len(number) <= LONGEST_KEY:
        return number
    digest = hashlib.sha256(number.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{plain[: LONGEST_KEY - 13]}-{digest}"
