"""What happens to channels: made, renamed, archived, joined and left, by the app (conversations.*) and by people."""

from __future__ import annotations

import re

from bot.playground.errors import ApiError
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, flag, names_in, need
from bot.playground.web_api.conversations import add_member, describe

NAME_MOST, ABOUT_MOST = 80, 250
HERE = {"channel": "channel", "group": "group"}


def check_name(context: WorkspaceContext, name: str) -> str:
    """The name, or Slack's error code for what is wrong with it."""
    if not name:
        raise ApiError("invalid_name_required")
    if len(name) > NAME_MOST:
        raise ApiError("invalid_name_maxlength")
    if not re.search(r"\w", name):
        raise ApiError("invalid_name_punctuation")
    if not re.fullmatch(r"[\w-]+", name) or name != name.lower():
        raise ApiError("invalid_name_specials")
    if any(channel.name == name for channel in context.workspace.channels.values()):
        raise ApiError("name_taken")
    return name


def create(context: WorkspaceContext, params: Json) -> Json:
    """conversations.create: the app is its first member."""
    name = check_name(context, str(params.get("name") or ""))
    kind = "group" if flag(params.get("is_private")) else "channel"
    channel = Channel(context.workspace.new_id("C"), name, kind, [BOT_USER], team=context.workspace.team.id)
    context.workspace.keep_channel(channel)
    event = {"type": "channel_created", "event_ts": context.workspace.new_ts()}
    if kind == "channel":
        context.outbox.emit({**event, "channel": {"id": channel.id, "name": name, "creator": BOT_USER}})
    context.publish(channel, {"type": "channel_changed"})
    return {"channel": describe(channel)}


def set_archive(context: WorkspaceContext, channel: Channel, to_archive: bool, by: str) -> None:
    """Archives or restores a channel; members see it, the app gets its event."""
    channel.is_archived = to_archive
    context.workspace.keep_channel(channel)
    word = "archive" if to_archive else "unarchive"
    kind = HERE.get(channel.kind, "channel")
    event = {"channel": channel.id, "user": by, "event_ts": context.workspace.new_ts()}
    context.outbox.emit({"type": f"{kind}_{word}", **event})
    text = f"<@{by}> {'archived' if to_archive else 'un-archived'} the channel"
    note(context, channel, f"{kind}_{word}", by, text)


def rename_channel(context: WorkspaceContext, channel: Channel, name: str, by: str) -> None:
    """Gives a channel another name."""
    old, channel.name = channel.name, check_name(context, name)
    context.workspace.keep_channel(channel)
    kind = HERE.get(channel.kind, "channel")
    place = {"id": channel.id, "name": name, "name_normalized": name, "created": 1_767_225_600}
    place |= {"is_channel": kind == "channel", "is_mpim": False}
    context.outbox.emit({"type": f"{kind}_rename", "channel": place, "event_ts": context.workspace.new_ts()})
    note(context, channel, f"{kind}_name", by, f"has renamed the channel from {old!r} to {name!r}")


def remove_member(context: WorkspaceContext, channel: Channel, user: str) -> None:
    """Removes a member; the app, if it is the one, gets the event that it has left."""
    if user not in channel.members:
        raise ApiError("not_in_channel")
    kind = HERE.get(channel.kind, "channel")
    if user != BOT_USER:
        event: Json = {"type": "member_left_channel", "user": user, "channel": channel.id}
        event |= {
            "channel_type": kind[0].upper(),
            "team": channel.team,
            "event_ts": context.workspace.new_ts(),
        }
        context.outbox.emit(event)
    channel.members[:] = [member for member in channel.members if member != user]
    context.workspace.keep_channel(channel)
    if user == BOT_USER:
        event = {"type": f"{kind}_left", "channel": channel.id, "actor_id": user}
        context.outbox.emit({**event, "event_ts": context.workspace.new_ts()})
    note(context, channel, f"{kind}_leave", user, f"<@{user}> has left the channel")


def note(context: WorkspaceContext, channel: Channel, subtype: str, user: str, text: str) -> None:
    """The line in the channel that says what happened to it."""
    posting.post(context, channel, {"type": "message", "subtype": subtype, "user": user, "text": text})
    context.publish(channel, {"type": "channel_changed"})


def archive(context: WorkspaceContext, params: Json) -> Json:
    """conversations.archive."""
    channel = _of_app(context, params)
    if channel.is_archived:
        raise ApiError("already_archived")
    if channel.name == "general":
        raise ApiError("cant_archive_general")
    set_archive(context, channel, True, BOT_USER)
    return {}


def unarchive(context: WorkspaceContext, params: Json) -> Json:
    """conversations.unarchive."""
    channel = _of_app(context, params)
    if not channel.is_archived:
        raise ApiError("not_archived")
    set_archive(context, channel, False, BOT_USER)
    return {}


