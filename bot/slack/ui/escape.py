"""Escapes texts of people and models for Slack, so that they mention nobody, link nothing and hide nothing.

Covers `<!channel>`, `<!here>`, `<@U...>`, `<#C...>`, `<url|label>`, entities, control and bidi characters.
Does not cover `@channel` as plain text: Slack links that only with `link_names`, which we never send.
"""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import quote, urlsplit

INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
REFERENCE = re.compile(r"<([@#!]?)([^<>|\s]+)(?:\|([^<>]*))?>")


def visible(text: str) -> str:
    """The text without control, zero-width and direction-changing characters, in NFC."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", INVISIBLE.sub("", plain))


def escape(text: str) -> str:
    """Escapes text for a mrkdwn field: `&`, `<` and `>` become entities."""
    return html.escape(visible(text), quote=False)


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, cut at a word with an ellipsis; not yet escaped."""
    flat = " ".join(visible(text).split())
    if len(flat) <= limit:
        return flat
    head = flat[: limit - 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > limit * 0.6 else head).rstrip() + "…"


def link(url: str | None, label: str) -> str:
    """`<url|label>` for an http(s) address, else the escaped label alone."""
    safe_label = escape(label).replace("|", "¦")
    parts = urlsplit(url or "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return safe_label
    return f"<{quote(url or '', safe=':/?#[]@!$&()*+,;=%~-._')}|{safe_label}>"


def question_of(text: str, bot_user: str | None = None) -> str:
    """The text as the person typed it: removes the bot's mention and replaces references by their labels."""

    def words(match: re.Match[str]) -> str:
        kind, target, label = match.groups()
        if kind == "@" and target == bot_user:
            return " "
        if kind == "!":
            return f"@{(label or target.split('^')[0]).lstrip('@')}"
        if kind:
            return f"{kind}{label or target}"
        return f"{label} ({target})" if label and label not in target else target.removeprefix("mailto:")

    return visible(html.unescape(REFERENCE.sub(words, text))).strip()
