"""Slack's rules for what stands inside blocks: text objects, options, buttons, selects, inputs.

Each check appends "what is wrong [json-pointer:/where]" to a list, as Slack words it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlparse

Problems = list[str]

STATIC = {"static_select", "multi_static_select"}
CHOICES = {"radio_buttons": 10, "checkboxes": 10, "overflow": 5}
SELECTS = {
    "static_select", "external_select", "users_select", "conversations_select", "channels_select",
    "multi_static_select", "multi_external_select", "multi_users_select", "multi_conversations_select",
    "multi_channels_select",
}  # fmt: skip
PICKERS = {"datepicker", "timepicker", "datetimepicker"}
INPUTS = {
    "plain_text_input",
    "number_input",
    "email_text_input",
    "url_text_input",
    "file_input",
    "rich_text_input",
}
IN_ACTIONS = SELECTS | PICKERS | set(CHOICES) | {"button", "workflow_button"}
IN_SECTION = IN_ACTIONS | {"image"}
IN_INPUT = (SELECTS | PICKERS | INPUTS | {"radio_buttons", "checkboxes"}) - {"button", "overflow"}
IN_CONTEXT_ACTIONS = {"feedback_buttons", "icon_button"}


def at(message: str, path: str) -> str:
    """One problem in Slack's words."""
    return f"{message} [json-pointer:{path}]"


def need(thing: dict[str, Any], keys: tuple[str, ...], path: str, problems: Problems) -> bool:
    """Report the required keys that are missing; True when none is."""
    missing = [key for key in keys if thing.get(key) is None]
    problems += [at(f"missing required field: {key}", path) for key in missing]
    return not missing


def string(value: Any, path: str, problems: Problems, most: int, least: int = 0) -> None:
    """A plain string within its length."""
    if not isinstance(value, str):
        problems.append(at("must be a string", path))
    elif len(value) < least:
        problems.append(at(f"must be more than {least - 1} characters", path))
    elif len(value) > most:
        problems.append(at(f"must be less than {most + 1} characters", path))


def text_object(value: Any, path: str, problems: Problems, most: int, *, plain: bool = False) -> None:
    """A text object with 1 to `most` characters; `plain` refuses mrkdwn."""
    if not isinstance(value, dict):
        problems.append(at("must be an object", path))
        return
    kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
    if value.get("type") not in kinds:
        problems.append(at("unsupported type: " + str(value.get("type")), f"{path}/type"))
    string(value.get("text"), f"{path}/text", problems, most, 1)
    keys = {"type", "text", "emoji"} if value.get("type") == "plain_text" else {"type", "text", "verbatim"}
    problems += [at(f"invalid additional property: {key}", path) for key in value if key not in keys]


def option(value: Any, path: str, problems: Problems, value_most: int = 150) -> None:
    """One option of a select, radio group, checkbox group or overflow menu."""
    if not isinstance(value, dict):
        problems.append(at("must be an object", path))
        return
    if need(value, ("text", "value"), path, problems):
        text_object(value["text"], f"{path}/text", problems, 75)
        string(value["value"], f"{path}/value", problems, value_most, 1)
    if value.get("description") is not None:
        text_object(value["description"], f"{path}/description", problems, 75)


def _options(element: dict[str, Any], path: str, problems: Problems, most: int) -> None:
    groups, options = element.get("option_groups"), element.get("options")
    if groups is None and options is None:
        problems.append(at("missing required field: options", path))
    if groups is not None and options is not None:
        problems.append(at("options and option_groups are mutually exclusive", path))
    lists = [("options", options)] if options is not None else []
    for index, group in enumerate(groups or ()):
        text_object(group.get("label"), f"{path}/option_groups/{index}/label", problems, 75, plain=True)
        lists.append((f"option_groups/{index}/options", group.get("options")))
    for where, items in lists:
        if not isinstance(items, list) or not items:
            problems.append(at("must provide at least 1 item", f"{path}/{where}"))
            continue
        if len(items) > most:
            problems.append(at(f"no more than {most} items allowed", f"{path}/{where}"))
        for index, item in enumerate(items):
            option(item, f"{path}/{where}/{index}", problems)
    _initial(element, path, problems, [item for _, items in lists for item in items or ()])


def _initial(element: dict[str, Any], path: str, problems: Problems, options: list[Any]) -> None:
    for key in ("initial_option", "initial_options"):
        if element.get(key) is None:
            continue
        initial = element[key] if isinstance(element[key], list) else [element[key]]
        values = {item.get("value") for item in options if isinstance(item, dict)}
        if any(not isinstance(item, dict) or item.get("value") not in values for item in initial):
            problems.append(at("initial option must match one of the options", f"{path}/{key}"))


BUTTON_KEYS = frozenset(
    {
        *("type", "action_id", "text", "value", "url", "style", "confirm", "accessibility_label"),
        "visible_to_user_ids",
    }
)


