"""A Slack export's public channels: one document per channel and month, one section per conversation.

Some exports also contain private channels and direct messages: they are always left out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from rag.errors import RagError
from rag.ingest.archive import members
from rag.ingest.readers.conversations import Conversation, group
from rag.ingest.readers.conversations import Message as Line
from rag.ingest.readers.reader import Text

NOISE = {"channel_join", "channel_leave", "channel_topic", "channel_purpose", "channel_name", "channel_archive",
         "channel_unarchive", "bot_add", "bot_remove", "pinned_item", "tombstone", "reminder_add", "group_join"}  # fmt: skip
MAX_HEADING = 120
_DAY = re.compile(r"(?P<channel>[^/]+)/(?P<month>\d{4}-\d{2})-\d{2}\.json$")
_MARK = re.compile(r"<([@#!]?)([^>|]+)(?:\|([^>]*))?>")
Message = Mapping[str, Any]


def is_slack_export(names: list[str]) -> bool:
    """Whether these are the files of a workspace export, at the top or below one folder."""
    return _top(names) is not None


def _top(names: list[str]) -> str | None:
    """The folder that holds the lists of channels and people: "" for the top, None for no export."""
    for name in names:
        place = PurePosixPath(name)
        if place.name == "channels.json" and len(place.parts) <= 2 and "__MACOSX" not in place.parts:
            folder = "" if len(place.parts) == 1 else f"{place.parent}/"
            if f"{folder}users.json" in names:
                return folder
    return None


def read_slack(path: Path) -> Iterator[Text]:
    """A document by channel and month; RagError when a file of it is no JSON."""
    channels: set[str] = set()
    people: dict[str, str] = {}
    channel_messages: dict[str, list[Message]] = {}
    for member in members(path):
        name = PurePosixPath(member.name).name
        depth = len(PurePosixPath(member.name).parts)
        if name == "channels.json" and depth <= 2:
            channels = {str(channel.get("name")) for channel in _json(member.path, member.name)}
        elif name == "users.json" and depth <= 2:
            people = {str(user.get("id")): _name(user) for user in _json(member.path, member.name)}
        elif day := _DAY.search(member.name):
            channel_messages.setdefault(day["channel"], []).extend(_json(member.path, member.name))
    for channel in sorted(channels & channel_messages.keys()):
        yield from _months(channel, channel_messages[channel], people)


def _months(channel: str, messages: list[Message], people: Mapping[str, str]) -> Iterator[Text]:
    """A channel's conversations, each in the month of its first message."""
    lines = [line for message in _as_they_are_now(messages) if (line := _line(message, people))]
    months: dict[str, list[str]] = {}
    for conversation in group(lines):
        day = _day(conversation.messages[0].at)
        months.setdefault(day[:7], []).append(_section(conversation, day))
    for month, sections in sorted(months.items()):
        title = f"#{channel}, {month}"
        yield Text(f"{channel}/{month}", title, f"# {title}\n\n" + "\n\n".join(sections))


def _as_they_are_now(messages: list[Message]) -> Iterator[Message]:
    """The messages with the words of their last edit, without those that were deleted: some exports list edits as events."""
    edits: dict[str, Message] = {}
    deletions = set()
    for message in messages:
        inner = message.get("message")
        if message.get("subtype") == "message_changed" and isinstance(inner, dict):
            edits[str(inner.get("ts"))] = inner
        elif message.get("subtype") == "message_deleted":
            deletions.add(str(message.get("deleted_ts")))
    for message in messages:
        own = str(message.get("ts"))
        if message.get("subtype") not in ("message_changed", "message_deleted") and own not in {
            *edits,
            *deletions,
        }:
            yield message
    yield from (message for own, message in edits.items() if own not in deletions)


def _json(path: Path, name: str) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RagError(f"is no sound Slack export: {name} cannot be read. Export it again.") from error
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _name(user: Message) -> str:
    profile = user.get("profile") or {}
    return str(profile.get("real_name") or user.get("real_name") or user.get("name") or user["id"])


