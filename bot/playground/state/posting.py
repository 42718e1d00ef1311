"""Posts, edits and deletes messages: stores them, shows them live to those who may see them, sends the app its events."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlparse

from bot.playground.delivery.delivery import Outbox
from bot.playground.delivery.links import Links
from bot.playground.delivery.sockets import Sockets
from bot.playground.state import seed
from bot.playground.state.live import Live
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, Workspace, wire

LINK = re.compile(r"<(https?://[^>|\s]+)")
SUBSCRIPTION = {
    "channel": "message.channels",
    "group": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}


class WorkspaceContext:
    """What every method of the workspace needs: its state, the outbox to the app, the live pages, the links."""

    def __init__(
        self, workspace: Workspace, outbox: Outbox, live: Live, links: Links, sockets: Sockets
    ) -> None:
        self.workspace = workspace
        self.sockets = sockets
        self.outbox = outbox
        self.live = live
        self.links = links
        self.later: dict[str, Json] = {}  # by id, web_api.scheduled
        self.webhooks: dict[str, str] = {}  # channel by address, web_api.webhooks
        self.codes: Any = None  # web_api.oauth.Codes, the same for every workspace of the app

    def publish(self, channel: Channel, note: Json, only: str | None = None) -> None:
        """Show a note to the members of a channel, or to one person."""
        members = [only] if only else list(channel.members)
        if channel.kind == "channel" and not only:
            members = list(self.workspace.users)
        self.live.publish({"channel": channel.id, **note}, members)


def post(
    context: WorkspaceContext, channel: Channel, message: Json, *, ephemeral_to: str | None = None
) -> Json:
    """Add a message (a `ts` is added unless it has one), notify pages and app, and return it."""
    workspace = context.workspace
    message.setdefault("type", "message")
    message.setdefault("ts", workspace.new_ts())
    author = workspace.users.get(str(message.get("user")))
    message.setdefault("team", author.team if author else workspace.team.id)
    if channel.shared_with and author is not None:  # as Slack does in channels of two companies
        message |= {"user_team": author.team, "source_team": author.team}
    if ephemeral_to:
        message |= {"is_ephemeral": True, "_ephemeral_to": ephemeral_to}
    thread_ts = message.get("thread_ts")
    if thread_ts and not ephemeral_to:
        _count_reply(context, channel, thread_ts, message)
    workspace.keep_message(channel.id, message)
    context.publish(channel, {"type": "message", "message": wire(message)}, ephemeral_to)
    if not ephemeral_to and BOT_USER in channel.members:
        emit_message(context, channel, message)
    return message


def edit(context: WorkspaceContext, channel: Channel, message: Json, changes: Json) -> None:
    """Change a message in place; None removes a key."""
    previous = wire(message)
    for key, value in changes.items():
        if value is None:
            message.pop(key, None)
        else:
            message[key] = value
    context.workspace.keep_message(channel.id, message)
    only = message.get("_ephemeral_to")
    context.publish(channel, {"type": "changed", "message": wire(message)}, only)
    if not only and BOT_USER in channel.members:
        body = {
            "subtype": "message_changed",
            "message": wire(message),
            "previous_message": previous,
            "hidden": True,
        }
        _emit_changed(context, channel, body)
        mention = f"<@{BOT_USER}>"
        is_new = mention in str(message.get("text")) and mention not in str(previous.get("text"))
        if is_new and channel.kind != "im" and message.get("user") != BOT_USER:
            context.outbox.emit(
                {
                    **wire(message),
                    "type": "app_mention",
                    "channel": channel.id,
                    "event_ts": context.workspace.new_ts(),
                }
            )


def remove(context: WorkspaceContext, channel: Channel, ts: str) -> None:
    """Delete a message; a deleted reply leaves its thread's count."""
    previous = context.workspace.messages[channel.id][ts]
    only = previous.get("_ephemeral_to")
    if previous.get("reply_count") and not only:
        _leave_tombstone(context, channel, previous)
        return
    context.workspace.drop_message(channel.id, ts)
    root = context.workspace.messages[channel.id].get(previous.get("thread_ts") or "")
    if root is not None and root is not previous and not only:
        root["reply_count"] = max(0, root.get("reply_count", 1) - 1)
        context.workspace.keep_message(channel.id, root)
        context.publish(channel, {"type": "changed", "message": wire(root)})
    context.publish(channel, {"type": "deleted", "ts": ts}, only)
    if not only and BOT_USER in channel.members:
        body = {
            "subtype": "message_deleted",
            "deleted_ts": ts,
            "previous_message": wire(previous),
            "hidden": True,
        }
        _emit_changed(context, channel, body)


