"""Slack's limits: checks payloads against them, and splits long texts without loss.

Source: ../shared/reference/slack.md. The SDK leaves dict blocks unchecked, so every payload passes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.errors import BotError

Block = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_TEXT = 40_000
ALL_BLOCK_TEXT = 13_200
SECTION_TEXT = 3000
TABLE_TEXT = 10_000
PRIVATE_METADATA = 3000
LENGTHS = {"header": 150, "button": 75, "value": 2000, "option": 75, "label": 2000, "action_id": 255}
VIEW_LENGTHS = {"title": 24, "submit": 24, "close": 24}
COUNTS = {"context": 10, "actions": 25, "fields": 10, "options": 100, "table_rows": 100, "table_columns": 20}
UNBREAKABLE = re.compile(r"<[^<>\n]{1,2000}>|&(?:amp|lt|gt);")


class TooLarge(BotError):
    """The payload breaks Slack's limits; the message names each of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("Slack would refuse this message: " + "; ".join(problems))


def validate_message(blocks: Sequence[Block], text: str = "") -> list[Block]:
    """Returns the blocks if a message of them fits Slack's limits; else raises TooLarge."""
    if problems := message_problems(blocks, text):
        raise TooLarge(problems)
    return list(blocks)


def validate_view(view: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the modal or home if it fits Slack's limits; else raises TooLarge."""
    if problems := view_problems(view):
        raise TooLarge(problems)
    return dict(view)


def message_problems(blocks: Sequence[Block], text: str = "") -> list[str]:
    """A sentence for every limit that a message breaks."""
    problems = list(_over("blocks", len(blocks), MESSAGE_BLOCKS))
    problems += _over("text", len(text), MESSAGE_TEXT)
    problems += _over("all block text", sum(len(t) for b in blocks for t in texts_of(b)), ALL_BLOCK_TEXT)
    return problems + _blocks_problems(blocks)


def view_problems(view: Mapping[str, Any]) -> list[str]:
    """A sentence for every limit that a modal or home breaks."""
    blocks = view.get("blocks", [])
    problems = list(_over("view blocks", len(blocks), VIEW_BLOCKS))
    problems += _over("private_metadata", len(view.get("private_metadata", "")), PRIVATE_METADATA)
    problems += _over("callback_id", len(view.get("callback_id", "")), 255)
    for name, limit in VIEW_LENGTHS.items():
        problems += _over(f"view {name}", len(view.get(name, {}).get("text", "")), limit)
    if any(block.get("type") == "input" for block in blocks) and "submit" not in view:
        problems.append("a view with inputs needs a submit button")
    return problems + _blocks_problems(blocks)


def texts_of(node: Any) -> Iterator[str]:
    """Every visible string in a block, for the limit on all text of a message."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts_of(value)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from texts_of(item)


def words_of(blocks: Sequence[Block]) -> str:
    """The text of blocks without buttons and menus, for a message whose blocks Slack refuses."""
    return "\n".join(text for block in blocks if block.get("type") != "actions" for text in texts_of(block))


def split_text(text: str, limit: int = SECTION_TEXT) -> list[str]:
    """Pieces of at most `limit` characters whose concatenation is `text`; none empty.

    Cuts after a paragraph, else a line, a sentence, a word; never inside a link or an entity.
    """
    pieces = []
    while len(text) > limit:
        cut = _cut(text, limit)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text] if text else pieces


def split_blocks(blocks: Sequence[Block]) -> list[list[Block]]:
    """Splits blocks into messages, each within 50 blocks, one table and the limit on all text."""
    messages: list[list[Block]] = [[]]
    size = 0
    for block in blocks:
        weight = sum(map(len, texts_of(block)))
        full = len(messages[-1]) >= MESSAGE_BLOCKS or size + weight > ALL_BLOCK_TEXT
        second_table = block["type"] == "table" and any(b["type"] == "table" for b in messages[-1])
        if messages[-1] and (full or second_table):
            messages.append([])
            size = 0
        messages[-1].append(block)
        size += weight
    return [message for message in messages if message]


def _cut(text: str, limit: int) -> int:
    window = text[:limit]
    for mark in ("\n\n", "\n", ". ", " "):
        at = window.rfind(mark)
        if at > limit // 3:
            return _outside(text, at + len(mark), limit)
    return _outside(text, limit, limit)


def _outside(text: str, cut: int, limit: int) -> int:
    """The cut, moved before a link or entity that it would break (unless that leaves nothing)."""
    for match in UNBREAKABLE.finditer(text, max(0, cut - 2001), min(len(text), limit + 2001)):
        if match.start() < cut < match.end():
            return match.start() or cut
    return cut


def _over(name: str, size: int, limit: int) -> list[str]:
    return [f"{name} {size} > {limit}"] if size > limit else []


def _blocks_problems(blocks: Sequence[Block]) -> list[str]:
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    problems = [] if len(ids) == len(set(ids)) else ["two blocks share a block_id"]
    problems += [] if sum(b.get("type") == "table" for b in blocks) <= 1 else ["more than one table"]
    for block in blocks:
        problems += _block_problems(block)
    return problems


def _block_problems(block: Block) -> list[str]:
    kind = block.get("type", "?")
    problems = _over("block_id", len(block.get("block_id", "")), 255)
    if kind == "section":
        problems += _text_problems("section", block.get("text"), SECTION_TEXT)
        problems += _over("fields", len(block.get("fields", [])), COUNTS["fields"])
        for item in block.get("fields", []):
            problems += _text_problems("field", item, 2000)
        problems += _element_problems(block.get("accessory", {}))
    elif kind == "header":
        problems += _text_problems("header", block.get("text"), LENGTHS["header"])
    elif kind in ("context", "actions"):
        problems += _over(kind, len(block.get("elements", [])), COUNTS[kind])
        problems += [] if block.get("elements") else [f"{kind} is empty"]
    elif kind == "input":
        problems += _text_problems("label", block.get("label"), LENGTHS["label"])
        problems += _element_problems(block.get("element", {}))
    elif kind == "table":
        problems += _table_problems(block)
    elif kind == "image":
        problems += _text_problems("alt_text", {"text": block.get("alt_text", "")}, 2000)
    for element in block.get("elements", []):
        problems += _element_problems(element)
    return problems


def _text_problems(name: str, item: Any, limit: int) -> list[str]:
    if item is None:
        return [] if name == "section" else [f"{name} has no text"]
    size = len(item.get("text", ""))
    return _over(name, size, limit) if size else [f"{name} text is empty"]


def _element_problems(element: Mapping[str, Any]) -> list[str]:
    if not element:
        return []
    problems = _over("action_id", len(element.get("action_id", "")), LENGTHS["action_id"])
    if element.get("type") in ("mrkdwn", "plain_text"):
        return problems + _text_problems("element", element, SECTION_TEXT)
    if element.get("type") == "button":
        problems += _text_problems("button", element.get("text"), LENGTHS["button"])
        problems += _over("value", len(element.get("value", "")), LENGTHS["value"])
    options = element.get("options")
    if options is not None:
        problems += _over("options", len(options), COUNTS["options"])
        problems += [] if options else ["a select has no options"]
        for option in options:
            problems += _text_problems("option", option.get("text"), LENGTHS["option"])
    return problems


def _table_problems(block: Block) -> list[str]:
    rows = block.get("rows", [])
    problems = _over("table rows", len(rows), COUNTS["table_rows"])
    problems += _over("table columns", max((len(r) for r in rows), default=0), COUNTS["table_columns"])
    problems += [] if rows and all(len(r) == len(rows[0]) for r in rows) else ["table rows differ in length"]
    cells = [cell for row in rows for cell in row]
    problems += ["a table cell is empty"] if any(cell.get("text") == "" for cell in cells) else []
    return problems + _over("table text", sum(len(t) for t in texts_of(block)), TABLE_TEXT)
