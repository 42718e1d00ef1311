"""reactions.*: emoji on messages, put there and taken off by the app and by people."""

from __future__ import annotations

import re

from bot.playground.errors import ApiError
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import Method, need, writable
from bot.playground.web_api.conversations import page

REACTIONS_MOST = 23  # by one person on one message


def add_reaction(context: WorkspaceContext, params: Json) -> Json:
    """reactions.add by the app."""
    channel = _reacted_in(context, params)
    react(context, channel, str(params["timestamp"]), str(params["name"]), BOT_USER, add=True)
    return {}


def remove_reaction(context: WorkspaceContext, params: Json) -> Json:
    """reactions.remove by the app."""
    channel = _reacted_in(context, params)
    react(context, channel, str(params["timestamp"]), str(params["name"]), BOT_USER, add=False)
    return {}


def _reacted_in(context: WorkspaceContext, params: Json) -> Channel:
    """The channel of the message that a reaction names, or Slack's error code for what is wrong with its place or name."""
    if not params.get("channel") or not params.get("timestamp"):
        raise ApiError("no_item_specified")
    if not re.fullmatch(r"\d{1,12}\.\d{1,9}", str(params["timestamp"])):
        raise ApiError("bad_timestamp")
    if not re.fullmatch(r":?[a-z0-9_+'-]{1,100}(?:::[a-z0-9-]+)?:?", str(params.get("name") or "")):
        raise ApiError("invalid_name")
    return writable(context, params["channel"])


def get_reactions(context: WorkspaceContext, params: Json) -> Json:
    """reactions.get."""
    need(params, "channel", "timestamp")
    channel = writable(context, params["channel"])
    message = context.workspace.message(channel.id, str(params["timestamp"]))
    return {"type": "message", "channel": channel.id, "message": wire(message)}


def react(context: WorkspaceContext, channel: Channel, ts: str, name: str, user: str, *, add: bool) -> None:
    """Put an emoji on a message or take it off; Slack's errors for doubles and for none."""
    message = context.workspace.message(channel.id, ts)
    name = name.strip(":")
    reactions = {r["name"]: list(r["users"]) for r in message.get("reactions", [])}
    users = reactions.setdefault(name, [])
    if add == (user in users):
        raise ApiError("already_reacted" if add else "no_reaction")
    if add and sum(user in members for members in reactions.values()) >= REACTIONS_MOST:
        raise ApiError("too_many_reactions")
    (users.append if add else users.remove)(user)
    message["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in reactions.items() if u]
    context.workspace.keep_message(channel.id, message)
    context.publish(channel, {"type": "changed", "message": wire(message)})
    item = {"type": "message", "channel": channel.id, "ts": ts}
    event: Json = {"type": "reaction_added" if add else "reaction_removed", "user": user, "reaction": name}
    event |= {"item": item, "item_user": message.get("user"), "event_ts": context.workspace.new_ts()}
    context.outbox.emit(event)


def listing(context: WorkspaceContext, params: Json) -> Json:
    """reactions.list: the messages on which a person (the app, unless another is named) has put an emoji."""
    user = str(params.get("user") or BOT_USER)
    if user not in context.workspace.users:
        raise ApiError("user_not_found")
    items = [
        {"type": "message", "channel": channel.id, "message": wire(message)}
        for channel in context.workspace.channels.values()
        if BOT_USER in channel.members
        for message in context.workspace.visible(channel.id)
        if any(user in reaction["users"] for reaction in message.get("reactions") or ())
    ]
    rows, cursor = page(items, params)
    return {"items": rows, "response_metadata": {"next_cursor": cursor}}


METHODS = {
    "reactions.add": Method(add_reaction, ("reactions:write",)),
    "reactions.remove": Method(remove_reaction, ("reactions:write",)),
    "reactions.get": Method(get_reactions, ("reactions:read",)),
    "reactions.list": Method(listing, ("reactions:read",), per_minute=20),
}
