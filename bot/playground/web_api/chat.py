"""chat.*: post, change, delete, post ephemeral messages, link."""

from __future__ import annotations

import html

from bot.playground.errors import ApiError
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import (
    Method,
    check_content,
    check_message_blocks,
    check_metadata,
    flag,
    named_blocks,
    need,
    writable,
)
from bot.playground.web_api.streams import clear_status


def post_message(context: WorkspaceContext, params: Json) -> Json:
    """chat.postMessage."""
    need(params, "channel")
    channel = writable(context, params["channel"])
    check_content(params)
    check_metadata(params.get("metadata"))
    _check_identity(context, params)
    if channel.kind == "im" and not context.workspace.app.messages_tab:
        raise ApiError("messages_tab_disabled")
    thread_ts = _thread(params.get("thread_ts"))
    if "_ephemeral_to" in context.workspace.messages[channel.id].get(thread_ts or "", {}):
        raise ApiError("cannot_reply_to_message")
    message = posting.bot_message(
        context.workspace,
        params.get("text") or params.get("markdown_text") or _fallback(params),
        blocks=_blocks(context, params),
        attachments=params.get("attachments"),
        thread_ts=thread_ts,
        metadata=params.get("metadata"),
        username=params.get("username"),
    )
    if flag(params.get("reply_broadcast")) and thread_ts:
        message["subtype"] = "thread_broadcast"
        if root := context.workspace.messages[channel.id].get(thread_ts):
            message["root"] = wire(root)
    posting.post(context, channel, message)
    clear_status(context, channel, thread_ts)
    return {"channel": channel.id, "ts": message["ts"], "message": wire(message)}


def update(context: WorkspaceContext, params: Json) -> Json:
    """chat.update: only the app's own messages; blocks that are not sent again go when text is."""
    need(params, "channel", "ts")
    channel = writable(context, params["channel"])
    message = _own(context, channel.id, params["ts"], "cant_update_message")
    if flag(params.get("as_user")):
        raise ApiError("as_user_not_supported")
    if message.get("streaming_state") == "in_progress":
        raise ApiError("streaming_state_conflict")
    if flag(params.get("reply_broadcast")) and any(
        params.get(key) for key in ("text", "blocks", "attachments")
    ):
        raise ApiError("no_dual_broadcast_content_update")
    check_content(params, text_most=UPDATE_TEXT)
    check_metadata(params.get("metadata"))
    changes: Json = {"edited": {"user": BOT_USER, "ts": context.workspace.new_ts()}}
    if params.get("text") is not None or params.get("markdown_text") is not None:
        changes |= {"text": params.get("text") or params.get("markdown_text"), "blocks": None}
    if params.get("blocks") is not None or params.get("markdown_text") is not None:
        changes["blocks"] = _blocks(context, params) or None
    for key in ("attachments", "metadata"):
        if params.get(key) is not None:
            changes[key] = params[key]
    posting.edit(context, channel, message, changes)
    return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": wire(message)}


def delete(context: WorkspaceContext, params: Json) -> Json:
    """chat.delete: only the app's own messages."""
    need(params, "channel", "ts")
    channel = writable(context, params["channel"])
    message = _own(context, channel.id, params["ts"], "cant_delete_message")
    posting.remove(context, channel, message["ts"])
    return {"channel": channel.id, "ts": message["ts"]}


def post_ephemeral(context: WorkspaceContext, params: Json) -> Json:
    """chat.postEphemeral: shown to one member of the channel, kept out of its history."""
    need(params, "channel", "user")
    channel = writable(context, params["channel"])
    if params["user"] not in context.workspace.users:
        raise ApiError("user_not_found")
    if params["user"] not in channel.members:
        raise ApiError("user_not_in_channel")
    check_content(params)
    message = posting.bot_message(
        context.workspace,
        params.get("text") or params.get("markdown_text") or _fallback(params),
        blocks=_blocks(context, params),
        attachments=params.get("attachments"),
        thread_ts=_thread(params.get("thread_ts")),
    )
    posting.post(context, channel, message, ephemeral_to=params["user"])
    return {"message_ts": message["ts"]}


