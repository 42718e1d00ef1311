"""canvases.*: documents of a workspace in Markdown, kept in sections; a channel has one of its own at most."""

from __future__ import annotations

import re
from typing import Any

from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, names_in, need, writable

LEVELS = {"owner", "read", "write"}
OPERATIONS = {
    "insert_after", "insert_before", "insert_at_start", "insert_at_end", "replace", "delete", "rename",
}  # fmt: skip
SECTION_KINDS = {"h1": "# ", "h2": "## ", "h3": "### "}


def create(context: WorkspaceContext, params: Json) -> Json:
    """canvases.create."""
    sections = _sections(context, params.get("document_content"))
    return {"canvas_id": _keep_new(context, str(params.get("title") or ""), sections)}


def create_of_channel(context: WorkspaceContext, params: Json) -> Json:
    """conversations.canvases.create: the one canvas of a channel."""
    channel = writable(context, params.get("channel_id"))
    if any(record["channel"] == channel.id for record in context.workspace.records("canvas").values()):
        raise ApiError("channel_canvas_already_exists")
    sections = _sections(context, params.get("document_content"))
    return {"canvas_id": _keep_new(context, str(params.get("title") or ""), sections, channel.id)}


def edit(context: WorkspaceContext, params: Json) -> Json:
    """canvases.edit: one change at a time, as Slack has it."""
    record = _canvas(context, params)
    changes = params.get("changes")
    if not isinstance(changes, list) or not changes:
        raise invalid_arguments("missing required field: changes")
    if len(changes) > 1:
        raise invalid_arguments("no more than 1 items allowed [json-pointer:/changes]")
    _change(context, record, changes[0])
    context.workspace.keep_record("canvas", record["id"], record)
    return {}


def _change(context: WorkspaceContext, record: Json, change: Any) -> None:
    operation = change.get("operation") if isinstance(change, dict) else None
    if operation not in OPERATIONS:
        raise invalid_arguments("must be a valid enum value [json-pointer:/changes/0/operation]")
    sections, at = record["sections"], None
    if change.get("section_id"):
        at = next((n for n, one in enumerate(sections) if one["id"] == change["section_id"]), None)
        if at is None:
            raise ApiError("canvas_editing_failed", detail="section not found")
    if operation in ("insert_after", "insert_before", "delete") and at is None:
        raise invalid_arguments("missing required field: section_id [json-pointer:/changes/0]")
    if operation == "rename":
        record["title"] = str((change.get("title_content") or {}).get("markdown") or "")
        return
    rows = [] if operation == "delete" else _sections(context, change.get("document_content"))
    if operation == "replace":
        record["sections"] = rows if at is None else [*sections[:at], *rows, *sections[at + 1 :]]
    elif operation == "delete" and at is not None:
        del sections[at]
    else:
        place = {"insert_at_start": 0, "insert_at_end": len(sections)}.get(operation)
        place = place if place is not None else (at or 0) + (operation == "insert_after")
        record["sections"] = [*sections[:place], *rows, *sections[place:]]


def delete(context: WorkspaceContext, params: Json) -> Json:
    """canvases.delete."""
    context.workspace.drop_record("canvas", _canvas(context, params)["id"])
    return {}


def lookup(context: WorkspaceContext, params: Json) -> Json:
    """canvases.sections.lookup: by kind of heading, by words, or by both."""
    record, criteria = _canvas(context, params), params.get("criteria")
    if not isinstance(criteria, dict) or not (criteria.get("section_types") or criteria.get("contains_text")):
        raise invalid_arguments("missing required field: criteria")
    kinds = criteria.get("section_types") or []
    marks = tuple(
        mark for kind, mark in SECTION_KINDS.items() if kind in kinds or "any_header" in kinds
    )  # one of them
    words = str(criteria.get("contains_text") or "").lower()
    hits = [
        {"id": one["id"]}
        for one in record["sections"]
        if (not kinds or one["text"].startswith(marks)) and words in one["text"].lower()
    ]
    return {"sections": hits}


def content(context: WorkspaceContext, params: Json) -> Json:
    """canvases.getContent: the whole in Markdown."""
    record = _canvas(context, params)
    return {
        "content": {"type": "markdown", "markdown": "\n\n".join(one["text"] for one in record["sections"])}
    }


def set_access(context: WorkspaceContext, params: Json) -> Json:
    """canvases.access.set: for people or for channels, not both in one call."""
    record = _canvas(context, params)
    if params.get("access_level") not in LEVELS:
        raise invalid_arguments("must be a valid enum value [json-pointer:/access_level]")
    for name in _readers(context, params):
        record["access"][name] = params["access_level"]
    context.workspace.keep_record("canvas", record["id"], record)
    return {}


def delete_access(context: WorkspaceContext, params: Json) -> Json:
    """canvases.access.delete."""
    record = _canvas(context, params)
    for name in _readers(context, params):
        record["access"].pop(name, None)
    context.workspace.keep_record("canvas", record["id"], record)
    return {}


def _readers(context: WorkspaceContext, params: Json) -> list[str]:
    users, channels = names_in(params.get("user_ids")), names_in(params.get("channel_ids"))
    if bool(users) == bool(channels):
        raise invalid_arguments("either user_ids or channel_ids must be given")
    if any(user not in context.workspace.users for user in users):
        raise ApiError("user_not_found")
    return users or [context.workspace.channel_of(channel).id for channel in channels]


def _keep_new(context: WorkspaceContext, title: str, sections: list[Json], channel: str = "") -> str:
    key = context.workspace.new_id("F")
    record = {
        "id": key,
        "title": title,
        "sections": sections,
        "channel": channel,
        "access": {BOT_USER: "owner"},
    }
    context.workspace.keep_record("canvas", key, record)
    return key


def _sections(context: WorkspaceContext, content: Any) -> list[Json]:
    if content is None:
        return []
    if not isinstance(content, dict) or content.get("type") != "markdown":
        raise invalid_arguments("must be of type markdown [json-pointer:/document_content/type]")
    parts = [
        part
        for part in re.split(r"\n\s*\n|\n(?=#{1,3} )", str(content.get("markdown") or ""))
        if part.strip()
    ]
    return [{"id": f"temp:C:{context.workspace.new_id('s')}", "text": part.strip()} for part in parts]


def _canvas(context: WorkspaceContext, params: Json) -> Json:
    need(params, "canvas_id")
    record = context.workspace.records("canvas").get(str(params["canvas_id"]))
    if record is None:
        raise ApiError("canvas_not_found")
    return record


READ, WRITE = ("canvases:read",), ("canvases:write",)
METHODS = {
    "canvases.create": Method(create, WRITE, per_minute=20),
    "canvases.edit": Method(edit, WRITE),
    "canvases.delete": Method(delete, WRITE),
    "canvases.getContent": Method(content, READ),
    "canvases.sections.lookup": Method(lookup, READ),
    "canvases.access.set": Method(set_access, WRITE),
    "canvases.access.delete": Method(delete_access, WRITE),
    "conversations.canvases.create": Method(create_of_channel, WRITE, per_minute=20),
}
