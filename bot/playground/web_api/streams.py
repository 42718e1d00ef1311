"""chat.startStream/appendStream/stopStream and what shows that the app is at work: status, prompts, agent
sessions."""

from __future__ import annotations

from typing import Any

from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import (
    Method,
    check_message_blocks,
    check_metadata,
    named_blocks,
    need,
    writable,
)

STREAM_SECONDS = 300.0
STATUS_SECONDS = 120.0
SESSION_STATUS = {"processing", "active", "suspended", "closed"}
TASK_STATUS = {"pending", "in_progress", "complete", "error"}


def start(context: WorkspaceContext, params: Json) -> Json:
    """chat.startStream: a reply that grows; in channels Slack wants to know for whom."""
    need(params, "channel", "thread_ts")
    channel = writable(context, params["channel"])
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if not params.get(name):
                raise ApiError(f"missing_{name}")
    if params.get("recipient_user_id") and params["recipient_user_id"] not in context.workspace.users:
        raise ApiError("user_not_found")
    teams = {user.team for user in context.workspace.users.values()}
    if params.get("recipient_team_id") and params["recipient_team_id"] not in teams:
        raise ApiError("team_not_found")
    if params["thread_ts"] not in context.workspace.messages[channel.id]:
        raise ApiError("message_not_found")
    message = posting.bot_message(
        context.workspace,
        "",
        thread_ts=params["thread_ts"],
        streaming_state="in_progress",
        _stream={
            "until": context.workspace.clock.now() + STREAM_SECONDS,
            "mode": params.get("task_display_mode") or "timeline",
            "parts": [],
        },
    )
    _grow(context, message, params)
    posting.post(context, channel, message)
    clear_status(context, channel, params["thread_ts"])
    return {"channel": channel.id, "ts": message["ts"]}


def append(context: WorkspaceContext, params: Json) -> Json:
    """chat.appendStream: message_not_in_streaming_state once it was stopped or is 5 minutes old."""
    need(params, "channel", "ts")
    channel, message = _streaming(context, params)
    if not params.get("markdown_text") and not params.get("chunks"):
        raise ApiError("no_text")
    _grow(context, message, params)
    context.workspace.keep_message(channel.id, message)
    context.publish(channel, {"type": "changed", "message": wire(message)})
    return {"channel": channel.id, "ts": message["ts"]}


def stop(context: WorkspaceContext, params: Json) -> Json:
    """chat.stopStream: the last text, the blocks at the end, and an ordinary message from here on."""
    need(params, "channel", "ts")
    channel, message = _streaming(context, params)
    check_metadata(params.get("metadata"))
    if params.get("blocks"):
        check_message_blocks(params["blocks"])
    _grow(context, message, params)
    blocks = [*(message.get("blocks") or []), *named_blocks(context, params.get("blocks") or [])]
    changes = {"streaming_state": "completed", "blocks": blocks or None, "metadata": params.get("metadata")}
    message.pop("_stream", None)
    posting.edit(context, channel, message, changes)
    if params.get("session_status"):
        session = {
            "channel_id": channel.id,
            "thread_ts": message["thread_ts"],
            "status": params["session_status"],
        }
        set_session_status(context, session)
    return {"channel": channel.id, "ts": message["ts"], "message": wire(message)}


def _streaming(context: WorkspaceContext, params: Json) -> tuple[Channel, Json]:
    channel = writable(context, params["channel"])
    message = context.workspace.message(channel.id, str(params["ts"]))
    if message.get("user") != BOT_USER:
        raise ApiError("message_not_owned_by_app")
    state = message.get("_stream")
    if state is None:
        raise ApiError("stopped_by_user" if message.get("_stopped") else "message_not_in_streaming_state")
    if context.workspace.clock.now() > state["until"]:
        message.pop("_stream")
        posting.edit(context, channel, message, {"streaming_state": "completed"})
        raise ApiError("message_not_in_streaming_state")
    return channel, message


def _grow(context: WorkspaceContext, message: Json, params: Json) -> None:
    chunks: list[Any] = list(params.get("chunks") or [])
    if params.get("markdown_text"):
        chunks.insert(0, {"type": "markdown_text", "text": params["markdown_text"]})
    for chunk in chunks:
        _check_chunk(chunk)
        _add(context, message["_stream"]["parts"], chunk)
    if sum(len(part.get("text", "")) for part in message["_stream"]["parts"]) > 40_000:
        raise ApiError("msg_too_long")
    message["text"] = "".join(p["text"] for p in message["_stream"]["parts"] if p["type"] == "markdown_text")
    blocks = _blocks(message["_stream"])
    if blocks:
        message["blocks"] = blocks


