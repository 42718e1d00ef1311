"""What a person's page is drawn from: the workspace as they see it, and one conversation at a time."""

from __future__ import annotations

from bot.playground.delivery.signed_http import SignedHttp
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel, User
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.conversations import describe
from bot.playground.web_api.directory import describe as describe_user

FINDS = 30


async def boot(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Everything a page needs to draw itself."""
    workspace = context.workspace
    mine = [c for c in workspace.channels.values() if may_open(c, user)]
    stack = workspace.stacks[user.id]
    return {
        "me": user.id,
        "team": {"id": workspace.team.id, "name": workspace.team.name},
        "bot": {"user": BOT_USER, "name": workspace.app.bot_name, "description": workspace.app.description},
        "app": _app_for_page(context),
        "users": [describe_user(context, each) for each in workspace.users.values()],
        "usergroups": workspace.usergroups,
        "channels": [_channel_for_page(context, channel, user) for channel in mine],
        "view": wire(workspace.views[stack[-1]]) if stack else None,
        "depth": len(stack),
        "connected": 1 if isinstance(context.outbox.link, SignedHttp) else context.sockets.count,
    }


async def messages(context: WorkspaceContext, user: User, args: Json) -> Json:
    """A conversation (or a thread of it) as this person sees it, oldest first, their ephemeral messages
    included."""
    channel = context.workspace.place(args["channel"], user.id)
    visible = context.workspace.visible(channel.id, user.id)
    thread = args.get("thread_ts")
    if thread:
        visible = [m for m in visible if thread in (m["ts"], m.get("thread_ts"))]
    status = {key[1]: value for key, value in context.workspace.statuses.items() if key[0] == channel.id}
    prompts = context.workspace.prompts.get(channel.id)
    prefix = f"{channel.id}:"
    sessions = {
        k.removeprefix(prefix): v for k, v in context.workspace.sessions.items() if k.startswith(prefix)
    }
    return {
        "channel": channel.id,
        "messages": [wire(message) for message in visible],
        "status": status,
        "prompts": prompts,
        "sessions": sessions,
    }


async def search(context: WorkspaceContext, user: User, args: Json) -> Json:
    """The newest messages that hold all of the words, of the conversations that this person finds."""
    words = str(args.get("text") or "").lower().split()
    hits: list[Json] = []
    for channel in context.workspace.channels.values():
        if may_open(channel, user):
            visible = context.workspace.visible(channel.id, user.id)
            hits += [
                {"channel": channel.id, "message": wire(message)}
                for message in visible
                if words and all(word in str(message.get("text")).lower() for word in words)
            ]
    hits.sort(key=lambda hit: str(hit["message"]["ts"]), reverse=True)
    return {"messages": hits[:FINDS]}


async def threads(context: WorkspaceContext, user: User, args: Json) -> Json:
    """The threads that this person began, wrote in, or is mentioned in, the one with the newest reply first."""
    rows: list[Json] = []
    for channel in context.workspace.channels.values():
        if not may_open(channel, user):
            continue
        visible = context.workspace.visible(channel.id, user.id)
        replies: dict[str, list[Json]] = {}
        for message in visible:
            if message.get("thread_ts") not in (None, message["ts"]):
                replies.setdefault(message["thread_ts"], []).append(message)
        roots = {message["ts"]: message for message in visible if message["ts"] in replies}
        for ts, root in roots.items():
            if any(
                m.get("user") == user.id or f"<@{user.id}>" in str(m.get("text"))
                for m in (root, *replies[ts])
            ):
                rows.append(
                    {"channel": channel.id, "root": wire(root), "replies": [wire(m) for m in replies[ts]]}
                )
    rows.sort(key=lambda row: str(row["replies"][-1]["ts"]), reverse=True)
    return {"threads": rows[:FINDS]}


def may_open(channel: Channel, user: User) -> bool:
    """Whether the person finds the conversation: people from outside only what they are in."""
    return user.id in channel.members or (channel.kind == "channel" and not user.is_outside)


def _app_for_page(context: WorkspaceContext) -> Json:
    app = context.workspace.app
    return {
        "name": app.name,
        "commands": [vars(command) for command in app.commands.values()],
        "shortcuts": [vars(shortcut) for shortcut in app.shortcuts.values()],
        "prompts": list(app.prompts),
        "home_tab": app.home_tab,
        "messages_tab": app.messages_tab,
    }


def _channel_for_page(context: WorkspaceContext, channel: Channel, user: User) -> Json:
    read_ts = context.workspace.read.get(f"{user.id}:{channel.id}", "")
    others = [m for m in context.workspace.visible(channel.id, user.id) if m.get("user") != user.id]
    unread = [m for m in others if m["ts"] > read_ts]
    mentions = [m for m in unread if f"<@{user.id}>" in (m.get("text") or "") or channel.kind == "im"]
    return {
        **describe(channel),
        "kind": channel.kind,
        "topic": channel.topic,
        "members": channel.members,
        "unread": len(unread),
        "mentions": len(mentions),
        "read": read_ts,
    }
