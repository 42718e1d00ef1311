"""usergroups.*: groups of people that can be mentioned, listed and changed by the app."""

from __future__ import annotations

from bot.playground.errors import ApiError
from bot.playground.state.posting import Floor
from bot.playground.state.seed import BOT_USER
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, flag, names_in, need


def listing(floor: Floor, params: Json) -> Json:
    """usergroups.list: members and those that were switched off only where they are asked for."""
    rows = [
        group
        for group in floor.workspace.usergroups
        if flag(params.get("include_disabled")) or not group["date_delete"]
    ]
    return {"usergroups": [_record_of(group, params) for group in rows]}


def list_members(floor: Floor, params: Json) -> Json:
    """usergroups.users.list."""
    return {"users": _group(floor, params)["users"]}


def create(floor: Floor, params: Json) -> Json:
    """usergroups.create: without members."""
    need(params, "name")
    handle = str(params.get("handle") or params["name"]).lower().replace(" ", "-")
    _check_names(floor, str(params["name"]), handle, None)
    now = int(floor.workspace.clock.now())
    group: Json = {
        "id": floor.workspace.new_id("S"),
        "team_id": floor.workspace.team.id,
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
    floor.workspace.usergroups.append(group)
    _tell(floor, "subteam_created", group)
    return {"usergroup": _record_of(group, params)}


def update(floor: Floor, params: Json) -> Json:
    """usergroups.update: name, handle and description, as far as they are given."""
    group = _group(floor, params)
    name, handle = str(params.get("name") or group["name"]), str(params.get("handle") or group["handle"])
    _check_names(floor, name, handle, group["id"])
    group |= {"name": name, "handle": handle}
    if params.get("description") is not None:
        group["description"] = str(params["description"])
    _tell(floor, "subteam_updated", group)
    return {"usergroup": _record_of(group, params)}


def set_members(floor: Floor, params: Json) -> Json:
    """usergroups.users.update: these people and no others."""
    group = _group(floor, params)
    names = names_in(params.get("users"))
    if not names:
        raise ApiError("no_users_provided")
    if any(name not in floor.workspace.users for name in names):
        raise ApiError("invalid_users")
    group |= {"users": names, "user_count": len(names)}
    _tell(floor, "subteam_updated", group)
    return {"usergroup": _record_of(group, params | {"include_users": True})}


def disable(floor: Floor, params: Json) -> Json:
    """usergroups.disable."""
    return _switch(floor, params, int(floor.workspace.clock.now()))


def enable(floor: Floor, params: Json) -> Json:
    """usergroups.enable."""
    return _switch(floor, params, 0)


def _switch(floor: Floor, params: Json, at: int) -> Json:
    group = _group(floor, params)
    if bool(group["date_delete"]) == bool(at):
        raise ApiError("already_disabled" if at else "already_enabled")
    group["date_delete"] = at
    _tell(floor, "subteam_updated", group)
    return {"usergroup": _record_of(group, params)}


def _group(floor: Floor, params: Json) -> Json:
    need(params, "usergroup")
    for group in floor.workspace.usergroups:
        if group["id"] == params["usergroup"]:
            return group
    raise ApiError("no_such_subteam")


def _record_of(group: Json, params: Json) -> Json:
    omit = set() if flag(params.get("include_users")) else {"users"}
    return {key: value for key, value in group.items() if key not in omit}


def _check_names(floor: Floor, name: str, handle: str, own: str | None) -> None:
    for group in floor.workspace.usergroups:
        if group["id"] != own and group["name"] == name:
            raise ApiError("name_already_exists")
        if group["id"] != own and group["handle"] == handle:
            raise ApiError("handle_already_exists")
    if any(user.name == handle for user in floor.workspace.users.values()):
        raise ApiError("handle_already_exists")


def _tell(floor: Floor, kind: str, group: Json) -> None:
    floor.outbox.emit({"type": kind, "subteam": dict(group), "event_ts": floor.workspace.new_ts()})


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
