"""Incoming webhooks: an address for one channel, given with the app's installation where its manifest asks for it."""

from __future__ import annotations

import json
import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.playground.errors import ApiError
from bot.playground.state import posting, seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import check_content, named_blocks, writable

SCOPE = "incoming-webhook"


def webhook_of(context: WorkspaceContext, channel_id: str | None = None) -> Json | None:
    """What oauth.v2.access says of the webhook for a channel (the first one that the app is in)."""
    workspace = context.workspace
    if SCOPE not in workspace.app.scopes:
        return None
    rooms = [c for c in workspace.channels.values() if c.kind == "channel" and seed.BOT_USER in c.members]
    channel = workspace.channels[channel_id] if channel_id else rooms[0]
    path = f"{workspace.team.id}/{seed.BOT_ID}/{secrets.token_urlsafe(18)}"
    context.webhooks[path] = channel.id
    url = f"{workspace.base_url}/services/{path}"
    return {
        "url": url,
        "channel": f"#{channel.name}",
        "channel_id": channel.id,
        "configuration_url": workspace.base_url,
    }


async def receive(context: WorkspaceContext, request: Request) -> Response:
    """Takes a post to the address; answers `ok`, or Slack's error code and status."""
    channel_id = context.webhooks.get(request.path_params["path"])
    if channel_id is None:
        return PlainTextResponse("no_service", status_code=404)
    raw = await request.body()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        async with request.form() as form:
            raw = str(form.get("payload") or "").encode()
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise ValueError("not an object")
    except ValueError:
        return PlainTextResponse("invalid_payload", status_code=400)
    try:
        check_content(body)
        channel = writable(context, channel_id)
    except ApiError as error:
        words = {"is_archived": ("channel_is_archived", 410), "not_in_channel": ("channel_not_found", 404)}
        word, status = words.get(error.code, (error.code, 400))
        return PlainTextResponse(word, status_code=status)
    message = posting.bot_message(
        context.workspace,
        body.get("text") or "",
        blocks=named_blocks(context, body.get("blocks")) or None,
        attachments=body.get("attachments"),
        thread_ts=body.get("thread_ts"),
    )
    posting.post(context, channel, message)
    return PlainTextResponse("ok")
