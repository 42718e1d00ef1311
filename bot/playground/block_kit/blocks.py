"""Slack's limits on blocks, enforced as Slack does. Independent of bot/slack/ui/limits.py: this is Slack's
side.

Covers every block a message, modal or home may hold, the counts and lengths in
../shared/reference/slack.md, unique
block and action ids, and the total text. Does not fetch images or resolve mentions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.playground.block_kit.elements import (
    IN_ACTIONS,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    Problems,
    at,
    data_table,
    data_visualization,
    element,
    need,
    public_url,
    string,
    text_object,
)
from bot.playground.block_kit.shapes import shape_problems

Block = dict[str, Any]
MESSAGE_BLOCKS, SURFACE_BLOCKS = 50, 100
TOTAL_TEXT = 13_200
TASK_STATUS = {"pending", "in_progress", "complete", "error"}
ALERT_LEVELS = {"default", "info", "warning", "error", "success"}
NESTABLE = {
    "actions", "alert", "context", "divider", "file", "header", "image", "input", "markdown", "rich_text",
    "section", "table", "video", "context_actions", "card",
}  # fmt: skip


def check_blocks(blocks: Any, surface: str) -> Problems:
    """Every problem with the blocks of a "message", "modal" or "home" (empty: Slack would take them)."""
    if not isinstance(blocks, list):
        return [at("must be an array", "/blocks")]
    if problems := shape_problems(blocks, "/blocks"):
        return problems
    most = MESSAGE_BLOCKS if surface == "message" else SURFACE_BLOCKS
    if len(blocks) > most:
        problems.append(at(f"no more than {most} items allowed", "/blocks"))
    for index, block in enumerate(blocks):
        check_block(block, f"/blocks/{index}", problems, surface)
    _unique_ids(blocks, problems)
    _once_per_message(blocks, surface, problems)
    return problems


def check_block(block: Any, path: str, problems: Problems, surface: str) -> None:
    """Append what is wrong with one block."""
    if not isinstance(block, dict):
        problems.append(at("must be an object", path))
        return
    check = CHECKS.get(str(block.get("type")))
    if check is None or (block["type"] in MESSAGE_ONLY and surface != "message"):
        problems.append(at(f"unsupported type: {block.get('type')}", f"{path}/type"))
        return
    if block.get("block_id") is not None:
        string(block["block_id"], f"{path}/block_id", problems, 255)
    check(block, path, problems)


def total_text(blocks: Any) -> int:
    """Characters of all text in the blocks, as Slack counts them towards its limit on a message."""
    if isinstance(blocks, dict):
        own = blocks.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(
            total_text(value) for key, value in blocks.items() if isinstance(value, dict | list)
        )
    return sum(total_text(item) for item in blocks) if isinstance(blocks, list) else 0


def _only(block: Block, keys: set[str], path: str, problems: Problems) -> None:
    """Slack refuses what it does not know."""
    names = {"type", "block_id", *keys}
    problems += [at(f"invalid additional property: {key}", path) for key in block if key not in names]


def _section(block: Block, path: str, problems: Problems) -> None:
    _only(block, {"text", "fields", "accessory", "expand"}, path, problems)
    if block.get("text") is None and not block.get("fields"):
        problems.append(at("missing required field: text", path))
    if block.get("text") is not None:
        text_object(block["text"], f"{path}/text", problems, 3000)
    fields = block.get("fields") or []
    if len(fields) > 10:
        problems.append(at("no more than 10 items allowed", f"{path}/fields"))
    for index, field in enumerate(fields):
        text_object(field, f"{path}/fields/{index}", problems, 2000)
    if block.get("accessory") is not None:
        element(block["accessory"], f"{path}/accessory", problems, IN_SECTION)


def _header(block: Block, path: str, problems: Problems) -> None:
    text_object(block.get("text"), f"{path}/text", problems, 150, plain=True)


def _divider(block: Block, path: str, problems: Problems) -> None:
    _only(block, set(), path, problems)


def _image(block: Block, path: str, problems: Problems) -> None:
    if block.get("image_url") is None and block.get("slack_file") is None:
        problems.append(at("missing required field: image_url", path))
    if block.get("image_url") is not None:
        public_url(block["image_url"], f"{path}/image_url", problems)
    if need(block, ("alt_text",), path, problems):
        string(block["alt_text"], f"{path}/alt_text", problems, 2000)
    if block.get("title") is not None:
        text_object(block["title"], f"{path}/title", problems, 2000, plain=True)


def _list(block: Block, key: str, most: int, path: str, problems: Problems) -> list[Any]:
    items = block.get(key)
    if not isinstance(items, list) or not items:
        problems.append(at("must provide at least 1 item", f"{path}/{key}"))
        return []
    if len(items) > most:
        problems.append(at(f"no more than {most} items allowed", f"{path}/{key}"))
    return items


def _actions(block: Block, path: str, problems: Problems) -> None:
    for index, item in enumerate(_list(block, "elements", 25, path, problems)):
        element(item, f"{path}/elements/{index}", problems, IN_ACTIONS)


def _context(block: Block, path: str, problems: Problems) -> None:
    for index, item in enumerate(_list(block, "elements", 10, path, problems)):
        where = f"{path}/elements/{index}"
        if isinstance(item, dict) and item.get("type") == "image":
            element(item, where, problems, {"image"})
        else:
            text_object(item, where, problems, 2000)


def _context_actions(block: Block, path: str, problems: Problems) -> None:
    for index, item in enumerate(_list(block, "elements", 5, path, problems)):
        element(item, f"{path}/elements/{index}", problems, IN_CONTEXT_ACTIONS)


def _input(block: Block, path: str, problems: Problems) -> None:
    if need(block, ("label", "element"), path, problems):
        text_object(block["label"], f"{path}/label", problems, 2000, plain=True)
        element(block["element"], f"{path}/element", problems, IN_INPUT)
    if block.get("hint") is not None:
        text_object(block["hint"], f"{path}/hint", problems, 2000, plain=True)


def _markdown(block: Block, path: str, problems: Problems) -> None:
    string(block.get("text"), f"{path}/text", problems, 12_000, 1)


def _table(block: Block, path: str, problems: Problems) -> None:
    rows = _list(block, "rows", 100, path, problems)
    if len({len(row) for row in rows if isinstance(row, list)}) > 1:
        problems.append(at("all rows must have the same number of cells", f"{path}/rows"))
    for index, row in enumerate(rows):
        if not isinstance(row, list):
            problems.append(at("must be an array", f"{path}/rows/{index}"))
            continue
        if len(row) > 20:
            problems.append(at("no more than 20 items allowed", f"{path}/rows/{index}"))
        for column, cell in enumerate(row):
            where = f"{path}/rows/{index}/{column}"
            if not isinstance(cell, dict) or cell.get("type") not in {"raw_text", "raw_number", "rich_text"}:
                problems.append(at("unsupported type", where))
            elif cell["type"] == "raw_text":
                string(cell.get("text"), f"{where}/text", problems, 10_000, 1)
    if total_text(rows) > 10_000:
        problems.append(at("the table's text must be less than 10001 characters", f"{path}/rows"))


RICH_PARTS = frozenset(
    {
        *("text", "link", "emoji", "user", "usergroup", "channel", "broadcast", "color", "date", "team"),
        "rich_text_section",
    }
)


def _rich_text(block: Block, path: str, problems: Problems) -> None:
    kinds = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}
    for index, item in enumerate(block.get("elements") or ()):
        if not isinstance(item, dict) or item.get("type") not in kinds:
            problems.append(at("unsupported type", f"{path}/elements/{index}/type"))
            continue
        inner = item.get("elements")
        for place, part in enumerate(inner if isinstance(inner, list) else ()):
            if not isinstance(part, dict) or part.get("type") not in RICH_PARTS:
                problems.append(at("unsupported type", f"{path}/elements/{index}/elements/{place}/type"))
    if not isinstance(block.get("elements"), list):
        problems.append(at("missing required field: elements", path))


def _task_card(block: Block, path: str, problems: Problems) -> None:
    need(block, ("task_id", "title"), path, problems)
    if block.get("status") not in TASK_STATUS:
        problems.append(at("must be a valid enum value", f"{path}/status"))


def _plan(block: Block, path: str, problems: Problems) -> None:
    need(block, ("title",), path, problems)
    for index, task in enumerate(block.get("tasks") or ()):
        _task_card(task, f"{path}/tasks/{index}", problems)


def _alert(block: Block, path: str, problems: Problems) -> None:
    text_object(block.get("text"), f"{path}/text", problems, 3000)
    if block.get("level") is not None and block["level"] not in ALERT_LEVELS:
        problems.append(at("must be a valid enum value", f"{path}/level"))


def _card(block: Block, path: str, problems: Problems) -> None:
    if not any(block.get(key) for key in ("hero_image", "title", "actions", "body")):
        problems.append(at("at least one of hero_image, title, actions or body is required", path))
    for key, most in (("title", 150), ("subtitle", 150), ("body", 200)):
        if block.get(key) is not None:
            text_object(block[key], f"{path}/{key}", problems, most)
    for index, item in enumerate(block.get("actions") or ()):
        element(item, f"{path}/actions/{index}", problems, {"button"})


def _carousel(block: Block, path: str, problems: Problems) -> None:
    for index, card in enumerate(_list(block, "elements", 10, path, problems)):
        _card(card, f"{path}/elements/{index}", problems)


def _container(block: Block, path: str, problems: Problems) -> None:
    if block.get("title") is None and block.get("rich_text_title") is None:
        problems.append(at("missing required field: title", path))
    for key in ("title", "subtitle"):
        if block.get(key) is not None:
            text_object(block[key], f"{path}/{key}", problems, 150, plain=key == "title")
    for index, child in enumerate(_list(block, "child_blocks", 10, path, problems)):
        where = f"{path}/child_blocks/{index}"
        if isinstance(child, dict) and child.get("type") not in NESTABLE:
            problems.append(at(f"unsupported type: {child.get('type')}", f"{where}/type"))
        else:
            check_block(child, where, problems, "message")


def _accept(block: Block, path: str, problems: Problems) -> None:
    """Blocks that the app does not use are accepted as they are."""


CHECKS: dict[str, Callable[[Block, str, Problems], None]] = {
    "section": _section, "header": _header, "divider": _divider, "image": _image, "actions": _actions,
    "context": _context, "context_actions": _context_actions, "input": _input, "markdown": _markdown,
    "table": _table, "rich_text": _rich_text, "task_card": _task_card, "plan": _plan, "alert": _alert,
    "card": _card, "carousel": _carousel, "container": _container, "data_visualization": data_visualization,
    "data_table": data_table, "video": _accept, "file": _accept,
}  # fmt: skip
MESSAGE_ONLY = {
    "context_actions", "markdown", "table", "task_card", "plan", "carousel", "container",
    "data_visualization", "data_table",
}  # fmt: skip


def _unique_ids(blocks: list[Any], problems: Problems) -> None:
    ids: set[str] = set()
    for index, block in enumerate(blocks):
        if not isinstance(block, dict):
            continue
        block_id = block.get("block_id")
        if block_id and block_id in ids:
            problems.append(at(f'block_id "{block_id}" already exists', f"/blocks/{index}/block_id"))
        ids.add(block_id or "")
        actions = [e.get("action_id") for e in block.get("elements") or () if isinstance(e, dict)]
        action_ids = [action for action in actions if action]
        if block.get("type") == "actions" and len(action_ids) != len(set(action_ids)):
            problems.append(at("action_id already exists in this block", f"/blocks/{index}/elements"))


def _once_per_message(blocks: list[Any], surface: str, problems: Problems) -> None:
    kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
    if surface == "message" and kinds.count("table") > 1:
        problems.append(at("only_one_table_allowed", "/blocks"))
    if kinds.count("data_visualization") > 2:
        problems.append(at("no more than 2 data_visualization blocks allowed", "/blocks"))
