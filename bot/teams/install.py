"""Installing by OAuth: the page with the button, the way back from Slack, and the routes for both."""

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
from bot.slack.trouble import SLACK_TROUBLE
from bot.teams.runtimes import TeamRuntimes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
STATE_S = 600
log = logging.getLogger("trainwise.installations")


class InstallRefusal(BoltError):
    """A workspace that is not on the list of those that may install; its text is for whoever tried."""


class Installing(OAuthFlow):
    """Bolt's flow, whose last step opens the team's runtime: the page that says "installed" is true when it shows.

    A workspace that TRAINWISE_MAY_INSTALL does not name gives its token back and is told so; one that is served
    already may install again.
    """

    def __init__(self, runtimes: TeamRuntimes, settings: OAuthSettings) -> None:
        self.runtimes = runtimes
        client = slack_client("", runtimes.settings.slack_api_url)
        super().__init__(client=client, logger=log, settings=settings)
        self.failure_handler = self.show_failure

    def store_installation(self, request: BoltRequest, installation: Installation) -> None:
        if not self.may_install(installation):
            self.give_back(installation)
            raise InstallRefusal(refusal_of(installation))
        self.runtimes.welcome(installation)

    def may_install(self, installation: Installation) -> bool:
        """Whether the list names the workspace, its organisation or its domain, or it is served already."""
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

    def give_back(self, installation: Installation) -> None:
        """Has Slack remove the app there again: nobody keeps a token that nothing uses."""
        log.warning("%s is not on TRAINWISE_MAY_INSTALL", installation.team_id or installation.enterprise_id)
        app = {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}
        try:
            self.client.apps_uninstall(**app, token=installation.bot_token)
        except SLACK_TROUBLE as error:
            log.warning("the app stays there until an admin removes it: %s", error)

    def show_failure(self, failure: FailureArgs) -> BoltResponse:
        """Bolt's page, or ours for a workspace that may not install."""
        if not isinstance(failure.error, InstallRefusal):
            return failure.default.failure(failure)
        body = f"<!DOCTYPE html><title>Not installed</title><h1>Not installed</h1><p>{escape(str(failure.error))}</p>"
        return BoltResponse(status=403, headers={"Content-Type": "text/html; charset=utf-8"}, body=body)


def is_id(entry: str) -> bool:
    """Whether an entry of the list is an id; else it is a domain."""
    return "." not in entry


def refusal_of(installation: Installation) -> str:
    """What is said to whoever tried to install, with the id that the operator would add."""
    name = installation.team_name or installation.enterprise_name or "This workspace"
    return (
        f"{name} ({installation.team_id or installation.enterprise_id}) is not on the list of workspaces that this bot "
        "serves, so the app was taken out again and nothing was kept. Ask whoever runs the bot to add that id to "
        "TRAINWISE_MAY_INSTALL, then install again."
    )


class States(SQLAlchemyOAuthStateStore):
    """slack_sdk's store, which keeps what nobody came back with for ever: the page of installing is open to everybody."""

    def issue(self, *args: Any, **kwargs: Any) -> str:
        column = self.oauth_states.c.expire_at
        with self.engine.begin() as connection:
            connection.execute(
                self.oauth_states.delete().where(column < normalize_datetime_for_db(datetime.now(UTC)))
            )
        return super().issue(*args, **kwargs)


def open_flow(runtimes: TeamRuntimes, scopes: list[str]) -> Installing:
    """The flow with states in the database of teams, so that any of several bots takes the answer."""
    settings: Settings = runtimes.settings
    assert settings.installing.client_secret
    states = States(STATE_S, runtimes.directory.engine, log)
    states.create_tables()
    public = settings.installing.public_url
    return Installing(
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
    """GET /slack/install and GET /slack/oauth_redirect, each answered in a thread of its own: a runtime takes seconds."""
    from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
    from starlette.concurrency import run_in_threadpool
    from starlette.routing import Route

    async def install(request: Request) -> Response:
        return await answer(flow.handle_installation, request)

    async def come_back(request: Request) -> Response:
        return await answer(flow.handle_callback, request)

    async def answer(handle: object, request: Request) -> Response:
        question = to_bolt_request(request, b"")
        reply: BoltResponse = await run_in_threadpool(handle, question)  # type: ignore[arg-type]
        return to_starlette_response(reply)

    return [Route(INSTALL, install, methods=["GET"]), Route(REDIRECT, come_back, methods=["GET"])]