def me_message(context: WorkspaceContext, params: Json) -> Json:
    """chat.meMessage: what the app does, in the third person."""
    need(params, "channel")
    channel = writable(context, params["channel"])
    if not params.get("text"):
        raise ApiError("no_text")
    message = posting.bot_message(context.workspace, str(params["text"]), subtype="me_message")
    posting.post(context, channel, message)
    return {"channel": channel.id, "ts": message["ts"]}


def unfurl(context: WorkspaceContext, params: Json) -> Json:
    """chat.unfurl: what stands under the links of a person's message."""
    for name in ("channel", "ts", "unfurls"):
        if not params.get(name):
            raise ApiError(f"missing_{name}")
    unfurls = params["unfurls"]
    if not isinstance(unfurls, dict) or not all(isinstance(one, dict) for one in unfurls.values()):
        raise ApiError("invalid_unfurls_format")
    channel = writable(context, params["channel"])
    message = context.workspace.messages[channel.id].get(str(params["ts"]))
    if message is None or "_ephemeral_to" in message:
        raise ApiError("cannot_find_message")
    links = {url for url in unfurls if url in html.unescape(str(message.get("text")))}
    if not links:
        raise ApiError("cannot_unfurl_url")
    rows = [{**unfurls[url], "from_url": url} for url in unfurls if url in links]
    posting.edit(context, channel, message, {"attachments": rows})
    return {}


def get_permalink(context: WorkspaceContext, params: Json) -> Json:
    """chat.getPermalink: an address that opens the message in the local web page."""
    need(params, "channel", "message_ts")
    channel = context.workspace.channel_of(params["channel"])
    message = context.workspace.message(channel.id, params["message_ts"])
    link = f"{context.workspace.base_url}/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    if message.get("thread_ts") not in (None, message["ts"]):
        link += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _own(context: WorkspaceContext, channel: str, ts: str, refusal: str) -> Json:
    message = context.workspace.message(channel, str(ts))
    if message.get("user") != BOT_USER:
        raise ApiError(refusal)
    return message


def _thread(value: object) -> str | None:
    """A ts as text; Slack refuses malformed ones."""
    if value in (None, ""):
        return None
    text = str(value)
    whole, _, part = text.partition(".")
    if not (whole.isdigit() and part.isdigit()):
        raise ApiError("invalid_thread_ts")
    return text


def _blocks(context: WorkspaceContext, params: Json) -> list[Json] | None:
    blocks = params.get("blocks")
    if params.get("markdown_text"):
        blocks = [{"type": "markdown", "text": params["markdown_text"]}]
        check_message_blocks(blocks)
    result = named_blocks(context, blocks)
    return result if result else None


def _fallback(params: Json) -> str:
    return "This content can't be displayed." if params.get("blocks") else ""


def _check_identity(context: WorkspaceContext, params: Json) -> None:
    if flag(params.get("as_user")):
        raise ApiError("as_user_not_supported")
    wants = [key for key in ("username", "icon_emoji", "icon_url") if params.get(key)]
    if wants and "chat:write.customize" not in context.workspace.app.scopes:
        raise ApiError(
            "missing_scope", needed="chat:write.customize", provided=",".join(context.workspace.app.scopes)
        )


UPDATE_TEXT = 4_000
WRITE = ("chat:write",)
METHODS = {
    "chat.postMessage": Method(post_message, WRITE, per_minute=60),
    "chat.update": Method(update, WRITE),
    "chat.delete": Method(delete, WRITE),
    "chat.postEphemeral": Method(post_ephemeral, WRITE, per_minute=100),
    "chat.meMessage": Method(me_message, WRITE),
    "chat.unfurl": Method(unfurl, ("links:write",)),
    "chat.getPermalink": Method(get_permalink, per_minute=600),
}
