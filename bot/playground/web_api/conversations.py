"""conversations.*: what apps look up about channels and their messages."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from bot.playground.errors import ApiError
from bot.playground.state import posting, seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import PREFIX, Method, flag, missing_scope, names_in, need, readable

MOST_IN_GROUP = 8  # beside the app
KINDS = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}


def describe(channel: Channel) -> Json:
    """A conversation object."""
    if channel.kind == "im":
        flags = dict.fromkeys(("is_channel", "is_group", "is_mpim", "is_archived", "is_user_deleted"), False)
        flags |= dict.fromkeys(
            ("is_shared", "is_ext_shared", "is_org_shared", "is_pending_ext_shared"), False
        )
        about = {
            "id": channel.id,
            "created": 1_767_225_600,
            "is_im": True,
            "is_private": True,
            "is_open": True,
        }
        return {**about, **flags, "user": channel.user, "context_team_id": channel.team, "priority": 0}
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "channel",
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "is_member": BOT_USER in channel.members,
        "is_shared": bool(channel.shared_with),
        "is_ext_shared": bool(channel.shared_with),
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "shared_team_ids": [channel.team, *channel.shared_with],
        "connected_team_ids": list(channel.shared_with),
        "created": 1_767_225_600,
        "creator": seed.ANA,
        "topic": {"value": channel.topic, "creator": seed.ANA, "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": seed.ANA, "last_set": 0},
        "num_members": len(channel.members),
        "context_team_id": channel.team,
    }


def page(items: list[Any], params: Json, default: int = 100) -> tuple[list[Any], str]:
    """One page of a listing and the cursor of the next ("" at the end)."""
    try:
        start = int(base64.b64decode(params.get("cursor") or b"MA==", validate=True).decode().split(":")[-1])
    except (TypeError, ValueError, binascii.Error) as error:
        raise ApiError("invalid_cursor") from error
    try:
        size = int(params.get("limit") or default)
    except (TypeError, ValueError) as error:
        raise ApiError("invalid_limit") from error
    if size < 0 or size > 1000 or start < 0:
        raise ApiError("invalid_limit" if start >= 0 else "invalid_cursor")
    size = max(1, min(size, 999))
    rest = start + size
    cursor = base64.b64encode(f"next:{rest}".encode()).decode() if rest < len(items) else ""
    return items[start:rest], cursor


def listing(context: WorkspaceContext, params: Json) -> Json:
    """conversations.list."""
    types = (params.get("types") or "public_channel").split(",")
    kinds = {KINDS.get(kind.strip(), "") for kind in types}
    if "" in kinds:
        raise ApiError("invalid_types")
    for kind in sorted(kinds & PREFIX.keys()):
        if f"{PREFIX[kind]}:read" not in context.workspace.app.scopes:
            raise missing_scope(context, f"{PREFIX[kind]}:read")
    channels = [c for c in context.workspace.channels.values() if c.kind in kinds]
    channels = [c for c in channels if c.kind == "channel" or BOT_USER in c.members]
    if flag(params.get("exclude_archived")):
        channels = [channel for channel in channels if not channel.is_archived]
    rows, cursor = page([describe(channel) for channel in channels], params)
    return {"channels": rows, "response_metadata": {"next_cursor": cursor}}


def info(context: WorkspaceContext, params: Json) -> Json:
    """conversations.info."""
    return {"channel": describe(readable(context, params.get("channel"), "read"))}


def members(context: WorkspaceContext, params: Json) -> Json:
    """conversations.members."""
    rows, cursor = page(list(readable(context, params.get("channel"), "read").members), params)
    return {"members": rows, "response_metadata": {"next_cursor": cursor}}


def history(context: WorkspaceContext, params: Json) -> Json:
    """conversations.history: newest first, replies left out unless they were also sent to the channel."""
    channel = readable(context, params.get("channel"), "history")
    visible = [m for m in context.workspace.visible(channel.id) if _in_channel(m) and _within(m, params)]
    visible.reverse()
    messages, cursor = page(visible, params)
    answer: Json = {
        "messages": [_public(m, params) for m in messages],
        "has_more": bool(cursor),
        "pin_count": 0,
    }
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def replies(context: WorkspaceContext, params: Json) -> Json:
    """conversations.replies: the root and its replies, oldest first."""
    need(params, "ts")
    channel = readable(context, params.get("channel"), "history")
    root = context.workspace.messages[channel.id].get(str(params["ts"]))
    if root is None or "_ephemeral_to" in root:
        raise ApiError("thread_not_found")
    thread = root.get("thread_ts") or root["ts"]
    visible = [m for m in context.workspace.visible(channel.id) if thread in (m["ts"], m.get("thread_ts"))]
    visible = [m for m in visible if m["ts"] == thread or _within(m, params)]
    messages, cursor = page(visible, params, 1000)
    answer: Json = {"messages": [_public(m, params) for m in messages], "has_more": bool(cursor)}
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def open_dm(context: WorkspaceContext, params: Json) -> Json:
    """conversations.open: the DM with one person, or with several."""
    before = set(context.workspace.channels)
    if params.get("channel"):
        channel = context.workspace.channel_of(params["channel"])
    else:
        names = names_in(params.get("users"))
        if not names:
            raise ApiError("users_list_not_supplied")
        if len(names) > MOST_IN_GROUP:
            raise ApiError("too_many_users")
        if any(context.workspace.users[name].is_bot for name in names if name in context.workspace.users):
            raise ApiError("cannot_dm_bot")
        channel = group_dm(context, names) if len(names) > 1 else context.workspace.dm(names[0])
    record = describe(channel) if flag(params.get("return_im")) else {"id": channel.id}
    is_old = channel.id in before
    return {"channel": record, **({"no_op": True, "already_open": True} if is_old else {})}


def group_dm(context: WorkspaceContext, users: list[str]) -> Channel:
    """The conversation of these people and the app, opened if there is none yet."""
    if unknown := [user for user in users if user not in context.workspace.users]:
        raise ApiError("user_not_found", users=unknown)
    if "mpim:write" not in context.workspace.app.scopes:
        raise missing_scope(context, "mpim:write")
    members = sorted({*users, BOT_USER})
    for channel in context.workspace.channels.values():
        if channel.kind == "mpim" and sorted(channel.members) == members:
            return channel
    return new_group_dm(context, members)


def new_group_dm(context: WorkspaceContext, members: list[str]) -> Channel:
    """A conversation of several people, as Slack names it."""
    names = "--".join(sorted(context.workspace.users[user].name for user in members))
    channel = Channel(
        context.workspace.new_id("C"), f"mpdm-{names}-1", "mpim", members, team=context.workspace.team.id
    )
    context.workspace.keep_channel(channel)
    return channel


def join(context: WorkspaceContext, params: Json) -> Json:
    """conversations.join: public channels only."""
    channel = context.workspace.channel_of(str(params.get("channel") or ""))
    if channel.kind != "channel":
        raise ApiError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise ApiError("is_archived")
    if BOT_USER in channel.members:
        word = "already_in_channel"
        return {"channel": describe(channel), "warning": word, "response_metadata": {"warnings": [word]}}
    add_member(context, channel, BOT_USER, None)
    return {"channel": describe(channel)}


def add_member(context: WorkspaceContext, channel: Channel, user: str, inviter: str | None) -> None:
    """Adds a member: the channel shows it, and the app gets the event if it subscribed."""
    channel.members.append(user)
    context.workspace.keep_channel(channel)
    event: Json = {"type": "member_joined_channel", "user": user, "channel": channel.id, "channel_type": "C"}
    event |= {"team": channel.team, "event_ts": context.workspace.new_ts()}
    context.outbox.emit(event | ({"inviter": inviter} if inviter else {}))
    text = f"<@{user}> has joined the channel"
    posting.post(context, channel, {"type": "message", "subtype": "channel_join", "user": user, "text": text})
    context.publish(channel, {"type": "channel_changed"})


def _in_channel(message: Json) -> bool:
    return message.get("thread_ts") in (None, message["ts"]) or message.get("subtype") == "thread_broadcast"


def _within(message: Json, params: Json) -> bool:
    oldest, latest, ts = _time(params, "oldest"), _time(params, "latest"), float(message["ts"])
    inclusive = flag(params.get("inclusive"))
    if oldest and (ts < oldest or (ts == oldest and not inclusive)):
        return False
    return not (latest and (ts > latest or (ts == latest and not inclusive)))


def _time(params: Json, name: str) -> float:
    """A bound as a number, 0 for none; Slack's error for what is no time."""
    value = params.get(name)
    if value in (None, ""):
        return 0.0
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", str(value)):
        raise ApiError(f"invalid_ts_{name}")
    return float(value)


def _public(message: Json, params: Json) -> Json:
    record = wire(message)
    if not flag(params.get("include_all_metadata")):
        record.pop("metadata", None)
    return record


READ = ("channels:read", "groups:read", "im:read", "mpim:read")
HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
METHODS = {
    "conversations.list": Method(listing, READ, per_minute=20),
    "conversations.info": Method(info, READ),
    "conversations.members": Method(members, READ, per_minute=100),
    "conversations.history": Method(history, HISTORY),
    "conversations.replies": Method(replies, HISTORY),
    "conversations.open": Method(open_dm, ("im:write", "channels:manage", "groups:write", "mpim:write")),
    "conversations.join": Method(join, ("channels:join",)),
}
