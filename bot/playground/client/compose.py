"""What a person types, as Slack encodes it: entities escaped, @names, #channels and addresses turned into
tokens."""

from __future__ import annotations

import re

from bot.playground.state.seed import Channel, User
from bot.playground.state.workspace import Json

TOKEN = re.compile(
    r"<(?:@[UW][A-Z0-9]+|#[CG][A-Z0-9]+|![a-z]+(?:\^[A-Z0-9]+)?|https?://[^>\s]+|mailto:[^>\s]+)(?:\|[^>]*)?>"
)
WORD = re.compile(r"(?<![\w<])([@#])([a-z0-9][\w.-]*)|(https?://[^\s<>]+)", re.IGNORECASE)
BROADCAST = {"here", "channel", "everyone"}


def encode(text: str, users: dict[str, User], channels: dict[str, Channel], *, labels: bool = False) -> str:
    """Escaped text with tokens; `labels` writes <@U1|maya> as slash commands with should_escape get it.

    Tokens that are already there (<@U1>) are kept, so programs may write them.
    """
    parts, last = [], 0
    for token in TOKEN.finditer(text):
        parts.append(_plain(text[last : token.start()], users, channels, labels))
        parts.append(token.group())
        last = token.end()
    parts.append(_plain(text[last:], users, channels, labels))
    return "".join(parts)


def escape(text: str) -> str:
    """The three characters that Slack escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str, users: dict[str, User], channels: dict[str, Channel], labels: bool) -> str:
    by_name = {name.lower(): user for user in users.values() for name in (user.name, user.real_name)}
    by_channel = {channel.name: channel for channel in channels.values() if channel.name}
    parts, last = [], 0
    for match in WORD.finditer(text):
        sign, name, url = match.groups()
        token, length = "", len(match.group())
        if url:
            address = url.rstrip(".,;:!?)")
            token, length = f"<{escape(address)}>", len(address)
        else:
            address = name.rstrip(".-")
            length = len(address) + 1
            token = _reference(sign, address.lower(), by_name, by_channel, labels)
        if not token:
            continue
        parts += [escape(text[last : match.start()]), token]
        last = match.start() + length
    return "".join(parts) + escape(text[last:])


def _reference(
    sign: str, name: str, users: dict[str, User], channels: dict[str, Channel], labels: bool
) -> str:
    if sign == "@" and name in users:
        return f"<@{users[name].id}|{users[name].name}>" if labels else f"<@{users[name].id}>"
    if sign == "@" and name in BROADCAST:
        return f"<!{name}>"
    if sign == "#" and name in channels:
        return f"<#{channels[name].id}|{name}>"
    return ""


def rich_text(text: str, block_id: str) -> Json:
    """The rich_text block that Slack's own client sends with a typed message."""
    elements: list[Json] = []
    last = 0
    for token in TOKEN.finditer(text):
        _add_text(elements, text[last : token.start()])
        elements.append(_element(token.group()[1:-1]))
        last = token.end()
    _add_text(elements, text[last:])
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": block_id, "elements": [section]}


def _add_text(elements: list[Json], text: str) -> None:
    if text:
        plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        elements.append({"type": "text", "text": plain})


def _element(token: str) -> Json:
    body, _, label = token.partition("|")
    if body.startswith("@"):
        return {"type": "user", "user_id": body[1:]}
    if body.startswith("#"):
        return {"type": "channel", "channel_id": body[1:]}
    if body.startswith("!"):
        return {"type": "broadcast", "range": body[1:]}
    return {"type": "link", "url": body, **({"text": label} if label else {})}
