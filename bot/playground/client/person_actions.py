"""What people do through the web page and Person: read, say, upload, react, open things. All under
/client/."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.playground.block_kit import forms
from bot.playground.client.compose import encode, rich_text
from bot.playground.client.page import boot, messages, search, threads
from bot.playground.delivery import interactions
from bot.playground.errors import ApiError, PlaygroundError
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel, User
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.conversations import add_member
from bot.playground.web_api.files import keep_content, new_file, share
from bot.playground.web_api.reactions import react
from bot.playground.web_api.streams import set_session_status

MOST_TYPED = 40_000
Action = Callable[[WorkspaceContext, User, Json], Awaitable[Json]]


async def say(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Type a message; @names, #channels and addresses become tokens as Slack's client makes them."""
    channel = context.workspace.place(args["channel"], user.id)
    _must_be_in(channel, user)
    source = args.get("text") or ""
    files = [context.workspace.files[file_id] for file_id in args.get("files") or ()]
    if not source.strip() and not files:
        raise PlaygroundError("There is nothing to send.")
    if len(source) > MOST_TYPED:
        raise PlaygroundError(
            f"Slack takes messages of up to {MOST_TYPED:,} characters; this one has {len(source):,}."
        )
    text = encode(source, context.workspace.users, context.workspace.channels)
    message: Json = {
        "type": "message",
        "user": user.id,
        "text": text,
        "client_msg_id": context.workspace.new_id("m"),
    }
    if source.strip():
        message["blocks"] = [rich_text(text, context.workspace.new_id("b")[2:7])]
    thread_ts = args.get("thread_ts")
    if thread_ts:
        message["thread_ts"] = thread_ts
    if thread_ts and args.get("broadcast"):
        message["subtype"] = "thread_broadcast"
    if files:
        share(context, channel, files, message, thread_ts)
    else:
        posting.post(context, channel, message)
    warning = None
    if f"<@{BOT_USER}>" in text and BOT_USER not in channel.members:
        name = context.workspace.users[BOT_USER].name
        warning = f"{context.workspace.app.bot_name} is not in this channel; type /invite @{name}."
    return {"channel": channel.id, "ts": message["ts"], "text": text, "warning": warning}