def _check_chunk(chunk: Any) -> None:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind == "markdown_text":
        if not isinstance(chunk.get("text"), str):
            raise invalid_arguments("missing required field: text", code="invalid_chunks")
        if len(chunk["text"]) > 12_000:
            raise ApiError("msg_too_long")
    elif kind == "task_update":
        status = str(chunk.get("status") or "pending")
        if not chunk.get("id") or not chunk.get("title") or status not in TASK_STATUS:
            raise invalid_arguments("a task needs id, title and a valid status", code="invalid_chunks")
        for key in ("id", "title", "details", "output"):
            if not isinstance(chunk.get(key) or "", str):
                raise invalid_arguments(f"task {key} must be a string", code="invalid_chunks")
            if key in ("details", "output") and len(chunk.get(key) or "") > 256:
                raise invalid_arguments(f"task {key} must be less than 257 characters", code="invalid_chunks")
    elif kind == "blocks":
        if not isinstance(chunk.get("blocks"), list):
            raise invalid_arguments("missing required field: blocks", code="invalid_chunks")
        check_message_blocks(chunk["blocks"])
    elif kind == "plan_update" and not isinstance(chunk.get("title"), str):
        raise invalid_arguments("missing required field: title", code="invalid_chunks")
    elif kind != "plan_update":
        raise invalid_arguments(f"unsupported type: {kind}", code="invalid_chunks")


def _add(context: WorkspaceContext, parts: list[Json], chunk: Json) -> None:
    if chunk["type"] == "markdown_text" and parts and parts[-1]["type"] == "markdown_text":
        parts[-1]["text"] += chunk["text"]
        return
    same = [p for p in parts if p["type"] == chunk["type"] and p.get("id") == chunk.get("id")]
    if chunk["type"] == "task_update" and same:
        for key in ("details", "output"):  # Slack appends these two, and replaces the rest
            if chunk.get(key) and same[0].get(key):
                chunk = {**chunk, key: same[0][key] + chunk[key]}
        same[0].update({key: value for key, value in chunk.items() if value is not None})
    elif chunk["type"] == "plan_update" and same:
        same[0].update(chunk)
    elif chunk["type"] == "blocks":
        parts.append({"type": "blocks", "blocks": named_blocks(context, chunk["blocks"])})
    else:
        parts.append(dict(chunk))


def _blocks(stream: Json) -> list[Json]:
    """The blocks a streamed message is made of: text as markdown, tasks as cards or as one plan."""
    blocks: list[Json] = []
    tasks = [_task(part) for part in stream["parts"] if part["type"] == "task_update"]
    title = next((p["title"] for p in stream["parts"] if p["type"] == "plan_update"), "Working on it")
    timeline = stream["mode"] != "plan"
    for part in stream["parts"]:
        if part["type"] == "markdown_text" and part["text"].strip():
            blocks.append({"type": "markdown", "text": part["text"], "block_id": f"s{len(blocks)}"})
        elif part["type"] == "blocks":
            blocks += part["blocks"]
        elif part["type"] == "task_update" and stream["mode"] != "plan":
            blocks.append({**_task(part), "block_id": f"s{len(blocks)}"})
        elif not timeline:
            blocks.append({"type": "plan", "title": title, "tasks": tasks, "block_id": f"s{len(blocks)}"})
            timeline = True
    return blocks


def _task(part: Json) -> Json:
    card: Json = {"type": "task_card", "task_id": part["id"], "title": part["title"]}
    card["status"] = part.get("status") or "pending"
    for key in ("details", "output"):
        if part.get(key):
            section = {"type": "rich_text_section", "elements": [{"type": "text", "text": part[key]}]}
            card[key] = {"type": "rich_text", "elements": [section]}
    if part.get("sources"):
        card["sources"] = part["sources"]
    return card


def set_status(context: WorkspaceContext, params: Json) -> Json:
    """assistant.threads.setStatus: the line under a thread that says what the app is doing; "" clears it."""
    need(params, "channel_id", "thread_ts")
    channel = writable(context, params["channel_id"])
    if params.get("status") is None:
        raise invalid_arguments("missing required field: status")
    key = (channel.id, str(params["thread_ts"]))
    if params["status"]:
        until = context.workspace.clock.now() + STATUS_SECONDS
        loading = params.get("loading_messages") or []
        context.workspace.statuses[key] = {
            "status": params["status"],
            "loading_messages": loading,
            "until": until,
        }
    else:
        context.workspace.statuses.pop(key, None)
    _tell_status(context, channel, key)
    return {}


