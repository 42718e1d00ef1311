"""auth, apps.connections, users, bots and team: who is who."""

from __future__ import annotations

from dataclasses import replace

from bot.playground.errors import ApiError
from bot.playground.state import seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.seed import BOT_USER, User
from bot.playground.state.workspace import Json
from bot.playground.web_api.calls import Method, need
from bot.playground.web_api.conversations import page

SLACKBOT = User("USLACKBOT", "slackbot", "Slackbot", "", "#757575")


def describe(context: WorkspaceContext, user: User) -> Json:
    """A user object; with an e-mail address only where the app has users:read.email."""
    image = f"{context.workspace.base_url}/static/icon.svg" if user.is_bot else ""
    mail = address(context, user)
    return {
        "id": user.id,
        "team_id": user.team,
        "name": user.name,
        "deleted": user.deleted,
        "color": user.color.removeprefix("#"),
        "real_name": user.real_name,
        "tz": "Europe/Lisbon",
        "tz_label": "Western European Time",
        "tz_offset": 0,
        "profile": {
            "title": user.title,
            "real_name": user.real_name,
            "real_name_normalized": user.real_name,
            "display_name": user.name,
            "display_name_normalized": user.name,
            "image_48": image,
            "image_72": image,
            "team": user.team,
            **({"email": mail} if mail and "users:read.email" in context.workspace.app.scopes else {}),
            **({"api_app_id": seed.APP_ID, "bot_id": seed.BOT_ID} if user.is_bot else {}),
        },
        "is_admin": user.is_admin,
        "is_owner": user.is_admin,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_restricted": user.is_restricted or user.is_ultra_restricted,
        "is_ultra_restricted": user.is_ultra_restricted,
        **({"is_stranger": True} if user.is_stranger else {}),
        **({"enterprise_user": _grid_user(user)} if user.grid_teams else {}),
        "updated": 1_767_225_600,
    }


def address(context: WorkspaceContext, user: User) -> str:
    """The person's e-mail address; apps have none."""
    return (
        ""
        if user.is_bot or user.id == SLACKBOT.id
        else f"{user.name}@{context.workspace.team.domain}.example"
    )


def _grid_user(user: User) -> Json:
    """What Slack says about a person of an Enterprise Grid."""
    grid = {"id": user.id, "enterprise_id": "E0NORTHWIND", "enterprise_name": "Northwind Group"}
    return {**grid, "is_admin": False, "is_owner": False, "teams": list(user.grid_teams)}


def auth_test(context: WorkspaceContext, params: Json) -> Json:
    """auth.test."""
    return {
        "url": f"{context.workspace.base_url}/",
        "team": context.workspace.team.name,
        "user": context.workspace.users[BOT_USER].name,
        "team_id": context.workspace.team.id,
        "user_id": BOT_USER,
        "bot_id": seed.BOT_ID,
        "is_enterprise_install": False,
    }


def api_test(context: WorkspaceContext, params: Json) -> Json:
    """api.test."""
    if params.get("error"):
        raise ApiError(str(params["error"]), args=params)
    return {"args": params}


def users_list(context: WorkspaceContext, params: Json) -> Json:
    """users.list."""
    people = [describe(context, user) for user in (*context.workspace.users.values(), _slackbot(context))]
    rows, cursor = page(people, params)
    return {"members": rows, "cache_ts": 0, "response_metadata": {"next_cursor": cursor}}


def users_info(context: WorkspaceContext, params: Json) -> Json:
    """users.info."""
    need(params, "user")
    people = {**context.workspace.users, SLACKBOT.id: _slackbot(context)}
    user = people.get(str(params["user"]))
    if user is None:
        raise ApiError("user_not_found")
    return {"user": describe(context, user)}


def _slackbot(context: WorkspaceContext) -> User:
    """Slackbot, which every workspace has; Slack marks it as no bot."""
    return replace(SLACKBOT, team=context.workspace.team.id, home=context.workspace.team.id)


def users_conversations(context: WorkspaceContext, params: Json) -> Json:
    """users.conversations: where the app (or a user) is a member."""
    from bot.playground.web_api.conversations import listing

    answer = listing(context, params)
    user = params.get("user") or BOT_USER
    mine = [c for c in answer["channels"] if user in context.workspace.channels[c["id"]].members]
    return {**answer, "channels": mine}


def bots_info(context: WorkspaceContext, params: Json) -> Json:
    """bots.info."""
    if params.get("bot") not in (None, "", seed.BOT_ID):
        raise ApiError("bot_not_found")
    return {"bot": context.workspace.bot_profile()}


def team_info(context: WorkspaceContext, params: Json) -> Json:
    """team.info."""
    team = {
        "id": context.workspace.team.id,
        "name": context.workspace.team.name,
        "domain": context.workspace.team.domain,
        "email_domain": "",
        "icon": {},
    }
    return {"team": team}


def emoji_list(context: WorkspaceContext, params: Json) -> Json:
    """emoji.list: no custom emoji here."""
    return {"emoji": {}, "cache_ts": "0"}


METHODS = {
    "api.test": Method(api_test, token="none", per_minute=600),  # noqa: S106
    "auth.test": Method(auth_test, per_minute=600),
    "users.list": Method(users_list, ("users:read",), per_minute=20),
    "users.info": Method(users_info, ("users:read",), per_minute=100),
    "users.conversations": Method(
        users_conversations, ("channels:read", "groups:read", "im:read", "mpim:read"), per_minute=50
    ),
    "bots.info": Method(bots_info, ("users:read",)),
    "team.info": Method(team_info, ("team:read",)),
    "emoji.list": Method(emoji_list, ("emoji:read",), per_minute=20),
}
