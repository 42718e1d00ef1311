"""A Slack message as terminal text, made from exactly the payload that Slack's API received."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Block = Mapping[str, Any]

LINK = re.compile(r"<((?:https?|mailto)[^|>]*)\|([^>]*)>")
BARE_LINK = re.compile(r"<((?:https?|mailto):[^>]*)>")


def plain(mrkdwn: str) -> str:
    """Slack's mrkdwn without its link syntax and entities: `<url|label>` reads `label (url)`."""
    text = LINK.sub(lambda m: m[2] if m[2] == m[1] else f"{m[2]} ({m[1]})", mrkdwn)
    return html.unescape(BARE_LINK.sub(r"\1", text))


def text_of(item: Any) -> str:
    """The words of a text object, an element or a plain string; empty when there are none."""
    if isinstance(item, str):
        return plain(item)
    if isinstance(item, Mapping):
        inner = item.get("text", item.get("alt_text", ""))
        return text_of(inner)
    return ""


def button_label(element: Block) -> str:
    return f"[{text_of(element)}]" if element.get("type") == "button" else text_of(element.get("placeholder"))


def rich_text_lines(element: Block) -> list[str]:
    """One rich_text element (section, list, quote, preformatted) as lines."""
    parts = element.get("elements", [])
    if element.get("type") == "rich_text_list":
        return [f"• {' '.join(rich_text_lines(part))}" for part in parts]
    joined = "".join(part.get("text") or part.get("url") or f"@{part.get('user_id', '')}" for part in parts)
    mark = "> " if element.get("type") == "rich_text_quote" else ""
    return [mark + line for line in joined.splitlines()]


def cell_text(cell: Any) -> str:
    if isinstance(cell, Mapping) and cell.get("type") == "rich_text":
        return " ".join(line for part in cell["elements"] for line in rich_text_lines(part))
    return text_of(cell)


def table_lines(block: Block) -> list[str]:
    """A table block with its columns aligned."""
    rows = [[cell_text(cell) for cell in row] for row in block.get("rows", [])]
    if not rows:
        return []
    widths = [max(len(row[i]) if i < len(row) else 0 for row in rows) for i in range(max(map(len, rows)))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in rows]


def section_lines(block: Block) -> list[str]:
    lines = text_of(block.get("text")).splitlines()
    for field in block.get("fields", []):
        lines += [f"  {line}" for line in text_of(field).splitlines()]
    accessory = block.get("accessory")
    return [*lines, button_label(accessory)] if accessory else lines


def image_lines(block: Block) -> list[str]:
    return [f"[image] {text_of(block.get('title')) or block.get('alt_text', '')}"]


RENDER: dict[str, Callable[[Block], list[str]]] = {
    "header": lambda b: [text_of(b.get("text")).upper()],
    "section": section_lines,
    "divider": lambda b: ["─" * 40],
    "context": lambda b: ["  ".join(text_of(element) for element in b.get("elements", []))],
    "actions": lambda b: ["  ".join(button_label(element) for element in b.get("elements", []))],
    "context_actions": lambda b: ["[👍] [👎]"],
    "markdown": lambda b: plain(b.get("text", "")).splitlines(),
    "rich_text": lambda b: [line for part in b.get("elements", []) for line in rich_text_lines(part)],
    "table": table_lines,
    "image": image_lines,
    "alert": lambda b: [f"⚠ {text_of(b.get('text'))}"],
}


def message_lines(blocks: Iterable[Block] | None, text: str = "") -> list[str]:
    """Lines for a message: its blocks in order, or `text` where there are none or none is known."""
    lines = [
        line for block in blocks or () for line in RENDER.get(block.get("type", ""), lambda b: [])(block)
    ]
    return [line for line in lines if line.strip()] or plain(text).splitlines()
