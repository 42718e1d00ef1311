"""pins.* and bookmarks.*: what stands at the top of a channel."""

from __future__ import annotations

import re

from bot.playground.errors import ApiError
from bot.playground.state import seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import Method, need, writable

PINS_MOST = 100
BOOKMARKS_MOST = 100


def add_pin(context: WorkspaceContext, params: Json) -> Json:
    """pins.add."""
    channel, message = _item(context, params)
    if channel.id in message.get("pinned_to", ()):
        raise ApiError("already_pinned")
    if len(_pins(context, channel)) >= PINS_MOST:
        raise ApiError("too_many_pins")
    message["pinned_to"] = [*message.get("pinned_to", ()), channel.id]
    message["pinned_info"] = {"channel": channel.id, "pinned_by": BOT_USER, "pinned_ts": _now(context)}
    _keep(context, channel, message, "pin_added")
    return {}


def remove_pin(context: WorkspaceContext, params: Json) -> Json:
    """pins.remove."""
    channel, message = _item(context, params)
    if channel.id not in message.get("pinned_to", ()):
        raise ApiError("no_pin")
    message.pop("pinned_to")
    message.pop("pinned_info", None)
    _keep(context, channel, message, "pin_removed")
    return {}


def list_pins(context: WorkspaceContext, params: Json) -> Json:
    """pins.list: the newest pin first."""
    need(params, "channel")
    channel = writable(context, params["channel"])
    items = [
        {
            "type": "message",
            "channel": channel.id,
            "message": wire(message),
            "created": message["pinned_info"]["pinned_ts"],
            "created_by": message["pinned_info"]["pinned_by"],
        }
        for message in _pins(context, channel)
    ]
    items.sort(key=lambda item: item["created"], reverse=True)
    return {"items": items}


def _item(context: WorkspaceContext, params: Json) -> tuple[Channel, Json]:
    need(params, "channel")
    channel = writable(context, params["channel"])
    ts = str(params.get("timestamp") or "")
    if not ts:
        raise ApiError("no_item_specified")
    if not re.fullmatch(r"\d{1,12}\.\d{1,9}", ts):
        raise ApiError("bad_timestamp")
    return channel, context.workspace.message(channel.id, ts)


def _pins(context: WorkspaceContext, channel: Channel) -> list[Json]:
    return [one for one in context.workspace.visible(channel.id) if channel.id in one.get("pinned_to", ())]


def _keep(context: WorkspaceContext, channel: Channel, message: Json, kind: str) -> None:
    context.workspace.keep_message(channel.id, message)
    context.publish(channel, {"type": "changed", "message": wire(message)})
    item = {"type": "message", "channel": channel.id, "message": wire(message), "created": _now(context)}
    event: Json = {"type": kind, "user": BOT_USER, "channel_id": channel.id, "item": item}
    event |= {"item_user": message.get("user"), "pin_count": len(_pins(context, channel))}
    context.outbox.emit(event | {"event_ts": context.workspace.new_ts()})


def add_bookmark(context: WorkspaceContext, params: Json) -> Json:
    """bookmarks.add: a link above the channel."""
    channel = _channel(context, params)
    need(params, "title")
    if str(params.get("type") or "") != "link":
        raise ApiError("invalid_bookmark_type")
    if len(_bookmarks(context, channel)) >= BOOKMARKS_MOST:
        raise ApiError("too_many_bookmarks")
    now = _now(context)
    record: Json = {
        "id": context.workspace.new_id("Bk"),
        "channel_id": channel.id,
        "title": str(params["title"]),
        "link": _link(params.get("link")),
        "emoji": str(params.get("emoji") or ""),
        "icon_url": None,
        "type": "link",
        "entity_id": None,
        "date_created": now,
        "date_updated": 0,
        "rank": "i",
        "last_updated_by_user_id": BOT_USER,
        "last_updated_by_team_id": context.workspace.team.id,
        "shortcut_id": None,
        "app_id": seed.APP_ID,
    }
    context.workspace.keep_record("bookmark", record["id"], record)
    return {"bookmark": record}


def edit_bookmark(context: WorkspaceContext, params: Json) -> Json:
    """bookmarks.edit: what is given is changed."""
    record = _bookmark(context, params)
    changes = {name: str(params[name]) for name in ("title", "emoji") if params.get(name) is not None}
    if params.get("link") is not None:
        changes["link"] = _link(params["link"])
    record |= {**changes, "date_updated": _now(context)}
    context.workspace.keep_record("bookmark", record["id"], record)
    return {"bookmark": record}


def list_bookmarks(context: WorkspaceContext, params: Json) -> Json:
    """bookmarks.list."""
    return {"bookmarks": _bookmarks(context, _channel(context, params))}


def remove_bookmark(context: WorkspaceContext, params: Json) -> Json:
    """bookmarks.remove."""
    context.workspace.drop_record("bookmark", _bookmark(context, params)["id"])
    return {}


def _channel(context: WorkspaceContext, params: Json) -> Channel:
    return writable(context, params.get("channel_id"))


def _bookmarks(context: WorkspaceContext, channel: Channel) -> list[Json]:
    rows = context.workspace.records("bookmark").values()
    return [record for record in rows if record["channel_id"] == channel.id]


def _bookmark(context: WorkspaceContext, params: Json) -> Json:
    channel = _channel(context, params)
    record = context.workspace.records("bookmark").get(str(params.get("bookmark_id")))
    if record is None or record["channel_id"] != channel.id:
        raise ApiError("not_found")
    return record


def _link(value: object) -> str:
    if not re.match(r"https?://\S+$", str(value or "")):
        raise ApiError("invalid_link")
    return str(value)


def _now(context: WorkspaceContext) -> int:
    return int(context.workspace.clock.now())


METHODS = {
    "pins.add": Method(add_pin, ("pins:write",), per_minute=20),
    "pins.remove": Method(remove_pin, ("pins:write",), per_minute=20),
    "pins.list": Method(list_pins, ("pins:read",), per_minute=20),
    "bookmarks.add": Method(add_bookmark, ("bookmarks:write",), per_minute=20),
    "bookmarks.edit": Method(edit_bookmark, ("bookmarks:write",), per_minute=20),
    "bookmarks.list": Method(list_bookmarks, ("bookmarks:read",)),
    "bookmarks.remove": Method(remove_bookmark, ("bookmarks:write",), per_minute=20),
}