async def upload(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Upload a file; with a channel it is posted there at once, without it waits to be sent or submitted."""
    content: bytes = args["content"]
    record = new_file(context.workspace, args["name"], len(content), user.id)
    keep_content(context.workspace, record, content)
    if not args.get("channel"):
        record["_complete"] = True
        context.workspace.keep_file(record)
        return {"file": wire(record)}
    message = await say(context, user, {**args, "files": [record["id"]]})
    return {"file": wire(record), **message}


async def command(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Type a slash command; /invite is the workspace's own."""
    channel = context.workspace.place(args["channel"], user.id)
    if args["command"] == "/invite":
        return _invite(context, user, channel, args.get("text") or "")
    return await interactions.command(context, user, channel, args["command"], args.get("text") or "")


async def click(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Use a button, select or feedback control of a message."""
    channel = context.workspace.place(args["channel"], user.id)
    message = context.workspace.messages[channel.id].get(args["ts"])
    if message is None or message.get("_ephemeral_to") not in (None, user.id):
        raise PlaygroundError(f"There is no message {args['ts']} for you in {channel.name or channel.id}.")
    block, element = _element(message.get("blocks") or [], args)
    seen_by = element.get("visible_to_user_ids")
    if seen_by and user.id not in seen_by:
        raise PlaygroundError(f"{user.real_name} does not see the button {args['action_id']!r}.")
    value = args.get("value")
    return await interactions.message_action(context, user, channel, args["ts"], element, block, value)


async def view_action(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Use a control of an open modal or of the App Home."""
    view = _view(context, user, args["view_id"])
    block, element = _element(view["blocks"], args)
    for block_id, actions in (args.get("state") or {}).items():
        view["state"]["values"].setdefault(block_id, {}).update(actions)
    return await interactions.view_action(context, user, view, element, block, args.get("value"))


async def submit(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Press the modal's main button."""
    return await interactions.submit(
        context, user, _view(context, user, args["view_id"]), args.get("values") or {}
    )


async def close(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Close the top modal, or all of them with `clear`."""
    view = _view(context, user, args["view_id"])
    clear = bool(args.get("clear")) or bool(view["clear_on_close"])
    return await interactions.close(context, user, view, clear=clear)


async def view(context: WorkspaceContext, user: User, args: Json) -> Json:
    """The modal on top of this person's stack, if one is open."""
    stack = context.workspace.stacks[user.id]
    return {"view": wire(context.workspace.views[stack[-1]]) if stack else None, "depth": len(stack)}


async def shortcut(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Use a shortcut, on a message when it is a message shortcut."""
    channel = context.workspace.place(args["channel"], user.id) if args.get("channel") else None
    return await interactions.shortcut(context, user, args["callback_id"], channel, args.get("ts"))


async def suggest(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Type into an external select."""
    if args.get("view_id"):
        view = _view(context, user, args["view_id"])
        blocks, container = (
            view["blocks"],
            {"view": wire(view), "container": {"type": "view", "view_id": view["id"]}},
        )
    else:
        channel = context.workspace.place(args["channel"], user.id)
        message = context.workspace.messages[channel.id][args["ts"]]
        blocks = message.get("blocks") or []
        container = {"channel": {"id": channel.id, "name": channel.name}, "message": wire(message)}
        container["container"] = {"type": "message", "message_ts": args["ts"], "channel_id": channel.id}
    block, element = _element(blocks, args)
    options = await interactions.suggest(context, user, container, element, block, args.get("value") or "")
    return {"options": options}


async def home(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Open the app's Home or Messages tab; the app hears app_home_opened."""
    tab = args.get("tab") or "home"
    view = context.workspace.homes.get(user.id)
    event: Json = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": context.workspace.dm(user.id).id,
        "tab": tab,
    }
    event["event_ts"] = context.workspace.new_ts()
    if tab == "home" and view:
        event["view"] = wire(view)
    context.outbox.emit(event)
    return {"view": wire(view) if view else None, "channel": event["channel"]}


async def home_view(context: WorkspaceContext, user: User, args: Json) -> Json:
    """The App Home as published, without telling the app that it was opened."""
    view = context.workspace.homes.get(user.id)
    return {"view": wire(view) if view else None}


async def look(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Look at another channel while the app is visible (app_context_changed)."""
    channel = context.workspace.place(args["channel"], user.id)
    entity = {"type": "slack#/types/channel_id", "value": channel.id, "team_id": context.workspace.team.id}
    event: Json = {"type": "app_context_changed", "user": user.id, "context": {"entities": [entity]}}
    if context.workspace.app.agent:
        context.outbox.emit(event | {"event_ts": context.workspace.new_ts()})
    return {}


async def stop(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Press Stop on a working agent: its streams end and the app gets agent_session_stopped.

    As in Slack the button is there only while the app has set the session to "processing".
    """
    channel = context.workspace.place(args["channel"], user.id)
    thread_ts = args["thread_ts"]
    session = context.workspace.sessions.get(f"{channel.id}:{thread_ts}") or {}
    if session.get("status") != "processing":
        raise PlaygroundError("There is no Stop button: the app has not said that it works on this thread.")
    set_session_status(context, {"channel_id": channel.id, "thread_ts": thread_ts, "status": "active"})
    streaming = []
    for message in context.workspace.visible(channel.id):
        if message.get("thread_ts") == thread_ts and message.get("_stream"):
            message.pop("_stream")
            message["_stopped"] = True
            posting.edit(context, channel, message, {"streaming_state": "completed"})
            streaming.append(message["ts"])
    event: Json = {
        "type": "agent_session_stopped",
        "channel": channel.id,
        "thread_ts": thread_ts,
        "user": user.id,
    }
    event |= {"streaming_message_ts": streaming, "event_ts": context.workspace.new_ts()}
    envelope = context.outbox.emit(event)
    return {"streams": streaming, "event_id": envelope}


async def reaction(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Put an emoji on a message, or take it off when it is there."""
    channel = context.workspace.place(args["channel"], user.id)
    try:
        react(context, channel, args["ts"], args["name"], user.id, add=True)
    except ApiError:
        react(context, channel, args["ts"], args["name"], user.id, add=False)
    return {}


async def delete(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Delete one's own message, or dismiss an ephemeral one."""
    channel = context.workspace.place(args["channel"], user.id)
    message = context.workspace.messages[channel.id].get(args["ts"])
    if message is None or user.id not in (message.get("_ephemeral_to"), message.get("user")):
        raise PlaygroundError("You can delete only your own messages.")
    posting.remove(context, channel, args["ts"])
    return {}


async def edit(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Change one's own message."""
    channel = context.workspace.place(args["channel"], user.id)
    message = context.workspace.message(channel.id, args["ts"])
    if message.get("user") != user.id:
        raise PlaygroundError("You can change only your own messages.")
    text = encode(args["text"], context.workspace.users, context.workspace.channels)
    blocks = [rich_text(text, context.workspace.new_id("b")[2:7])]
    edit_mark = {"user": user.id, "ts": context.workspace.new_ts()}
    posting.edit(context, channel, message, {"text": text, "blocks": blocks, "edited": edit_mark})
    return {}


async def mark_read(context: WorkspaceContext, user: User, args: Json) -> Json:
    """Remember how far this person has read a conversation."""
    key = f"{user.id}:{args['channel']}"
    context.workspace.read[key] = args["ts"]
    context.workspace.store.put("read", key, args["ts"])
    return {}


def _must_be_in(channel: Channel, user: User) -> None:
    if user.id not in channel.members:
        raise PlaygroundError(f"{user.real_name} is not in #{channel.name}.")


def _invite(context: WorkspaceContext, user: User, channel: Channel, text: str) -> Json:
    name = text.strip().removeprefix("<@").removesuffix(">").removeprefix("@").split("|")[0]
    for each in context.workspace.users.values():
        if name.lower() in (each.name, each.id.lower(), each.real_name.lower()):
            if each.id not in channel.members:
                add_member(context, channel, each.id, user.id)
            return {"ok": True}
    raise PlaygroundError(f"There is nobody called {name!r} to invite.")


def _view(context: WorkspaceContext, user: User, view_id: str) -> Json:
    view = context.workspace.views.get(view_id)
    home_view = context.workspace.homes.get(user.id)
    if view is None and home_view is not None and home_view["id"] == view_id:
        view = home_view
    if view is None or view["_user"] != user.id:
        raise PlaygroundError("This view is no longer open.")
    return view


def _element(blocks: list[Json], args: Json) -> tuple[Json, Json]:
    matches = [
        (block, element)
        for block, element in forms.elements_of(blocks)
        if element["action_id"] == args["action_id"] and args.get("block_id") in (None, block["block_id"])
    ]
    if not matches:
        options = (
            ", ".join(sorted({element["action_id"] for _, element in forms.elements_of(blocks)})) or "none"
        )
        raise PlaygroundError(f"There is no control {args['action_id']!r} here; there are: {options}.")
    same = [pair for pair in matches if pair[1].get("value") == args.get("value")]
    return (same or matches)[0]


ACTIONS: dict[str, Action] = {
    "boot": boot, "messages": messages, "say": say, "upload": upload, "command": command, "click": click,
    "view_action": view_action, "submit": submit, "close": close, "view": view, "shortcut": shortcut,
    "suggest": suggest, "home": home, "home_view": home_view, "look": look, "stop": stop, "react": reaction,
    "delete": delete, "edit": edit, "read": mark_read, "search": search, "threads": threads,
}  # fmt: skip
