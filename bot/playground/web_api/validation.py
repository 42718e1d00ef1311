"""blocks.validate: what Slack would refuse in blocks, a message or a view, without posting it."""

from __future__ import annotations

import re
from typing import Any

from bot.playground.block_kit.blocks import check_blocks
from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, check_content
from bot.playground.web_api.views import check_view

WHERE = re.compile(r"(.*) \[json-pointer:(.*)\]")


def validate(context: WorkspaceContext, params: Json) -> Json:
    """One of `blocks`, `message` and `view`; invalid_blocks, invalid_message or invalid_view with a list otherwise."""
    arguments = [name for name in ("blocks", "message", "view") if params.get(name) is not None]
    if len(arguments) != 1:
        raise invalid_arguments("exactly one of blocks, message or view must be given")
    kind = arguments[0]
    problems = _problems(kind, params[kind])
    if problems:
        raise ApiError(f"invalid_{kind}", errors=[_error(problem) for problem in problems])
    return {}


def _problems(kind: str, value: Any) -> list[str]:
    if kind == "blocks":
        return check_blocks(value, "message")
    if not isinstance(value, dict):
        return ["must be an object [json-pointer:]"]
    try:
        if kind == "view":
            check_view(value, None)
        else:
            check_content(value)
    except ApiError as error:
        return list(error.extra.get("errors") or [f"{error.code} [json-pointer:]"])
    return []


def _error(problem: str) -> Json:
    match = WHERE.match(problem)
    message, pointer = match.groups() if match else (problem, "")
    return {"pointer": pointer, "code": "failed_constraint", "message": message}


METHODS = {"blocks.validate": Method(validate, per_minute=100)}
