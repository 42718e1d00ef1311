"""views.*: modals on a person's stack (three deep at most) and their App Home."""

from __future__ import annotations

import json
from typing import Any

from bot.playground.block_kit.blocks import check_blocks
from bot.playground.block_kit.elements import Problems, at, string, text_object
from bot.playground.errors import ApiError, invalid_arguments
from bot.playground.state import seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json, view_hash, wire
from bot.playground.web_api.calls import Method, named_blocks, need

STACK = 3
VIEW_MOST = 250_000  # bytes of JSON


def open_view(context: WorkspaceContext, params: Json) -> Json:
    """views.open: a new modal; the trigger works once, within 3 s."""
    need(params, "trigger_id", "view")
    check_view(params["view"], "modal")
    trigger = context.links.redeem(params["trigger_id"])
    if trigger.view in context.workspace.views:
        return push_onto(context, trigger.user, params["view"])
    close_all(context, trigger.user)
    return push_onto(context, trigger.user, params["view"])


def push_view(context: WorkspaceContext, params: Json) -> Json:
    """views.push: one more modal on top; push_limit_reached beyond three."""
    need(params, "trigger_id", "view")
    check_view(params["view"], "modal")
    trigger = context.links.redeem(params["trigger_id"])
    if not context.workspace.stacks[trigger.user]:
        raise ApiError("not_found")
    return push_onto(context, trigger.user, params["view"])


def update_view(context: WorkspaceContext, params: Json) -> Json:
    """views.update by view_id or external_id; hash_conflict when it changed meanwhile."""
    need(params, "view")
    check_view(params["view"], None)
    view = _find(context, params)
    if params.get("hash") and params["hash"] != view["hash"]:
        raise ApiError("hash_conflict")
    return {"view": wire(replace(context, view, params["view"]))}


def publish_view(context: WorkspaceContext, params: Json) -> Json:
    """views.publish: a person's App Home."""
    need(params, "user_id", "view")
    check_view(params["view"], "home")
    if not context.workspace.app.home_tab:
        raise ApiError("not_enabled")
    if params["user_id"] not in context.workspace.users:
        raise ApiError("user_not_found")
    before = context.workspace.homes.get(params["user_id"])
    if params.get("hash") and before and params["hash"] != before["hash"]:
        raise ApiError("hash_conflict")
    view = _build(context, params["view"], params["user_id"], view_id=before["id"] if before else None)
    context.workspace.homes[params["user_id"]] = view
    context.workspace.store.put("home", params["user_id"], view)
    context.live.publish({"type": "home", "view": wire(view)}, [params["user_id"]])
    return {"view": wire(view)}


def push_onto(context: WorkspaceContext, user: str, payload: Json) -> Json:
    """Put a modal on top of a person's stack and show it."""
    stack = context.workspace.stacks[user]
    if len(stack) >= STACK:
        raise ApiError("push_limit_reached")
    external = payload.get("external_id")
    if external and any(v.get("external_id") == external for v in context.workspace.views.values()):
        raise ApiError("duplicate_external_id")
    view = _build(context, payload, user)
    view["root_view_id"] = context.workspace.views[stack[0]]["id"] if stack else view["id"]
    view["previous_view_id"] = stack[-1] if stack else None
    context.workspace.views[view["id"]] = view
    stack.append(view["id"])
    show_stack(context, user)
    return {"view": wire(view)}


def replace(context: WorkspaceContext, view: Json, payload: Json) -> Json:
    """Give an open view new content; what people typed stays where block and action ids stay."""
    view_new = _build(context, payload, view["_user"], view_id=view["id"])
    view_new["state"] = _kept_state(view["state"], view_new["blocks"])
    view_new["root_view_id"], view_new["previous_view_id"] = view["root_view_id"], view["previous_view_id"]
    if view_new["type"] == "home":
        context.workspace.homes[view["_user"]] = view_new
        context.workspace.store.put("home", view["_user"], view_new)
        context.live.publish({"type": "home", "view": wire(view_new)}, [view["_user"]])
        return view_new
    context.workspace.views[view["id"]] = view_new
    show_stack(context, view["_user"])
    return view_new