def _leave_tombstone(context: WorkspaceContext, channel: Channel, root: Json) -> None:
    """Replace a deleted message that has replies by a tombstone, so that its thread can be read."""
    parts = (
        "blocks",
        "files",
        "attachments",
        "reactions",
        "metadata",
        "edited",
        "bot_profile",
        "bot_id",
        "app_id",
    )
    tombstone = {
        "subtype": "tombstone",
        "text": "This message was deleted.",
        "user": "USLACKBOT",
        "hidden": True,
    }
    edit(context, channel, root, {**dict.fromkeys(parts), **tombstone})


def emit_message(context: WorkspaceContext, channel: Channel, message: Json) -> None:
    """The `message` event for a new message, and `app_mention` when it names the app in a channel."""
    event: Json = {**wire(message), "channel": channel.id, "event_ts": message["ts"]}
    event = {
        key: value
        for key, value in event.items()
        if key not in {"reply_count", "reply_users", "latest_reply"}
    }
    subscription = SUBSCRIPTION[channel.kind]
    context.outbox.emit({**event, "channel_type": channel.kind}, subscription=subscription)
    if message.get("metadata"):
        _emit_metadata(context, channel, message, "message_metadata_posted")
    _emit_links(context, channel, message)
    is_mention = f"<@{BOT_USER}>" in (message.get("text") or "")
    if message.get("subtype") == "file_share":  # Slack tells of a mention beside a file by `message` alone
        return
    if is_mention and channel.kind != "im" and message.get("user") != BOT_USER:
        mention = {key: value for key, value in event.items() if key != "subtype"}
        context.outbox.emit({**mention, "type": "app_mention"})


def _emit_links(context: WorkspaceContext, channel: Channel, message: Json) -> None:
    """`link_shared` for a person's links to the domains that the manifest unfurls."""
    links = []
    for url in LINK.findall(str(message.get("text") or "")) if "bot_id" not in message else ():
        host = (urlparse(html.unescape(url)).hostname or "").lower()
        domains = [d for d in context.workspace.app.unfurl_domains if host == d or host.endswith(f".{d}")]
        links += [{"domain": domain, "url": html.unescape(url)} for domain in domains[:1]]
    if links:
        event: Json = {
            "type": "link_shared",
            "channel": channel.id,
            "user": message.get("user"),
            "links": links,
        }
        event |= {"message_ts": message["ts"], "event_ts": message["ts"], "source": "conversations_history"}
        event |= {"unfurl_id": f"{channel.id}.{message['ts']}", "is_bot_user_member": True}
        context.outbox.emit(event | ({"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}))


def _emit_metadata(context: WorkspaceContext, channel: Channel, message: Json, kind: str) -> None:
    event: Json = {"type": kind, "channel_id": channel.id, "message_ts": message["ts"]}
    event |= {
        "app_id": message.get("app_id"),
        "bot_id": message.get("bot_id"),
        "user_id": message.get("user"),
    }
    event |= {"team_id": message.get("team"), "metadata": message["metadata"]}
    context.outbox.emit(event | {"event_ts": context.workspace.new_ts()})


def bot_message(workspace: Workspace, text: str, **more: Any) -> Json:
    """A message of the app, with the marks by which apps recognise their own echo."""
    return {
        "user": BOT_USER,
        "type": "message",
        "bot_id": seed.BOT_ID,
        "app_id": seed.APP_ID,
        "text": text,
        "team": workspace.team.id,
        "bot_profile": workspace.bot_profile(),
        **{key: value for key, value in more.items() if value is not None},
    }


def _emit_changed(context: WorkspaceContext, channel: Channel, body: Json) -> None:
    ts = context.workspace.new_ts()
    event = {"type": "message", "channel": channel.id, "ts": ts, "event_ts": ts, **body}
    event["channel_type"] = channel.kind
    context.outbox.emit(event, subscription=SUBSCRIPTION[channel.kind])


def _count_reply(context: WorkspaceContext, channel: Channel, thread_ts: str, reply: Json) -> None:
    root = context.workspace.messages[channel.id].get(thread_ts)
    if root is None or thread_ts == reply["ts"]:
        return
    users = [*root.get("reply_users", []), reply["user"]] if "user" in reply else root.get("reply_users", [])
    root["thread_ts"] = thread_ts
    root["reply_count"] = root.get("reply_count", 0) + 1
    root["reply_users"] = list(dict.fromkeys(users))
    root["reply_users_count"] = len(root["reply_users"])
    root["latest_reply"] = reply["ts"]
    if "user" in root:
        reply.setdefault("parent_user_id", root["user"])
    context.workspace.keep_message(channel.id, root)
    context.publish(channel, {"type": "changed", "message": wire(root)})
