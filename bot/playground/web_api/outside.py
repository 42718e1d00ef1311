"""calls.* and files.remote.*: calls and files that live elsewhere and that an app makes known here."""

from __future__ import annotations

import re

from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER
from bot.playground.state.workspace import Json, wire
from bot.playground.web_api.calls import Method, need, writable
from bot.playground.web_api.conversations import page
from bot.playground.web_api.files import new_file, share

CALL_FIELDS = ("title", "join_url", "desktop_app_join_url", "external_display_id")


def add_call(context: WorkspaceContext, params: Json) -> Json:
    """calls.add: an id for a call of another service."""
    need(params, "external_unique_id", "join_url")
    if not params.get("created_by"):
        raise invalid_arguments("missing required field: created_by")
    record: Json = {"id": context.workspace.new_id("R"), "date_start": int(context.workspace.clock.now())}
    record |= {"external_unique_id": str(params["external_unique_id"]), "channels": []}
    record |= {name: str(params[name]) for name in CALL_FIELDS if params.get(name)}
    record["users"] = _users(context, params) if params.get("users") else []
    context.workspace.keep_record("call", record["id"], record)
    return {"call": wire(record)}


def call_info(context: WorkspaceContext, params: Json) -> Json:
    """calls.info."""
    return {"call": wire(_call(context, params))}


def update_call(context: WorkspaceContext, params: Json) -> Json:
    """calls.update."""
    record = _call(context, params, to_change=True)
    record |= {name: str(params[name]) for name in CALL_FIELDS if params.get(name)}
    context.workspace.keep_record("call", record["id"], record)
    return {"call": wire(record)}


def end_call(context: WorkspaceContext, params: Json) -> Json:
    """calls.end."""
    record = _call(context, params, to_change=True)
    record["_end"] = int(context.workspace.clock.now())
    context.workspace.keep_record("call", record["id"], record)
    return {}


def add_participants(context: WorkspaceContext, params: Json) -> Json:
    """calls.participants.add: bad_users for one who is in it already."""
    record, users = _call(context, params, to_change=True), _users(context, params)
    if any(user in record["users"] for user in users):
        raise ApiError("bad_users")
    record["users"] = [*record["users"], *users]
    context.workspace.keep_record("call", record["id"], record)
    return {}


def remove_participants(context: WorkspaceContext, params: Json) -> Json:
    """calls.participants.remove: bad_users for one who is not in it."""
    record, users = _call(context, params, to_change=True), _users(context, params)
    if any(user not in record["users"] for user in users):
        raise ApiError("bad_users")
    record["users"] = [user for user in record["users"] if user not in users]
    context.workspace.keep_record("call", record["id"], record)
    return {}


def _call(context: WorkspaceContext, params: Json, to_change: bool = False) -> Json:
    need(params, "id")
    record = context.workspace.records("call").get(str(params["id"]))
    if record is None:
        raise ApiError("invalid_call_id")
    if to_change and "_end" in record:
        raise ApiError("inactive_call")
    return record


def _users(context: WorkspaceContext, params: Json) -> list[Json]:
    users = params.get("users")
    if not isinstance(users, list) or not users or not all(isinstance(user, dict) for user in users):
        raise invalid_arguments("missing required field: users")
    if any("slack_id" in user and user["slack_id"] not in context.workspace.users for user in users):
        raise ApiError("user_not_found")
    return users


def add_remote(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.add: the record of a file that lies elsewhere."""
    need(params, "external_id", "external_url", "title")
    if not re.match(r"https?://\S+$", str(params["external_url"])):
        raise ApiError("invalid_external_url")
    if _remote_by(context, external_id=str(params["external_id"])):
        raise ApiError("file_already_exists")
    record = new_file(context.workspace, str(params["title"]), 0, BOT_USER)
    record |= {"mode": "external", "is_external": True, "external_type": "app", "editable": False}
    record |= {"external_id": str(params["external_id"]), "external_url": str(params["external_url"])}
    record |= {
        "url_private": str(params["external_url"]),
        "filetype": str(params.get("filetype") or "remote"),
    }
    record["_complete"] = True
    context.workspace.keep_file(record)
    return {"file": wire(record)}


def remote_info(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.info, by the file's id or the app's own."""
    return {"file": wire(_remote(context, params))}


def list_remote(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.list."""
    files = [wire(record) for record in context.workspace.files.values() if record["mode"] == "external"]
    rows, cursor = page(files, params)
    return {"files": rows, "response_metadata": {"next_cursor": cursor}}


def update_remote(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.update."""
    record = _remote(context, params)
    for name, key in (("title", "title"), ("external_url", "external_url"), ("filetype", "filetype")):
        if params.get(name):
            record[key] = str(params[name])
    context.workspace.keep_file(record)
    return {"file": wire(record)}


def remove_remote(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.remove."""
    record = _remote(context, params)
    context.workspace.files.pop(record["id"])
    context.workspace.store.drop("file", record["id"])
    return {}


def share_remote(context: WorkspaceContext, params: Json) -> Json:
    """files.remote.share: into conversations of the app."""
    record = _remote(context, params)
    names = [name for name in str(params.get("channels") or "").split(",") if name]
    if not names:
        raise ApiError("channel_not_found")
    for channel in [writable(context, name) for name in names]:
        share(context, channel, [record], posting.bot_message(context.workspace, ""))
    return {"file": wire(record)}


def _remote(context: WorkspaceContext, params: Json) -> Json:
    if not params.get("file") and not params.get("external_id"):
        raise invalid_arguments("either file or external_id must be given")
    record = _remote_by(context, file=str(params.get("file")), external_id=str(params.get("external_id")))
    if record is None:
        raise ApiError("file_not_found")
    return record


def _remote_by(context: WorkspaceContext, file: str = "", external_id: str = "") -> Json | None:
    for record in context.workspace.files.values():
        if record["mode"] == "external" and (record["id"] == file or record["external_id"] == external_id):
            return record
    return None


CALLS, READ, WRITE, SHARE = (
    ("calls:write",),
    ("remote_files:read",),
    ("remote_files:write",),
    ("remote_files:share",),
)
METHODS = {
    "calls.add": Method(add_call, CALLS),
    "calls.info": Method(call_info, ("calls:read",)),
    "calls.update": Method(update_call, CALLS),
    "calls.end": Method(end_call, CALLS),
    "calls.participants.add": Method(add_participants, CALLS),
    "calls.participants.remove": Method(remove_participants, CALLS),
    "files.remote.add": Method(add_remote, WRITE, per_minute=20),
    "files.remote.info": Method(remote_info, READ, per_minute=20),
    "files.remote.list": Method(list_remote, READ, per_minute=20),
    "files.remote.update": Method(update_remote, WRITE, per_minute=20),
    "files.remote.remove": Method(remove_remote, WRITE, per_minute=20),
    "files.remote.share": Method(share_remote, SHARE, per_minute=20),
}
