"""A person fills a form: plain values become Slack's view state, and what Slack's client checks is
checked."""

from __future__ import annotations

import re
from typing import Any

from bot.playground.state.workspace import Json

REQUIRED = "Please complete this required field."
ENTITY = {"users_select": "selected_user", "conversations_select": "selected_conversation"}
ENTITY |= {"channels_select": "selected_channel"}
PICKER = {
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}


def elements_of(blocks: list[Json]) -> list[tuple[Json, Json]]:
    """(block, element) for every interactive element, nested ones included, in reading order."""
    pairs: list[tuple[Json, Json]] = []
    for block in blocks:
        inside = [*(block.get("elements") or []), *(block.get("actions") or [])]
        inside += [block[key] for key in ("accessory", "element") if isinstance(block.get(key), dict)]
        if block.get("type") == "carousel":
            pairs += elements_of(inside)
        elif block.get("type") != "rich_text":
            pairs += [(block, item) for item in inside if isinstance(item, dict) and "action_id" in item]
        pairs += elements_of(block.get("child_blocks") or [])
    return pairs


def initial(element: Json) -> Json:
    """An element's state before anyone touches it."""
    kind = element["type"]
    if kind in PICKER:
        return {"type": kind, PICKER[kind]: element.get(f"initial_{PICKER[kind].removeprefix('selected_')}")}
    if kind in ENTITY:
        return {"type": kind, ENTITY[kind]: element.get(f"initial_{ENTITY[kind].removeprefix('selected_')}")}
    if kind == "checkboxes" or (
        kind.startswith("multi_") and kind.endswith(("static_select", "external_select"))
    ):
        return {"type": kind, "selected_options": element.get("initial_options") or []}
    if kind.startswith("multi_"):
        what = kind.removeprefix("multi_").removesuffix("_select")
        return {"type": kind, f"selected_{what}": element.get(f"initial_{what}") or []}
    if kind in {"static_select", "external_select", "radio_buttons"}:
        return {"type": kind, "selected_option": element.get("initial_option")}
    if kind == "file_input":
        return {"type": kind, "files": []}
    return {"type": kind, "value": element.get("initial_value")}


def entry_of(element: Json, value: Any, files: dict[str, Json]) -> Json:
    """An element's state after a person chose `value`: text, an option's value or label, a list, ids of
    files.

    A dict is taken to be the state itself.
    """
    kind = element["type"]
    if isinstance(value, dict) and "type" in value:
        return value
    if value is None:
        return initial({"type": kind})
    if kind in {"static_select", "external_select", "radio_buttons", "overflow"}:
        return {"type": kind, "selected_option": option(element, value)}
    if kind in {"checkboxes", "multi_static_select", "multi_external_select"}:
        values = value if isinstance(value, list | tuple) else [value]
        return {"type": kind, "selected_options": [option(element, item) for item in values]}
    if kind.startswith("multi_"):
        what = kind.removeprefix("multi_").removesuffix("_select")
        return {"type": kind, f"selected_{what}": list(value)}
    if kind in ENTITY:
        return {"type": kind, ENTITY[kind]: value}
    if kind in PICKER:
        return {"type": kind, PICKER[kind]: value}
    if kind == "file_input":
        ids = value if isinstance(value, list | tuple) else [value]
        return {"type": kind, "files": [files[item] for item in ids if item in files]}
    return {"type": kind, "value": str(value) if value != "" else None}


def option(element: Json, value: Any) -> Json:
    """The offered option with this value or label; external options are taken as given."""
    if isinstance(value, dict):
        return value
    groups = element.get("option_groups") or []
    options = [*(element.get("options") or []), *(item for group in groups for item in group["options"])]
    for item in options:
        if str(value) in (item.get("value"), item["text"]["text"]):
            return dict(item)
    if element["type"].endswith("external_select"):
        return {"text": {"type": "plain_text", "text": str(value)}, "value": str(value)}
    labels = ", ".join(repr(item["text"]["text"]) for item in options)
    raise KeyError(f"there is no option {value!r}; the options are {labels}")


def selection_of(state: Json) -> Any:
    """What was entered, whatever the element's type; None or [] when nothing was."""
    return next((value for key, value in state.items() if key != "type"), None)


def fill(view: Json, values: dict[str, Any], files: dict[str, Json]) -> Json:
    """The view's state.values: what was there, initial values, and then `values` by block id or action id."""
    state: Json = {}
    before = view.get("state", {}).get("values", {})
    for block, element in elements_of(view["blocks"]):
        if element["type"] in {"button", "overflow", "image"}:
            continue
        block_id, action_id = block["block_id"], element["action_id"]
        now = before.get(block_id, {}).get(action_id) or initial(element)
        for key in (block_id, action_id):
            if key in values:
                now = entry_of(element, values[key], files)
        state.setdefault(block_id, {})[action_id] = now
    return state


def client_errors(view: Json, state: Json) -> dict[str, str]:
    """What Slack's client refuses before it asks the app: {block_id: message}."""
    errors = {}
    for block, element in elements_of(view["blocks"]):
        if block["type"] != "input":
            continue
        value = selection_of(state[block["block_id"]][element["action_id"]])
        problem = _problem(element, value)
        if problem is None and value in (None, "", []) and not block.get("optional"):
            problem = REQUIRED
        if problem:
            errors[block["block_id"]] = problem
    return errors


def _problem(element: Json, value: Any) -> str | None:
    if value in (None, "", []):
        return None
    kind = element["type"]
    if kind == "number_input":
        return _number_problem(element, str(value))
    if kind == "plain_text_input":
        if len(value) < (element.get("min_length") or 0):
            return f"Please use at least {element['min_length']} characters."
        if len(value) > (element.get("max_length") or 3000):
            return f"Please use at most {element.get('max_length') or 3000} characters."
    if kind == "email_text_input" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not re.match(r"https?://\S+", value):
        return "Please enter a valid URL."
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Please enter a valid number."
    if not element.get("is_decimal_allowed") and not re.fullmatch(r"[+-]?\d+", value.strip()):
        return "Please enter a whole number."
    if element.get("min_value") is not None and number < float(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if element.get("max_value") is not None and number > float(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return None
