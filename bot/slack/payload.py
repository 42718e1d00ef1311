"""Pure readers of Slack's payloads: user, channel, thread, message, form fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from bot.slack.ui.forms import FormMetadata


def origin_of(body: dict[str, Any]) -> tuple[str, str, str | None]:
    """The channel, user and thread that a payload of any kind came from; empty strings when it has none."""
    event = body.get("event") or {}
    container = body.get("container") or {}
    channel = body.get("channel_id") or (body.get("channel") or {}).get("id") or event.get("channel") or ""
    user = body.get("user_id") or (body.get("user") or {}).get("id") or event.get("user") or ""
    thread = container.get("thread_ts") or event.get("thread_ts")
    return str(channel), str(user), thread


@dataclass(frozen=True)
class RequestOrigin:
    """Who requests a job from which channel and thread; `request_key` makes the request idempotent."""

    user: str
    team: str
    channel: str
    thread_ts: str | None
    request_key: str


View = dict[str, Any]


def team_of(body: dict[str, Any]) -> str:
    """The team of an interactive payload; an organisation-wide installation names it in the user or view only."""
    for place in (
        body.get("team"),
        {"id": (body.get("user") or {}).get("team_id")},
        {"id": (body.get("view") or {}).get("team_id")},
    ):
        if place and place.get("id"):
            return str(place["id"])
    return ""


def form_origin(metadata: FormMetadata, body: Body, view: View) -> RequestOrigin:
    """The origin of a submitted form; its key is the view id, so a submission that Slack delivers twice is one job."""
    key = f"view:{view['id']}"
    return RequestOrigin(body["user"]["id"], team_of(body), metadata.channel, metadata.thread_ts, key)


def errors_by_field(problems: dict[str, str], fields: tuple[str, ...]) -> dict[str, str]:
    """Slack's `errors` by field; problems without a field of the form go to the first field."""
    errors = {name: text[:300] for name, text in problems.items() if name in fields}
    other = " ".join(text for name, text in problems.items() if name not in fields)
    return errors | ({fields[0]: other[:300]} if other and fields[0] not in errors else {})


Shortcut = dict[str, Any]

Body = dict[str, Any]


def open_direct_channel(client: WebClient, body: Body) -> str:
    return str(client.conversations_open(users=[body["user"]["id"]])["channel"]["id"])


def message_address(body: Body) -> tuple[str, str, str]:
    """The channel, thread and message of a pressed button."""
    container = body.get("container") or {}
    channel = str(container.get("channel_id") or (body.get("channel") or {}).get("id"))
    ts = str(container.get("message_ts") or (body.get("message") or {}).get("ts"))
    thread = container.get("thread_ts") or (body.get("message") or {}).get("thread_ts") or ts
    return channel, str(thread), ts


Command = dict[str, Any]
