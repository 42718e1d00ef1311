"""Installation by OAuth: the page with the button, Slack's redirect, and the routes for both."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from slack_bolt import BoltRequest, BoltResponse
from slack_bolt.error import BoltError
from slack_bolt.oauth import OAuthFlow
from slack_bolt.oauth.callback_options import FailureArgs
from slack_bolt.oauth.oauth_settings import OAuthSettings
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.sqlalchemy_utils import normalize_datetime_for_db
from slack_sdk.oauth.state_store.sqlalchemy import SQLAlchemyOAuthStateStore

from bot.settings import Settings
from bot.slack.app import slack_client
from bot.slack.slack_errors import SLACK_ERRORS
from bot.teams.runtimes import TeamRuntimes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
STATE_S = 600
log = logging.getLogger("trainwise.installations")


class InstallRefusal(BoltError):
    """The workspace is not on the allow-list; the text is for the person who tried to install."""


class InstallFlow(OAuthFlow):
    """Bolt's flow; its last step opens the team's runtime, so that the bot works when the page says "installed".

    A workspace that TRAINWISE_MAY_INSTALL does not name is uninstalled and told so; an installed one may install again.
    """

    def __init__(self, runtimes: TeamRuntimes, settings: OAuthSettings) -> None:
        self.runtimes = runtimes
        client = slack_client("", runtimes.settings.slack_api_url)
        super().__init__(client=client, logger=log, settings=settings)
        self.failure_handler = self.show_failure

    def store_installation(self, request: BoltRequest, installation: Installation) -> None:
        if not self.may_install(installation):
            self.revoke_installation(installation)
            raise InstallRefusal(refusal_text(installation))
        self.runtimes.add_installation(installation)

    def may_install(self, installation: Installation) -> bool:
        """Whether the list names the workspace, its organisation or its domain, or the workspace is already installed."""
        entries = self.runtimes.settings.installing.allow_list
        team = None if installation.is_enterprise_install else installation.team_id
        if not entries or entries & {team, installation.enterprise_id}:
            return True
        organisation = installation.enterprise_id if installation.is_enterprise_install else None
        for record in self.runtimes.directory.all():
            is_its_own = record.id == team or (record.org_wide and record.enterprise == organisation)
            if is_its_own and record.left_at is None:
                return True
        if all(is_id(one) for one in entries):
            return False
        answer = self.client.auth_test(token=installation.bot_token)
        return urlsplit(str(answer.get("url"))).hostname in entries

    def revoke_installation(self, installation: Installation) -> None:
        """Uninstalls the app from the workspace, so that no unused token remains."""
        log.warning("%s is not on TRAINWISE_MAY_INSTALL", installation.team_id or installation.enterprise_id)
        app = {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}
        try:
            self.client.apps_uninstall(**app, token=installation.bot_token)
        except SLACK_ERRORS as error:
            log.warning("the app stays installed there until an admin removes it: %s", error)

    def show_failure(self, failure: FailureArgs) -> BoltResponse:
        """Shows Bolt's error page, or ours for a workspace that may not install."""
        if not isinstance(failure.error, InstallRefusal):
            return failure.default.failure(failure)
        body = f"<!DOCTYPE html><title>Not installed</title><h1>Not installed</h1><p>{escape(str(failure.error))}</p>"
        return BoltResponse(status=403, headers={"Content-Type": "text/html; charset=utf-8"}, body=body)


def is_id(entry: str) -> bool:
    """Whether an entry of the list is an id; else it is a domain."""
    return "." not in entry


def refusal_text(installation: Installation) -> str:
    """The text for the person who tried to install, with the id that the operator could add to the list."""
    name = installation.team_name or installation.enterprise_name or "This workspace"
    return (
        f"{name} ({installation.team_id or installation.enterprise_id}) is not on the list of workspaces that this bot "
        "serves, so the app was taken out again and nothing was kept. Ask whoever runs the bot to add that id to "
        "TRAINWISE_MAY_INSTALL, then install again."
    )


class OAuthStates(SQLAlchemyOAuthStateStore):
    """slack_sdk's store of OAuth states, which also deletes expired states: anybody can open the install page."""

    def issue(self, *args: Any, **kwargs: Any) -> str:
        column = self.oauth_states.c.expire_at
        with self.engine.begin() as connection:
            connection.execute(
                self.oauth_states.delete().where(column < normalize_datetime_for_db(datetime.now(UTC)))
            )
        return super().issue(*args, **kwargs)


def build_install_flow(runtimes: TeamRuntimes, scopes: list[str]) -> InstallFlow:
    """The flow with its states in the teams' database, so that any of several bots can handle the redirect."""
    settings: Settings = runtimes.settings
    assert settings.installing.client_secret
    states = OAuthStates(STATE_S, runtimes.directory.engine, log)
    states.create_tables()
    public = settings.installing.public_url
    return InstallFlow(
        runtimes,
        OAuthSettings(
            client_id=settings.installing.client_id,
            client_secret=settings.installing.client_secret.reveal(),
            scopes=scopes,
            install_path=INSTALL,
            redirect_uri_path=REDIRECT,
            redirect_uri=f"{public.rstrip('/')}{REDIRECT}" if public else None,
            authorization_url=settings.slack_api_url.removesuffix("api/") + "oauth/v2/authorize",
            installation_store=runtimes.tokens.store,
            state_store=states,
            state_expiration_seconds=STATE_S,
            logger=log,
        ),
    )


def install_routes(flow: OAuthFlow) -> list[Route]:
    """GET /slack/install and GET /slack/oauth_redirect, each handled in a thread, since opening a runtime takes seconds."""
    from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
    from starlette.concurrency import run_in_threadpool
    from starlette.routing import Route

    async def install(request: Request) -> Response:
        return await answer(flow.handle_installation, request)

    async def redirect(request: Request) -> Response:
        return await answer(flow.handle_callback, request)

    async def answer(handle: object, request: Request) -> Response:
        question = to_bolt_request(request, b"")
        reply: BoltResponse = await run_in_threadpool(handle, question)  # type: ignore[arg-type]
        return to_starlette_response(reply)

    return [Route(INSTALL, install, methods=["GET"]), Route(REDIRECT, redirect, methods=["GET"])]
