"""A Slack export's public channels: one document per channel and month, one section per thread.

Private channels and direct messages are in some exports too: they are left out, whoever adds the file.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.archive import members
from rag.ingest.readers.reader import Text

NOISE = {"channel_join", "channel_leave", "channel_topic", "channel_purpose", "channel_name", "bot_add"}
_DAY = re.compile(r"(?P<channel>[^/]+)/(?P<month>\d{4}-\d{2})-\d{2}\.json$")
_MARK = re.compile(r"<([@#!]?)([^>|]+)(?:\|([^>]*))?>")
Message = Mapping[str, Any]


def is_slack_export(names: list[str]) -> bool:
    """Whether these are the files of a workspace export."""
    return "channels.json" in names and "users.json" in names


def read_slack(path: Path) -> Iterator[Text]:
    """A document by channel and month; RagError when a file of it is no JSON."""
    channels: set[str] = set()
    people: dict[str, str] = {}
    months: dict[tuple[str, str], list[Message]] = {}
    for member in members(path):
        if member.name == "channels.json":
            channels = {str(channel["name"]) for channel in _json(member.path, member.name)}
        elif member.name == "users.json":
            people = {str(user["id"]): _name(user) for user in _json(member.path, member.name)}
        elif day := _DAY.search(member.name):
            key = (day["channel"], day["month"])
            months.setdefault(key, []).extend(_json(member.path, member.name))
    for (channel, month), messages in sorted(months.items()):
        if channel in channels and (sections := _sections(messages, people)):
            title = f"#{channel}, {month}"
            text = f"# {title}\n\n" + "\n\n".join(sections)
            yield Text(f"{channel}/{month}", title, text)


def _json(path: Path, name: str) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RagError(f"is no sound Slack export: {name} cannot be read. Export it again.") from error
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _name(user: Message) -> str:
    profile = user.get("profile") or {}
    return str(profile.get("real_name") or user.get("real_name") or user.get("name") or user["id"])


def _sections(messages: list[Message], people: Mapping[str, str]) -> list[str]:
    threads: dict[str, list[Message]] = {}
    remarks = [m for m in messages if m.get("subtype") not in NOISE and str(m.get("text") or "").strip()]
    for message in sorted(remarks, key=lambda m: str(m.get("ts") or "")):
        threads.setdefault(str(message.get("thread_ts") or message.get("ts")), []).append(message)
    return [_section(thread, people) for thread in threads.values()]


def _section(thread: list[Message], people: Mapping[str, str]) -> str:
    first = _text(thread[0], people)
    try:
        day = datetime.fromtimestamp(float(thread[0].get("ts") or 0), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        day = "undated"
    opening = " ".join(first.split())[:80].strip("#* ")
    lines = [f"{people.get(str(m.get('user')), 'Someone')}: {_text(m, people)}" for m in thread]
    return f"## {day} {opening}\n\n" + "\n\n".join(lines)


def _text(message: Message, people: Mapping[str, str]) -> str:
    """Slack's markup as a person reads it; headings are taken apart, so that no message starts a section."""

    def plain(match: re.Match[str]) -> str:
        sign, target, label = match[1], match[2], match[3]
        if sign == "@":
            return "@" + people.get(target, label or "someone")
        return ("#" if sign == "#" else "@" if sign == "!" else "") + (label or target)

    text = html.unescape(_MARK.sub(plain, str(message["text"])))
    return re.sub(r"(?m)^#", r"\\#", text)
