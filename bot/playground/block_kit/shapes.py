"""What must be a list, an object or a word in blocks, whatever block it stands in: looked at before any rule of a block."""

from __future__ import annotations

from typing import Any

from bot.playground.block_kit.elements import Problems, at

OF_OBJECTS = frozenset(
    {
        *(
            "elements",
            "fields",
            "options",
            "option_groups",
            "tasks",
            "actions",
            "child_blocks",
            "segments",
            "series",
        ),
        *("data", "initial_options", "blocks"),
    }
)
"""Lists of objects."""
LISTS = OF_OBJECTS | {"rows", "categories"}
OBJECTS = frozenset(
    {
        *(
            "element",
            "accessory",
            "confirm",
            "chart",
            "axis_config",
            "positive_button",
            "negative_button",
            "hint",
        ),
        *("initial_option", "placeholder", "filter", "slack_file"),
    }
)
WORDS = frozenset(
    {
        *("type", "block_id", "action_id", "name", "value", "status", "level", "task_id", "url", "image_url"),
        *("alt_text", "caption", "key"),
    }
)
"""Neither lists nor objects."""


def shape_problems(node: Any, path: str) -> Problems:
    """Every place below `node` where something of another kind stands than Slack expects there."""
    if isinstance(node, list):
        return [
            problem for index, item in enumerate(node) for problem in shape_problems(item, f"{path}/{index}")
        ]
    if not isinstance(node, dict):
        return []
    problems: Problems = []
    for key, value in node.items():
        where = f"{path}/{key}"
        if value is None:
            continue
        if key in LISTS and not isinstance(value, list):
            problems.append(at("must be an array", where))
        elif key in OBJECTS and not isinstance(value, dict):
            problems.append(at("must be an object", where))
        elif key in WORDS and isinstance(value, list | dict):
            problems.append(at("must be a string", where))
        elif key in OF_OBJECTS:
            problems += [
                at("must be an object", f"{where}/{index}")
                for index, item in enumerate(value)
                if not isinstance(item, dict)
            ]
        problems += shape_problems(value, where)
    return problems