def _button(element: dict[str, Any], path: str, problems: Problems) -> None:
    problems += [at(f"invalid additional property: {key}", path) for key in element if key not in BUTTON_KEYS]
    if need(element, ("text",), path, problems):
        text_object(element["text"], f"{path}/text", problems, 75, plain=True)
    if element.get("value") is not None:
        string(element["value"], f"{path}/value", problems, 2000)
    if element.get("url") is not None:
        web_url(element["url"], f"{path}/url", problems)
    if element.get("style") not in (None, "primary", "danger"):
        problems.append(at("must be a valid enum value", f"{path}/style"))
    if element.get("accessibility_label") is not None:
        string(element["accessibility_label"], f"{path}/accessibility_label", problems, 75)


def _image(element: dict[str, Any], path: str, problems: Problems) -> None:
    if element.get("image_url") is None and element.get("slack_file") is None:
        problems.append(at("missing required field: image_url", path))
    if element.get("image_url") is not None:
        public_url(element["image_url"], f"{path}/image_url", problems)
    if need(element, ("alt_text",), path, problems):
        string(element["alt_text"], f"{path}/alt_text", problems, 2000)


def _number(element: dict[str, Any], path: str, problems: Problems) -> None:
    need(element, ("is_decimal_allowed",), path, problems)
    for key in ("initial_value", "min_value", "max_value"):
        value = element.get(key)
        if value is None:
            continue
        try:
            number = float(value) if isinstance(value, str) else None
        except ValueError:
            number = None
        if number is None:
            problems.append(at("must be a string that holds a number", f"{path}/{key}"))


def _plain_input(element: dict[str, Any], path: str, problems: Problems) -> None:
    least, most = element.get("min_length"), element.get("max_length")
    if most is not None and not (isinstance(most, int) and 1 <= most <= 3000):
        problems.append(at("must be between 1 and 3000", f"{path}/max_length"))
    if least is not None and not (isinstance(least, int) and 0 <= least <= 3000):
        problems.append(at("must be between 0 and 3000", f"{path}/min_length"))
    if element.get("initial_value") is not None:
        string(element["initial_value"], f"{path}/initial_value", problems, most or 3000)


def _feedback(element: dict[str, Any], path: str, problems: Problems) -> None:
    for key in ("positive_button", "negative_button"):
        if need(element, (key,), path, problems):
            button = element[key]
            text_object(button.get("text"), f"{path}/{key}/text", problems, 75, plain=True)
            string(button.get("value"), f"{path}/{key}/value", problems, 2000)


def _choice(element: dict[str, Any], path: str, problems: Problems) -> None:
    _options(element, path, problems, CHOICES[element["type"]])
    options = element.get("options")
    values = (
        [str(one.get("value")) for one in options if isinstance(one, dict)]
        if isinstance(options, list)
        else []
    )
    if len(values) != len(set(values)):
        problems.append(at("option values must be unique", f"{path}/options"))


def _moment(element: dict[str, Any], path: str, problems: Problems) -> None:
    """A date, a time, or a moment in Unix seconds."""
    key, form = MOMENTS[element["type"]]
    value = element.get(key)
    if value is None:
        return
    try:
        if form:
            datetime.strptime(str(value), form)
        elif not isinstance(value, int) or len(str(value)) != 10:
            raise ValueError(value)
    except ValueError:
        problems.append(at("must be a valid date or time", f"{path}/{key}"))


def _static(element: dict[str, Any], path: str, problems: Problems) -> None:
    _options(element, path, problems, 100)


MOMENTS = {
    "datepicker": ("initial_date", "%Y-%m-%d"),
    "timepicker": ("initial_time", "%H:%M"),
    "datetimepicker": ("initial_date_time", ""),
}
CHECKS: dict[str, Callable[[dict[str, Any], str, Problems], None]] = {
    "button": _button,
    "image": _image,
    "number_input": _number,
    "plain_text_input": _plain_input,
    "feedback_buttons": _feedback,
    **dict.fromkeys(CHOICES, _choice),
    **dict.fromkeys(MOMENTS, _moment),
    **dict.fromkeys(STATIC, _static),
}


def element(value: Any, path: str, problems: Problems, kinds: set[str]) -> None:
    """An interactive element or image, of a type that its block may hold."""
    if not isinstance(value, dict):
        problems.append(at("must be an object", path))
        return
    kind = str(value.get("type"))
    if kind not in kinds:
        problems.append(at(f"unsupported type: {kind}", f"{path}/type"))
        return
    if value.get("action_id") is not None:
        string(value["action_id"], f"{path}/action_id", problems, 255, 1)
    if value.get("placeholder") is not None:
        text_object(value["placeholder"], f"{path}/placeholder", problems, 150, plain=True)
    if value.get("confirm") is not None:
        _confirm(value["confirm"], f"{path}/confirm", problems)
    if kind in CHECKS:
        CHECKS[kind](value, path, problems)