def rename(context: WorkspaceContext, params: Json) -> Json:
    """conversations.rename."""
    channel = _of_app(context, params)
    rename_channel(context, channel, str(params.get("name") or ""), BOT_USER)
    return {"channel": describe(channel)}


def leave(context: WorkspaceContext, params: Json) -> Json:
    """conversations.leave; a second time says so and is no error."""
    channel = context.workspace.channel_of(str(params.get("channel") or ""))
    if channel.kind in ("im", "mpim"):
        raise ApiError("method_not_supported_for_channel_type")
    if channel.name == "general":
        raise ApiError("cant_leave_general")
    if BOT_USER not in channel.members:
        return {"not_in_channel": True}
    remove_member(context, channel, BOT_USER)
    return {}


def invite(context: WorkspaceContext, params: Json) -> Json:
    """conversations.invite."""
    need(params, "users")
    channel = _of_app(context, params)
    for user in names_in(params["users"]):
        if user not in context.workspace.users:
            raise ApiError("user_not_found")
        if user == BOT_USER:
            raise ApiError("cant_invite_self")
        if user in channel.members:
            raise ApiError("already_in_channel")
        add_member(context, channel, user, BOT_USER)
    return {"channel": describe(channel)}


def kick(context: WorkspaceContext, params: Json) -> Json:
    """conversations.kick."""
    channel = _of_app(context, params)
    user = str(params.get("user") or "")
    if user not in context.workspace.users:
        raise ApiError("user_not_found")
    if user == BOT_USER:
        raise ApiError("cant_kick_self")
    if channel.name == "general":
        raise ApiError("cant_kick_from_general")
    remove_member(context, channel, user)
    return {"errors": {}}


def set_topic(context: WorkspaceContext, params: Json) -> Json:
    """conversations.setTopic."""
    return _describe_anew(context, params, "topic")


def set_purpose(context: WorkspaceContext, params: Json) -> Json:
    """conversations.setPurpose."""
    return _describe_anew(context, params, "purpose")


def _describe_anew(context: WorkspaceContext, params: Json, what: str) -> Json:
    channel, text = _of_app(context, params), str(params.get(what) or "")
    if channel.is_archived:
        raise ApiError("is_archived")
    if len(text) > ABOUT_MOST:
        raise ApiError("too_long")
    setattr(channel, what, text)
    context.workspace.keep_channel(channel)
    kind = HERE.get(channel.kind, "channel")
    note(context, channel, f"{kind}_{what}", BOT_USER, f"set the channel {what}: {text}")
    return {"channel": describe(channel), what: text}


def close(context: WorkspaceContext, params: Json) -> Json:
    """conversations.close: a direct message or a group's; what was said stays."""
    channel = context.workspace.channel_of(str(params.get("channel") or ""))
    if channel.kind not in ("im", "mpim"):
        raise ApiError("method_not_supported_for_channel_type")
    if BOT_USER not in channel.members:
        raise ApiError("channel_not_found")
    return {"no_op": True, "already_closed": True}


def mark(context: WorkspaceContext, params: Json) -> Json:
    """conversations.mark: how far the app has read."""
    channel = context.workspace.channel_of(str(params.get("channel") or ""))
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    if not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", str(params.get("ts") or "")):
        raise ApiError("invalid_timestamp")
    context.workspace.keep_record("mark", channel.id, {"ts": str(params["ts"])})
    return {}


def _of_app(context: WorkspaceContext, params: Json) -> Channel:
    channel = context.workspace.channel_of(str(params.get("channel") or ""))
    if channel.kind in ("im", "mpim"):
        raise ApiError("method_not_supported_for_channel_type")
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


MANAGE = ("channels:manage", "groups:write")
METHODS = {
    "conversations.create": Method(create, MANAGE, per_minute=20),
    "conversations.archive": Method(archive, MANAGE, per_minute=20),
    "conversations.unarchive": Method(unarchive, MANAGE, per_minute=20),
    "conversations.rename": Method(rename, MANAGE, per_minute=20),
    "conversations.leave": Method(leave, MANAGE),
    "conversations.invite": Method(invite, MANAGE),
    "conversations.kick": Method(kick, MANAGE),
    "conversations.setTopic": Method(set_topic, (*MANAGE, "channels:write.topic"), per_minute=20),
    "conversations.setPurpose": Method(set_purpose, (*MANAGE, "channels:write.topic"), per_minute=20),
    "conversations.close": Method(close, ("im:write", "mpim:write"), per_minute=20),
    "conversations.mark": Method(mark, (*MANAGE, "im:write", "mpim:write")),
}
