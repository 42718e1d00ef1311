"""chat.scheduleMessage and what belongs to it: messages that are posted at a time, on the workspace's clock."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.playground.errors import ApiError
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, check_content, check_metadata, need, writable
from bot.playground.web_api.chat import post_message

FAR_S = 120 * 24 * 3600.0
WINDOW_S, MOST_IN_WINDOW = 300.0, 30  # messages of a channel
tasks: set[asyncio.Task[None]] = set()


def schedule(context: WorkspaceContext, params: Json) -> Json:
    """chat.scheduleMessage: at most 120 days ahead; refused at once for what the post would be refused for."""
    need(params, "channel", "post_at")
    channel = writable(context, params["channel"])
    check_content(params)
    check_metadata(params.get("metadata"))
    try:
        at = float(params["post_at"])
    except (TypeError, ValueError) as error:
        raise ApiError("invalid_time") from error
    now = context.workspace.clock.now()
    if not at > now:  # nor is a number that is none
        raise ApiError("time_in_past")
    if at > now + FAR_S:
        raise ApiError("time_too_far")
    near = [
        r
        for r in context.later.values()
        if r["channel_id"] == channel.id and abs(r["post_at"] - at) < WINDOW_S
    ]
    if len(near) >= MOST_IN_WINDOW:
        raise ApiError("restricted_too_many")
    key = context.workspace.new_id("Q")
    row = {"id": key, "channel_id": channel.id, "post_at": int(at), "date_created": int(now)}
    row |= {"text": params.get("text") or "", "_params": {k: v for k, v in params.items() if k != "post_at"}}
    context.later[key] = row
    task = asyncio.get_running_loop().create_task(_post_at(context, key, at))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return {
        "channel": channel.id,
        "scheduled_message_id": key,
        "post_at": str(int(at)),
        "message": {"text": row["text"], "type": "delayed_message"},
    }


async def _post_at(context: WorkspaceContext, key: str, at: float) -> None:
    """Waits for its time, which a test may bring nearer, and posts the message unless it was deleted."""
    while (wait := at - context.workspace.clock.now()) > 0:
        await context.workspace.clock.sleep(wait)
    row: Any = context.later.pop(key, None)
    if row is not None:
        try:
            post_message(context, row["_params"])
        except ApiError:  # the channel has been closed to the app meanwhile: Slack says nothing either
            return


def listing(context: WorkspaceContext, params: Json) -> Json:
    """chat.scheduledMessages.list."""
    rows = [row for row in context.later.values() if params.get("channel") in (None, row["channel_id"])]
    public = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
    return {"scheduled_messages": public, "response_metadata": {"next_cursor": ""}}


def delete_scheduled(context: WorkspaceContext, params: Json) -> Json:
    """chat.deleteScheduledMessage."""
    need(params, "channel", "scheduled_message_id")
    if context.later.pop(str(params["scheduled_message_id"]), None) is None:
        raise ApiError("invalid_scheduled_message_id")
    return {}


WRITE = ("chat:write",)
METHODS = {
    "chat.scheduleMessage": Method(schedule, WRITE),
    "chat.scheduledMessages.list": Method(listing),
    "chat.deleteScheduledMessage": Method(delete_scheduled, WRITE),
}
