"""How one Web API method is described, and the checks that methods share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.playground.block_kit.blocks import TOTAL_TEXT, check_blocks, total_text
from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, Channel
from bot.playground.state.workspace import Json

JSON_FIELDS = {
    "attachments", "blocks", "changes", "channel_ids", "chunks", "criteria", "document_content", "files",
    "loading_messages", "message", "metadata", "prompts", "unfurls", "user_ids", "users", "view",
}  # fmt: skip
TREES = JSON_FIELDS | {"args", "outputs", "user_auth_blocks"}
LISTS = ("attachments", "blocks", "chunks", "files")
METADATA_MOST = 8_192
ATTACHMENTS_MOST = 100
PREFIX = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}


@dataclass(frozen=True)
class Method:
    """A Web API method: its code, any one of the `scopes` it takes, its token ("bot" or "app") and calls a
    minute."""

    run: Callable[[WorkspaceContext, Json], Json]
    scopes: tuple[str, ...] = ()
    token: str = "bot"  # noqa: S105  (a kind of token, not one)
    per_minute: int = 50


def need(params: Json, *names: str) -> None:
    """Slack's refusal when a required argument is missing or empty."""
    for name in names:
        if params.get(name) in (None, ""):
            if name == "channel":
                raise ApiError("channel_not_found")
            raise invalid_arguments(f"missing required field: {name}")


def parse_json_fields(params: Json) -> Json:
    """Form calls carry lists and objects as JSON text; a string that is no JSON stays as it is."""
    fields = dict(params)
    for name in JSON_FIELDS & fields.keys():
        if isinstance(fields[name], str) and fields[name][:1] in "[{":
            try:
                fields[name] = json.loads(fields[name])
            except ValueError as error:
                raise ApiError("invalid_json") from error
    return fields


def parse_params(params: Json) -> Json:
    """The arguments as methods expect them: text and numbers, and lists and objects only where Slack takes them."""
    fields = parse_json_fields(params)
    for name, value in fields.items():
        if isinstance(value, dict | list) and name not in TREES:
            raise invalid_arguments(f"must be a string [json-pointer:/{name}]")
        if name in LISTS and not isinstance(value, list | str | None):
            raise invalid_arguments(f"must be an array [json-pointer:/{name}]")
        if isinstance(value, int | float) and not isinstance(value, bool):
            fields[name] = str(value)
    return fields


def names_in(value: Any) -> list[str]:
    """Ids as clients send them: a list, or one text with commas; empty for anything else."""
    if isinstance(value, list):
        return [str(one) for one in value if one not in (None, "")]
    return [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else []


def flag(value: Any) -> bool:
    """A boolean as the SDK sends it: true, "true", "1" or 1."""
    return value in (True, "true", "True", "1", 1)


def writable(context: WorkspaceContext, reference: Any) -> Channel:
    """A conversation the app may post in; is_archived, channel_not_found or not_in_channel otherwise."""
    channel = context.workspace.channel_of(str(reference or ""))
    if channel.is_archived:
        raise ApiError("is_archived")
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel" if channel.kind == "channel" else "channel_not_found")
    return channel


def readable(context: WorkspaceContext, reference: Any, what: str) -> Channel:
    """A conversation the app may read; `what` is "history" or "read", the scope that its kind needs."""
    channel = context.workspace.channel_of(str(reference or ""))
    scope = f"{PREFIX[channel.kind]}:{what}"
    if scope not in context.workspace.app.scopes:
        raise missing_scope(context, scope)
    if BOT_USER not in channel.members and (what == "history" or channel.kind != "channel"):
        raise ApiError("not_in_channel" if channel.kind == "channel" else "channel_not_found")
    return channel


def missing_scope(context: WorkspaceContext, scope: str) -> ApiError:
    """Slack's refusal that names the scope that is needed and those that the app has."""
    return ApiError("missing_scope", needed=scope, provided=",".join(sorted(context.workspace.app.scopes)))


def check_content(params: Json, *, text_most: int = 40_000) -> None:
    """A message's text, blocks and attachments within Slack's limits, or Slack's error."""
    text, blocks = params.get("text") or "", params.get("blocks")
    markdown = params.get("markdown_text")
    if not isinstance(text, str) or not isinstance(markdown, str | None):
        raise invalid_arguments("must be a string [json-pointer:/text]")
    attachments = params.get("attachments") or []
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise ApiError("invalid_attachments")
    if markdown is not None and (blocks or text):
        raise ApiError("markdown_text_conflict")
    if not text and not blocks and not params.get("attachments") and not markdown:
        raise ApiError("no_text")
    if len(attachments) > ATTACHMENTS_MOST:
        raise ApiError("too_many_attachments")
    if len(text) > text_most:
        raise ApiError("msg_too_long")
    if markdown and len(markdown) > 12_000:
        raise ApiError("msg_too_long")
    if blocks is not None:
        check_message_blocks(blocks)


def check_message_blocks(blocks: Any) -> None:
    """invalid_blocks with what is wrong and where; msg_blocks_too_long past the total of all block text."""
    if isinstance(blocks, str):
        raise ApiError("invalid_blocks_format")
    problems = check_blocks(blocks, "message")
    if problems:
        raise invalid_arguments(*problems, code="invalid_blocks")
    if total_text(blocks) > TOTAL_TEXT:
        raise ApiError("msg_blocks_too_long")


def check_metadata(metadata: Any) -> None:
    """Message metadata is {event_type, event_payload}."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise ApiError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise ApiError("invalid_metadata_schema")
    if len(json.dumps(metadata)) > METADATA_MOST:
        raise ApiError("metadata_too_large")


def named_blocks(context: WorkspaceContext, blocks: Any) -> Any:
    """Blocks with the ids that Slack fills in: a block_id each, an action_id on each element."""
    if not isinstance(blocks, list):
        return blocks
    return [_with_id(context, block) for block in blocks]


def _with_id(context: WorkspaceContext, block: Json) -> Json:
    copy = {**block}
    copy.setdefault("block_id", context.workspace.new_id("b")[2:7])
    for key in ("elements", "actions"):
        if isinstance(copy.get(key), list) and copy["type"] != "rich_text":
            copy[key] = [_named_element(context, item) for item in copy[key]]
    for key in ("accessory", "element"):
        if isinstance(copy.get(key), dict):
            copy[key] = _named_element(context, copy[key])
    if isinstance(copy.get("child_blocks"), list):
        copy["child_blocks"] = named_blocks(context, copy["child_blocks"])
    return copy


def _named_element(context: WorkspaceContext, item: Json) -> Json:
    passive = {"image", "mrkdwn", "plain_text", "card"}
    if item.get("type") in passive or "action_id" in item:
        return item
    return {**item, "action_id": context.workspace.new_id("a")[2:7]}