def _confirm(value: dict[str, Any], path: str, problems: Problems) -> None:
    for key, most in (("title", 100), ("confirm", 30), ("deny", 30)):
        if value.get(key) is not None:
            text_object(value[key], f"{path}/{key}", problems, most, plain=True)
    if value.get("text") is not None:
        text_object(value["text"], f"{path}/text", problems, 300)


def web_url(value: Any, path: str, problems: Problems) -> None:
    """An address that a browser can open."""
    string(value, path, problems, 3000, 1)
    if (
        isinstance(value, str)
        and value
        and urlparse(value).scheme not in {"http", "https", "mailto", "slack", "tel"}
    ):
        problems.append(at("must be a valid URL", path))


def public_url(value: Any, path: str, problems: Problems) -> None:
    """An image address that Slack's servers can fetch: loopback and private names never are."""
    string(value, path, problems, 3000, 1)
    url = urlparse(value if isinstance(value, str) else "")
    host = (url.hostname or "").lower()
    if url.scheme not in {"http", "https"} or not host:
        problems.append(at("must be a valid URL", path))
    elif host in {"localhost", "::1"} or host.startswith(("127.", "0.", "10.", "192.168.", "172.16.")):
        problems.append(at("downloading image failed", path))


MOST_SERIES, MOST_POINTS, MOST_SEGMENTS = 12, 20, 12


def data_visualization(block: dict[str, Any], path: str, problems: Problems) -> None:
    """A line, bar, area or pie chart; every series has one finite value for each category."""
    if not need(block, ("title", "chart"), path, problems):
        return
    string(block["title"], f"{path}/title", problems, 50, 1)
    chart = block["chart"]
    if not isinstance(chart, dict) or chart.get("type") not in {"line", "bar", "area", "pie"}:
        problems.append(at("must be a valid enum value", f"{path}/chart/type"))
    elif chart["type"] == "pie":
        _segments(chart, f"{path}/chart", problems)
    else:
        _series(chart, f"{path}/chart", problems)


def _segments(chart: dict[str, Any], path: str, problems: Problems) -> None:
    segments = chart.get("segments") or []
    if not 1 <= len(segments) <= MOST_SEGMENTS:
        problems.append(at(f"must have between 1 and {MOST_SEGMENTS} items", f"{path}/segments"))
    for index, segment in enumerate(segments):
        where = f"{path}/segments/{index}"
        string(segment.get("label"), f"{where}/label", problems, 20, 1)
        if not _finite(segment.get("value")) or segment["value"] <= 0:
            problems.append(at("must be more than 0", f"{where}/value"))


def _series(chart: dict[str, Any], path: str, problems: Problems) -> None:
    series = chart.get("series") or []
    axes = chart.get("axis_config") or {}
    categories = axes.get("categories") or []
    if not 1 <= len(series) <= MOST_SERIES:
        problems.append(at(f"must have between 1 and {MOST_SERIES} items", f"{path}/series"))
    if not 1 <= len(categories) <= MOST_POINTS:
        problems.append(at(f"must have between 1 and {MOST_POINTS} items", f"{path}/axis_config/categories"))
    for key in ("x_label", "y_label"):
        if axes.get(key) is not None:
            string(axes[key], f"{path}/axis_config/{key}", problems, 50)
    for index, category in enumerate(categories):
        string(category, f"{path}/axis_config/categories/{index}", problems, 20, 1)
    names = [one.get("name") for one in series]
    if len(names) != len(set(names)):
        problems.append(at("series names must be unique", f"{path}/series"))
    for index, one in enumerate(series):
        string(one.get("name"), f"{path}/series/{index}/name", problems, 20, 1)
        labels = [point.get("label") for point in one.get("data") or ()]
        if sorted(map(str, labels)) != sorted(map(str, categories)):
            problems.append(at("data must hold one point for each category", f"{path}/series/{index}/data"))
        if not all(_finite(point.get("value")) for point in one.get("data") or ()):
            problems.append(at("must be a finite number", f"{path}/series/{index}/data"))


def data_table(block: dict[str, Any], path: str, problems: Problems) -> None:
    """2 to 201 rows (the first is the header) of 1 to 20 cells each."""
    if not need(block, ("caption", "rows"), path, problems):
        return
    string(block["caption"], f"{path}/caption", problems, 150, 1)
    rows = block["rows"]
    if not isinstance(rows, list) or not 2 <= len(rows) <= 201:
        problems.append(at("must have between 2 and 201 items", f"{path}/rows"))
        return
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) > 1 or not 1 <= max(widths) <= 20:
        problems.append(at("every row must have the same 1 to 20 cells", f"{path}/rows"))
    size = block.get("page_size")
    if size is not None and not (isinstance(size, int) and 1 <= size <= 100):
        problems.append(at("must be between 1 and 100", f"{path}/page_size"))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