def clear_status(context: WorkspaceContext, channel: Channel, thread_ts: str | None) -> None:
    """Slack clears the status line as soon as the app replies."""
    key = (channel.id, thread_ts or "")
    if context.workspace.statuses.pop(key, None) is not None:
        _tell_status(context, channel, key)


def _tell_status(context: WorkspaceContext, channel: Channel, key: tuple[str, str]) -> None:
    status = context.workspace.statuses.get(key)
    context.publish(channel, {"type": "status", "thread_ts": key[1], "status": status})


def set_prompts(context: WorkspaceContext, params: Json) -> Json:
    """assistant.threads.setSuggestedPrompts: up to four things to ask, shown in the DM with the app."""
    need(params, "channel_id")
    channel = writable(context, params["channel_id"])
    prompts = params.get("prompts")
    if not isinstance(prompts, list) or not prompts:
        raise invalid_arguments("missing required field: prompts")
    if len(prompts) > 4:
        raise invalid_arguments("no more than 4 items allowed [json-pointer:/prompts]")
    if any(not isinstance(p, dict) or not p.get("title") or not p.get("message") for p in prompts):
        raise invalid_arguments("each prompt needs title and message [json-pointer:/prompts]")
    body = {"title": params.get("title"), "prompts": prompts, "thread_ts": params.get("thread_ts")}
    context.workspace.prompts[channel.id] = body
    context.workspace.store.put("prompts", channel.id, body)
    context.publish(channel, {"type": "prompts", **body})
    return {}


def set_title(context: WorkspaceContext, params: Json) -> Json:
    """assistant.threads.setTitle and agents.sessions.rename."""
    need(params, "title")
    channel = writable(context, params.get("channel_id"))
    session = context.workspace.sessions.setdefault(
        f"{channel.id}:{params.get('thread_ts')}", {"status": "active"}
    )
    session["title"] = params["title"]
    return {"title": params["title"]}


def set_session_status(context: WorkspaceContext, params: Json) -> Json:
    """agents.sessions.setStatus: "processing" shows the Stop button, which works only when the app
    subscribed."""
    need(params, "channel_id", "status")
    channel = writable(context, params["channel_id"])
    if params["status"] not in SESSION_STATUS:
        raise invalid_arguments("must be a valid enum value [json-pointer:/status]")
    if not params.get("thread_ts"):
        raise ApiError("missing_thread_ts")
    key = f"{channel.id}:{params['thread_ts']}"
    session = context.workspace.sessions.setdefault(key, {"title": params.get("title") or "New session"})
    session["status"] = params["status"]
    context.workspace.store.put("session", key, session)
    note = {"type": "session", "thread_ts": params["thread_ts"], "status": params["status"]}
    context.publish(channel, note)
    answer: Json = {"status": session["status"], "agent_status": session["status"], "title": session["title"]}
    if "agent_session_stopped" not in context.workspace.app.events:
        answer["warning"] = "missing_agent_session_stopped_event_subscription"
    return answer


def clear_expired(context: WorkspaceContext) -> None:
    """Status lines go after two minutes without a word from the app."""
    now = context.workspace.clock.now()
    for key in [key for key, status in context.workspace.statuses.items() if status["until"] < now]:
        context.workspace.statuses.pop(key)
        _tell_status(context, context.workspace.channels[key[0]], key)


WRITE = ("chat:write",)
AGENT = ("assistant:write", "chat:write")
METHODS = {
    "chat.startStream": Method(start, WRITE, per_minute=20),
    "chat.appendStream": Method(append, WRITE, per_minute=100),
    "chat.stopStream": Method(stop, WRITE, per_minute=20),
    "assistant.threads.setStatus": Method(set_status, AGENT, per_minute=600),
    "assistant.threads.setSuggestedPrompts": Method(set_prompts, ("assistant:write",), per_minute=100),
    "assistant.threads.setTitle": Method(set_title, ("assistant:write",), per_minute=100),
    "agents.sessions.setStatus": Method(set_session_status, WRITE),
    "agents.sessions.rename": Method(set_title, WRITE),
}
