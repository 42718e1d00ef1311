"""usergroups.*: groups of people that can be mentioned, listed and changed by the app."""

from __future__ import annotations

from bot.playground.errors import ApiError
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, flag, names_in, need


def listing(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.list: members and those that were switched off only where they are asked for."""
    rows = [
        group
        for group in context.workspace.usergroups
        if flag(params.get("include_disabled")) or not group["date_delete"]
    ]
    return {"usergroups": [_record_of(group, params) for group in rows]}


def list_members(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.users.list."""
    return {"users": _group(context, params)["users"]}


def create(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.create: without members."""
    need(params, "name")
    handle = str(params.get("handle") or params["name"]).lower().replace(" ", "-")
    _check_names(context, str(params["name"]), handle, None)
    now = int(context.workspace.clock.now())
    group: Json = {
        "id": context.workspace.new_id("S"),
        "team_id": context.workspace.team.id,
        "is_usergroup": True,
        "name": str(params["name"]),
        "handle": handle,
        "description": str(params.get("description") or ""),
        "users": [],
        "user_count": 0,
        "date_create": now,
        "date_update": now,
        "date_delete": 0,
        "created_by": BOT_USER,
    }
    context.workspace.usergroups.append(group)
    _tell(context, "subteam_created", group)
    return {"usergroup": _record_of(group, params)}


def update(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.update: name, handle and description, as far as they are given."""
    group = _group(context, params)
    name, handle = str(params.get("name") or group["name"]), str(params.get("handle") or group["handle"])
    _check_names(context, name, handle, group["id"])
    group |= {"name": name, "handle": handle}
    if params.get("description") is not None:
        group["description"] = str(params["description"])
    _tell(context, "subteam_updated", group)
    return {"usergroup": _record_of(group, params)}


def set_members(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.users.update: these people and no others."""
    group = _group(context, params)
    names = names_in(params.get("users"))
    if not names:
        raise ApiError("no_users_provided")
    if any(name not in context.workspace.users for name in names):
        raise ApiError("invalid_users")
    group |= {"users": names, "user_count": len(names)}
    _tell(context, "subteam_updated", group)
    return {"usergroup": _record_of(group, params | {"include_users": True})}


def disable(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.disable."""
    return _switch(context, params, int(context.workspace.clock.now()))


def enable(context: WorkspaceContext, params: Json) -> Json:
    """usergroups.enable."""
    return _switch(context, params, 0)


def _switch(context: WorkspaceContext, params: Json, at: int) -> Json:
    group = _group(context, params)
    if bool(group["date_delete"]) == bool(at):
        raise ApiError("already_disabled" if at else "already_enabled")
    group["date_delete"] = at
    _tell(context, "subteam_updated", group)
    return {"usergroup": _record_of(group, params)}


def _group(context: WorkspaceContext, params: Json) -> Json:
    need(params, "usergroup")
    for group in context.workspace.usergroups:
        if group["id"] == params["usergroup"]:
            return group
    raise ApiError("no_such_subteam")


def _record_of(group: Json, params: Json) -> Json:
    omit = set() if flag(params.get("include_users")) else {"users"}
    return {key: value for key, value in group.items() if key not in omit}


def _check_names(context: WorkspaceContext, name: str, handle: str, own: str | None) -> None:
    for group in context.workspace.usergroups:
        if group["id"] != own and group["name"] == name:
            raise ApiError("name_already_exists")
        if group["id"] != own and group["handle"] == handle:
            raise ApiError("handle_already_exists")
    if any(user.name == handle for user in context.workspace.users.values()):
        raise ApiError("handle_already_exists")


def _tell(context: WorkspaceContext, kind: str, group: Json) -> None:
    context.outbox.emit({"type": kind, "subteam": dict(group), "event_ts": context.workspace.new_ts()})


READ, WRITE = ("usergroups:read",), ("usergroups:write",)
METHODS = {
    "usergroups.list": Method(listing, READ, per_minute=20),
    "usergroups.users.list": Method(list_members, READ, per_minute=20),
    "usergroups.create": Method(create, WRITE, per_minute=20),
    "usergroups.update": Method(update, WRITE, per_minute=20),
    "usergroups.users.update": Method(set_members, WRITE, per_minute=20),
    "usergroups.disable": Method(disable, WRITE, per_minute=20),
    "usergroups.enable": Method(enable, WRITE, per_minute=20),
}
