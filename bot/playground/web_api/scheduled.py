"""chat.scheduleMessage and what belongs to it: messages that are posted at a time, on the workspace's clock."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.playground.errors import ApiError
from bot.playground.state.posting import Floor
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, check_content, check_metadata, need, writable
from bot.playground.web_api.chat import post_message

FAR_S = 120 * 24 * 3600.0
WINDOW_S, MOST_IN_WINDOW = 300.0, 30  # messages of a channel
tasks: set[asyncio.Task[None]] = set()


def schedule(floor: Floor, params: Json) -> Json:
    """chat.scheduleMessage: at most 120 days ahead; refused at once for what the post would be refused for."""
    need(params, "channel", "post_at")
    channel = writable(floor, params["channel"])
    check_content(params)
    check_metadata(params.get("metadata"))
    try:
        at = float(params["post_at"])
    except (TypeError, ValueError) as error:
        raise ApiError("invalid_time") from error
    now = floor.workspace.clock.now()
    if not at > now:  # nor is a number that is none
        raise ApiError("time_in_past")
    if at > now + FAR_S:
        raise ApiError("time_too_far")
    near = [
        r for r in floor.later.values() if r["channel_id"] == channel.id and abs(r["post_at"] - at) < WINDOW_S
    ]
    if len(near) >= MOST_IN_WINDOW:
        raise ApiError("restricted_too_many")
    key = floor.workspace.new_id("Q")
    row = {"id": key, "channel_id": channel.id, "post_at": int(at), "date_created": int(now)}
    row |= {"text": params.get("text") or "", "_params": {k: v for k, v in params.items() if k != "post_at"}}
    floor.later[key] = row
    task = asyncio.get_running_loop().create_task(_post_at(floor, key, at))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return {
        "channel": channel.id,
        "scheduled_message_id": key,
        "post_at": str(int(at)),
        "message": {"text": row["text"], "type": "delayed_message"},
    }


async def _post_at(floor: Floor, key: str, at: float) -> None:
    """Waits for its time, which a test may bring nearer, and posts what has not been taken back."""
    while (wait := at - floor.workspace.clock.now()) > 0:
        await floor.workspace.clock.sleep(wait)
    row: Any = floor.later.pop(key, None)
    if row is not None:
        try:
            post_message(floor, row["_params"])
        except ApiError:  # the channel has been closed to the app meanwhile: Slack says nothing either
            return


def listing(floor: Floor, params: Json) -> Json:
    """chat.scheduledMessages.list."""
    rows = [row for row in floor.later.values() if params.get("channel") in (None, row["channel_id"])]
    public = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
    return {"scheduled_messages": public, "response_metadata": {"next_cursor": ""}}


def take_back(floor: Floor, params: Json) -> Json:
    """chat.deleteScheduledMessage."""
    need(params, "channel", "scheduled_message_id")
    if floor.later.pop(str(params["scheduled_message_id"]), None) is None:
        raise ApiError("invalid_scheduled_message_id")
    return {}


WRITE = ("chat:write",)
METHODS = {
    "chat.scheduleMessage": Method(schedule, WRITE),
    "chat.scheduledMessages.list": Method(listing),
    "chat.deleteScheduledMessage": Method(take_back, WRITE),
}