def close_top(context: WorkspaceContext, user: str) -> None:
    """Take the top modal off; the one below shows again."""
    stack = context.workspace.stacks[user]
    if stack:
        context.workspace.views.pop(stack.pop(), None)
        show_stack(context, user)


def close_all(context: WorkspaceContext, user: str) -> None:
    """Close every modal of a person."""
    for view_id in context.workspace.stacks[user]:
        context.workspace.views.pop(view_id, None)
    context.workspace.stacks[user] = []
    show_stack(context, user)


def show_stack(context: WorkspaceContext, user: str) -> None:
    """Tell the person's pages what is on top now."""
    stack = context.workspace.stacks[user]
    top = wire(context.workspace.views[stack[-1]]) if stack else None
    context.live.publish({"type": "view", "view": top, "depth": len(stack)}, [user])


def check_view(view: Any, kind: str | None) -> None:
    """invalid_arguments with everything that Slack would object to in a view."""
    if not isinstance(view, dict):
        raise invalid_arguments("must be an object [json-pointer:/view]")
    if len(json.dumps(view)) > VIEW_MOST:
        raise ApiError("view_too_large")
    problems: Problems = []
    view_type = str(view.get("type"))
    if view_type not in {"modal", "home"} or (kind and view_type != kind):
        problems.append(at("unsupported type: " + view_type, "/view/type"))
    if view_type == "modal":
        text_object(view.get("title"), "/view/title", problems, 24, plain=True)
        for key in ("submit", "close"):
            if view.get(key) is not None:
                text_object(view[key], f"/view/{key}", problems, 24, plain=True)
    for key, most in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        if view.get(key) is not None:
            string(view[key], f"/view/{key}", problems, most)
    blocks = view.get("blocks")
    problems += [
        p.replace("[json-pointer:/blocks", "[json-pointer:/view/blocks") for p in _blocks(blocks, view_type)
    ]
    rows = blocks if isinstance(blocks, list) else []
    has_inputs = any(isinstance(b, dict) and b.get("type") == "input" for b in rows)
    if view_type == "modal" and has_inputs and view.get("submit") is None:
        problems.append(at("missing required field: submit", "/view"))
    if problems:
        raise invalid_arguments(*problems)


def _blocks(blocks: Any, kind: str) -> Problems:
    if blocks is None:
        return [at("missing required field: blocks", "")]
    return check_blocks(blocks, kind)


def _build(context: WorkspaceContext, payload: Json, user: str, view_id: str | None = None) -> Json:
    view: Json = {
        "id": view_id or context.workspace.new_id("V"),
        "team_id": context.workspace.team.id,
        "type": payload["type"],
        "blocks": named_blocks(context, payload["blocks"]),
        "private_metadata": payload.get("private_metadata", ""),
        "callback_id": payload.get("callback_id", ""),
        "state": {"values": {}},
        "hash": "",
        "title": payload.get("title"),
        "clear_on_close": bool(payload.get("clear_on_close")),
        "notify_on_close": bool(payload.get("notify_on_close")),
        "close": payload.get("close"),
        "submit": payload.get("submit"),
        "previous_view_id": None,
        "root_view_id": view_id,
        "app_id": seed.APP_ID,
        "external_id": payload.get("external_id", ""),
        "app_installed_team_id": context.workspace.team.id,
        "bot_id": seed.BOT_ID,
        "_user": user,
    }
    view["root_view_id"] = view["root_view_id"] or view["id"]
    view["hash"] = view_hash(view)
    return view


def _kept_state(state: Json, blocks: list[Json]) -> Json:
    ids = {block.get("block_id") for block in blocks}
    return {"values": {block: value for block, value in state["values"].items() if block in ids}}


def _find(context: WorkspaceContext, params: Json) -> Json:
    views = [*context.workspace.views.values(), *context.workspace.homes.values()]
    for view in views:
        if params.get("view_id") and view["id"] == params["view_id"]:
            return view
        if params.get("external_id") and view["external_id"] == params["external_id"]:
            return view
    raise ApiError("not_found")


METHODS = {
    "views.open": Method(open_view, per_minute=100),
    "views.push": Method(push_view, per_minute=100),
    "views.update": Method(update_view, per_minute=100),
    "views.publish": Method(publish_view, per_minute=100),
}