def _line(message: Message, people: Mapping[str, str]) -> Line | None:
    """A message as a person reads it; None for system messages and messages without words."""
    if message.get("subtype") in NOISE:
        return None
    text = _text(_raw_text(message), people)
    if not text.strip():
        return None
    try:
        at = float(message.get("ts") or 0)
    except (TypeError, ValueError):
        at = 0.0
    user, profile = (
        str(message.get("user") or ""),
        message.get("user_profile") or message.get("bot_profile") or {},
    )
    name = (
        people.get(user)
        or profile.get("real_name")
        or profile.get("name")
        or message.get("username")
        or "Someone"
    )
    return Line(at, str(name), text, str(message.get("thread_ts") or message.get("ts") or ""))


def _raw_text(message: Message) -> str:
    """The words of a message, those of its attachments and the names of its files."""
    attachments = [one for one in message.get("attachments") or () if isinstance(one, dict)]
    extra = [
        "\n".join(str(one[key]) for key in ("pretext", "title", "text") if one.get(key))
        or str(one.get("fallback") or "")
        for one in attachments
    ]
    files = [
        "\n".join(
            part for part in (f"(file: {one.get('title') or one.get('name')})", _file_text(one)) if part
        )
        for one in message.get("files") or ()
        if isinstance(one, dict) and (one.get("title") or one.get("name"))
    ]
    words = str(message.get("text") or "")
    if not words.strip():  # apps and the newer editor leave them in blocks alone
        words = "\n".join(_block_lines(message.get("blocks")))
    return "\n".join(part for part in [words, *extra, *files] if part.strip())


def _file_text(file: Message) -> str:
    """The words of a text that was posted as a file, as far as the export has them."""
    kind = str(file.get("mimetype") or "")
    words = file.get("plain_text") or (file.get("preview") if kind.startswith("text/") else "")
    return str(words or "")


def _block_lines(blocks: Any) -> Iterator[str]:
    """The words of a message's blocks, a line for each paragraph, item of a list, field or quote."""
    for block in blocks if isinstance(blocks, list) else ():
        if not isinstance(block, dict):
            continue
        inner = [block.get(name) for name in ("text", "title")] + list(block.get("fields") or ())
        yield from (
            str(one["text"]) for one in inner if isinstance(one, dict) and isinstance(one.get("text"), str)
        )
        elements = [one for one in block.get("elements") or () if isinstance(one, dict)]
        if any("elements" in one for one in elements):
            yield from _block_lines(elements)
        elif words := "".join(map(_element_text, elements)).strip():
            yield f"- {words}" if block.get("style") in ("bullet", "ordered") else words


def _element_text(element: Message) -> str:
    """A piece of a paragraph, in the markup that `_text` reads."""
    sign = {"user": "@", "channel": "#", "usergroup": "!subteam^"}.get(str(element.get("type")))
    if sign:
        return f"<{sign}{element.get(str(element.get('type')) + '_id')}>"
    return str(element.get("text") or element.get("url") or element.get("name") or "")


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).date().isoformat() if at else "undated"
    except (ValueError, OverflowError, OSError):
        return "undated"


def _section(conversation: Conversation, day: str) -> str:
    """The messages below the question that opens them, which each of their passages carries as heading."""
    opening = " ".join(conversation.first_question.text.split()).strip("#* ")
    if len(opening) > MAX_HEADING:
        opening = opening[:MAX_HEADING].rsplit(" ", 1)[0] + " …"
    lines = [f"{line.author}: {line.text}" for line in conversation.messages]
    return f"## {day} {opening}\n\n" + "\n\n".join(lines)


def _text(raw: str, people: Mapping[str, str]) -> str:
    """Slack's markup as a person reads it; headings are taken apart, so that no message starts a section."""

    def plain(match: re.Match[str]) -> str:
        sign, target, label = match[1], match[2], match[3]
        if sign == "@":
            return "@" + people.get(target, label or "someone")
        if sign == "!" and target.startswith("date^"):
            return label or ""
        return ("#" if sign == "#" else "@" if sign == "!" else "") + (label or target).lstrip(
            "@#" if sign == "!" else ""
        )

    return re.sub(r"(?m)^#", r"\\#", html.unescape(_MARK.sub(plain, raw)))
