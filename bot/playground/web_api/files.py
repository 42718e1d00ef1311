"""files.*: the three-step upload, the record of a file, and sharing it into a conversation."""

from __future__ import annotations

import mimetypes
import struct
from typing import Any

from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state import posting
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json, Workspace, wire
from bot.playground.web_api.calls import Method, named_blocks, need, writable
from bot.playground.web_api.streams import clear_status


def get_upload_url(context: WorkspaceContext, params: Json) -> Json:
    """files.getUploadURLExternal: an id and where to POST the bytes."""
    need(params, "filename", "length")
    try:
        length = int(params["length"])
    except (TypeError, ValueError) as error:
        raise invalid_arguments("must be a number [json-pointer:/length]") from error
    if length < 1:
        raise invalid_arguments("must be greater than 0 [json-pointer:/length]")
    record = new_file(context.workspace, str(params["filename"]), length, BOT_USER, params.get("alt_txt"))
    return {"upload_url": f"{context.workspace.base_url}/upload/v1/{record['id']}", "file_id": record["id"]}


def complete_upload(context: WorkspaceContext, params: Json) -> Json:
    """files.completeUploadExternal: check the bytes arrived, name the files, share them."""
    files = params.get("files")
    if not isinstance(files, list) or not files:
        raise invalid_arguments("missing required field: files")
    records = [_upload_of(context, item) for item in files]
    channel_ids = params.get("channel_id") or params.get("channels") or ""
    channels = [writable(context, name) for name in str(channel_ids).split(",") if name]
    before = [wire(record) for record in records]
    for channel in channels:
        share(context, channel, records, _comment(context, params), params.get("thread_ts"))
    return {"files": before}


def info(context: WorkspaceContext, params: Json) -> Json:
    """files.info."""
    need(params, "file")
    return {
        "file": wire(_file_of(context, params["file"])),
        "comments": [],
        "response_metadata": {"next_cursor": ""},
    }


def listing(context: WorkspaceContext, params: Json) -> Json:
    """files.list, newest first; of one channel or person where that is asked for."""
    records = [wire(record) for record in context.workspace.files.values() if record["_complete"]]
    if channel := params.get("channel"):
        records = [r for r in records if channel in (*r["channels"], *r["groups"], *r["ims"])]
    if user := params.get("user"):
        records = [record for record in records if record["user"] == user]
    records.reverse()
    count, number = _whole(params.get("count"), 100), _whole(params.get("page"), 1)
    pages = max(1, -(-len(records) // count))
    paging = {"count": count, "total": len(records), "page": number, "pages": pages}
    return {"files": records[(number - 1) * count : number * count], "paging": paging}


def _whole(value: Any, default: int) -> int:
    """A count or a page's number: at least one."""
    text = str(value or default)
    return max(1, int(text)) if text.isdecimal() else default


def delete(context: WorkspaceContext, params: Json) -> Json:
    """files.delete: only the app's own."""
    need(params, "file")
    record = _file_of(context, params["file"])
    if record["user"] != BOT_USER:
        raise ApiError("cant_delete_file")
    context.workspace.files.pop(record["id"])
    context.workspace.store.drop("file", record["id"])
    context.workspace.keep_record("file deletion", record["id"], {"at": context.workspace.clock.now()})
    event = {"type": "file_deleted", "file_id": record["id"], "event_ts": context.workspace.new_ts()}
    context.outbox.emit(event)
    return {}


def new_file(workspace: Workspace, name: str, size: int, user: str, alt: Any = None) -> Json:
    """A file's record before its bytes arrive."""
    file_id = workspace.new_id("F")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    path = f"{workspace.base_url}/files-pri/{workspace.team.id}-{file_id}"
    record: Json = {
        "id": file_id,
        "created": int(float(workspace.new_ts())),
        "timestamp": int(float(workspace.new_ts())),
        "name": name,
        "title": name,
        "mimetype": kind,
        "filetype": name.rsplit(".", 1)[-1].lower() if "." in name else "binary",
        "pretty_type": kind.split("/")[-1].upper(),
        "user": user,
        "user_team": workspace.team.id,
        "editable": False,
        "size": size,
        "mode": "hosted",
        "is_external": False,
        "is_public": False,
        "url_private": f"{path}/{name}",
        "url_private_download": f"{path}/download/{name}",
        "permalink": f"{workspace.base_url}/files/{user}/{file_id}/{name}",
        "shares": {},
        "channels": [],
        "groups": [],
        "ims": [],
        "alt_txt": alt or "",
        "_complete": False,
    }
    workspace.keep_file(record)
    return record


def keep_content(workspace: Workspace, record: Json, content: bytes) -> None:
    """Store the bytes; the record's size becomes what really arrived."""
    workspace.store.put_content(record["id"], content)
    record["size"] = len(content)
    size = image_size(content)
    if size:
        record["original_w"], record["original_h"] = size
    workspace.keep_file(record)


def share(
    context: WorkspaceContext,
    channel: Channel,
    records: list[Json],
    message: Json,
    thread_ts: str | None = None,
) -> Json:
    """Post a message that carries the files."""
    if thread_ts:
        message["thread_ts"] = str(thread_ts)
    message["ts"] = context.workspace.new_ts()
    for record in records:
        record["_complete"] = True
        where = "public" if channel.kind == "channel" else "private"
        entry = {"ts": message["ts"], **({"thread_ts": thread_ts} if thread_ts else {})}
        record["shares"].setdefault(where, {}).setdefault(channel.id, []).append(entry)
        key = {"channel": "channels", "group": "groups", "mpim": "groups", "im": "ims"}[channel.kind]
        record[key] = [*record[key], channel.id]
        context.workspace.keep_file(record)
    message |= {"files": [wire(record) for record in records], "upload": False}
    if "bot_id" not in message:
        message["subtype"] = "file_share"
    posting.post(context, channel, message)
    for record in records:
        event = {"type": "file_shared", "file_id": record["id"], "file": {"id": record["id"]}}
        event |= {
            "user_id": message["user"],
            "channel_id": channel.id,
            "event_ts": context.workspace.new_ts(),
        }
        context.outbox.emit(event)
    if "bot_id" in message:
        clear_status(context, channel, thread_ts)
    return message


def image_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, as Slack reports them; None for anything else."""
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _comment(context: WorkspaceContext, params: Json) -> Json:
    text = params.get("initial_comment") or ""
    return posting.bot_message(context.workspace, text, blocks=named_blocks(context, params.get("blocks")))


def _upload_of(context: WorkspaceContext, item: Any) -> Json:
    record = _file_of(context, (item or {}).get("id") if isinstance(item, dict) else None)
    if context.workspace.store.content(record["id"]) is None:
        raise ApiError("file_not_found")
    if item.get("title"):
        record["title"] = item["title"]
    record["_complete"] = True
    context.workspace.keep_file(record)
    return record


def _file_of(context: WorkspaceContext, file_id: Any) -> Json:
    record = context.workspace.files.get(str(file_id))
    if str(file_id) in context.workspace.records("file deletion"):
        raise ApiError("file_deleted")
    if record is None:
        raise ApiError("file_not_found")
    return record


METHODS = {
    "files.getUploadURLExternal": Method(get_upload_url, ("files:write",), per_minute=100),
    "files.completeUploadExternal": Method(complete_upload, ("files:write",), per_minute=100),
    "files.info": Method(info, ("files:read",), per_minute=100),
    "files.list": Method(listing, ("files:read",)),
    "files.delete": Method(delete, ("files:write",)),
}
