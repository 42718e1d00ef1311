"""What apps look up about a person beside users.info: profile, presence, do-not-disturb, who has an address."""

from __future__ import annotations

from bot.playground.errors import ApiError
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, User
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, names_in, need
from bot.playground.web_api.directory import address, describe


def profile(context: WorkspaceContext, params: Json) -> Json:
    """users.profile.get: the app's own unless a person is named."""
    return {"profile": describe(context, _user(context, params))["profile"]}


def presence(context: WorkspaceContext, params: Json) -> Json:
    """users.getPresence: people are active; of itself the app learns more."""
    user = _user(context, params)
    if user.id != BOT_USER:
        return {"presence": "away" if user.deleted else "active"}
    away = context.workspace.records("presence").get(BOT_USER, {}).get("away", False)
    online = context.sockets.count > 0
    return {
        "presence": "active" if online and not away else "away",
        "online": online,
        "auto_away": False,
        "manual_away": away,
        "connection_count": context.sockets.count,
    }


def set_presence(context: WorkspaceContext, params: Json) -> Json:
    """users.setPresence: "auto" or "away"."""
    if params.get("presence") not in ("auto", "away"):
        raise ApiError("invalid_presence")
    context.workspace.keep_record("presence", BOT_USER, {"away": params["presence"] == "away"})
    return {}


def lookup(context: WorkspaceContext, params: Json) -> Json:
    """users.lookupByEmail."""
    need(params, "email")
    for user in context.workspace.users.values():
        if not user.is_bot and address(context, user) == str(params["email"]).lower():
            return {"user": describe(context, user)}
    raise ApiError("users_not_found")


def dnd(context: WorkspaceContext, params: Json) -> Json:
    """dnd.info: nobody here is out of reach."""
    return _reachable(_user(context, params))


def dnd_team(context: WorkspaceContext, params: Json) -> Json:
    """dnd.teamInfo: the same for several people, at most fifty."""
    names = names_in(params.get("users"))
    if len(names) > 50:
        raise ApiError("too_many_users")
    people = [context.workspace.users[name] for name in names if name in context.workspace.users]
    return {"users": {user.id: _reachable(user) for user in people}}


def _reachable(user: User) -> Json:
    return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}


def _user(context: WorkspaceContext, params: Json) -> User:
    user = context.workspace.users.get(str(params.get("user") or BOT_USER))
    if user is None:
        raise ApiError("user_not_found")
    return user


def team_profile(context: WorkspaceContext, params: Json) -> Json:
    """team.profile.get: this workspace has no fields of its own."""
    return {"profile": {"fields": [], "sections": []}}


def teams(context: WorkspaceContext, params: Json) -> Json:
    """auth.teams.list: the workspaces that the token reaches, which is one."""
    team = context.workspace.team
    return {"teams": [{"id": team.id, "name": team.name}], "response_metadata": {"next_cursor": ""}}


METHODS = {
    "users.profile.get": Method(profile, ("users.profile:read",), per_minute=100),
    "users.getPresence": Method(presence, ("users:read",)),
    "users.setPresence": Method(set_presence, ("users:write",), per_minute=20),
    "users.lookupByEmail": Method(lookup, ("users:read.email",)),
    "dnd.info": Method(dnd, ("dnd:read",)),
    "dnd.teamInfo": Method(dnd_team, ("dnd:read",), per_minute=20),
    "team.profile.get": Method(team_profile, ("users.profile:read",)),
    "auth.teams.list": Method(teams, per_minute=20),
}
