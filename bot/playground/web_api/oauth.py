"""Installing the app by OAuth: what the allow page hands out, oauth.v2.access, rotation, and being removed."""

from __future__ import annotations

import html
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bot.playground.errors import ApiError
from bot.playground.state import seed
from bot.playground.state.posting import WorkspaceContext
from bot.playground.state.workspace import Json, new_bot_token
from bot.playground.web_api.calls import Method, flag
from bot.playground.web_api.webhooks import webhook_of

CODE_S = 600.0
OVERLAP_S = 12 * 3600.0  # how long a token lives on after a rotation


@dataclass
class Codes:
    """The codes that were handed out and not used, each for one workspace; a code works once."""

    contexts: dict[str, WorkspaceContext] = field(default_factory=dict)
    open: dict[str, tuple[WorkspaceContext, float, str]] = field(default_factory=dict)
    old_codes: set[str] = field(default_factory=set)

    def issue(self, context: WorkspaceContext, redirect_uri: str) -> str:
        """A code for this workspace's tokens."""
        code = secrets.token_hex(12)
        self.open[code] = (context, context.workspace.clock.now() + CODE_S, redirect_uri)
        return code

    def use(self, code: str, redirect_uri: str) -> WorkspaceContext:
        """The workspace that allowed it; Slack's error for a code that is unknown, used, too old or another address's."""
        if code in self.old_codes:
            raise ApiError("code_already_used")
        context, end, address = self.open.get(code, (None, 0.0, ""))
        if context is None or context.workspace.clock.now() > end:
            raise ApiError("invalid_code")
        if redirect_uri and redirect_uri != address:
            raise ApiError("bad_redirect_uri")
        del self.open[code]
        self.old_codes.add(code)
        return context

    def of_refresh_token(self, token: str) -> WorkspaceContext:
        """The workspace with this refresh token; invalid_refresh_token otherwise."""
        for context in self.contexts.values():
            if token and token == context.workspace.tokens.get("refresh"):
                return context
        raise ApiError("invalid_refresh_token")


def _check_client(context: WorkspaceContext, params: Json) -> None:
    """Slack's refusal unless the app's own id and secret are given."""
    tokens = context.workspace.tokens
    if params.get("client_id") != tokens["client_id"]:
        raise ApiError("invalid_client_id")
    if params.get("client_secret") != tokens["client_secret"]:
        raise ApiError("bad_client_secret")


def access(context: WorkspaceContext, params: Json) -> Json:
    """oauth.v2.access: tokens for a code, or fresh ones for a refresh token."""
    _check_client(context, params)
    codes: Codes = context.codes
    if params.get("grant_type") == "refresh_token":
        granting = codes.of_refresh_token(str(params.get("refresh_token") or ""))
        return _grant(granting, anew=True)
    if params.get("grant_type") not in (None, "", "authorization_code"):
        raise ApiError("invalid_grant_type")
    return _grant(codes.use(str(params.get("code") or ""), str(params.get("redirect_uri") or "")))


def _grant(context: WorkspaceContext, anew: bool = False) -> Json:
    workspace = context.workspace
    lifetime, now = workspace.tokens.get("lifetime_s"), workspace.clock.now()
    bot, refresh = new_bot_token(), None
    older = [pair for pair in workspace.tokens.get("older") or () if pair[1] > now]
    if anew:
        end = workspace.tokens.get("bot_expires_at") or now + OVERLAP_S
        older.append([workspace.tokens["bot"], end])
    if lifetime:
        bot, refresh = f"xoxe.{bot}", f"xoxe-1-{secrets.token_hex(48)}"
    end = now + lifetime if lifetime else None
    workspace.keep_tokens(bot=bot, refresh=refresh, older=older, bot_expires_at=end)
    team = {"id": workspace.team.id, "name": workspace.team.name}
    webhook = None if anew else webhook_of(context)
    return {
        "app_id": seed.APP_ID,
        "access_token": bot,
        "token_type": "bot",
        "scope": ",".join(sorted(workspace.app.scopes)),
        "bot_user_id": seed.BOT_USER,
        "team": team,
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": seed.ANA},
        **({"incoming_webhook": webhook} if webhook else {}),
        **({"refresh_token": refresh, "expires_in": int(lifetime)} if lifetime else {}),
    }


def remove_app(context: WorkspaceContext) -> list[str | None]:
    """Revokes the app's tokens and tells it so, as Slack does; the events' ids."""
    workspace = context.workspace
    dead = [*workspace.tokens["revoked"], workspace.tokens["bot"]]
    workspace.keep_tokens(revoked=dead, refresh=None, older=[])
    stamp = {"event_ts": workspace.new_ts()}
    tokens = {"oauth": [], "bot": [seed.BOT_USER]}
    events = ({"type": "tokens_revoked", "tokens": tokens}, {"type": "app_uninstalled"})
    return [context.outbox.emit(event | stamp) for event in events]


def allow_page(contexts: dict[str, WorkspaceContext], query: Json) -> str:
    """The page on which an admin chooses the workspace and allows the app what it asks for."""
    first = next(iter(contexts.values())).workspace
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(str(query.get(name) or ""), quote=True)}">'
        for name in ("redirect_uri", "state")
    )
    buttons = "".join(
        f'<button name="team" value="{team}">Allow in {html.escape(context.workspace.team.name)}</button> '
        for team, context in contexts.items()
    )
    scopes = html.escape(str(query.get("scope") or "nothing"))
    return (
        f"<!DOCTYPE html><title>{html.escape(first.app.name)}</title>"
        f"<h1>{html.escape(first.app.name)} wants to be installed</h1><p>It asks for: {scopes}</p>"
        f'<form method="post" action="/oauth/v2/allow">{fields}{buttons}'
        '<button name="team" value="">Cancel</button></form>'
    )


def redirect_url(codes: Codes, form: Json) -> str:
    """Where the browser goes after the choice: the app's address with a code, or with access_denied."""
    address, state = str(form.get("redirect_uri") or ""), str(form.get("state") or "")
    context = codes.contexts.get(str(form.get("team") or ""))
    answer = {"code": codes.issue(context, address)} if context else {"error": "access_denied"}
    return f"{address}{'&' if '?' in address else '?'}{urlencode({**answer, 'state': state})}"


def uninstall(context: WorkspaceContext, params: Json) -> Json:
    """apps.uninstall: the app removes itself, by its own id and secret."""
    _check_client(context, params)
    remove_app(context)
    return {}


def revoke(context: WorkspaceContext, params: Json) -> Json:
    """auth.revoke: this token becomes invalid; with `test` it stays valid."""
    if flag(params.get("test")):
        return {"revoked": False}
    remove_app(context)
    return {"revoked": True}


METHODS = {"oauth.v2.access": Method(access, token="none", per_minute=600)}  # noqa: S106
METHODS |= {"apps.uninstall": Method(uninstall), "auth.revoke": Method(revoke)}
