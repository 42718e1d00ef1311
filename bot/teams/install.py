"""Installing by OAuth: the page with the button, the way back from Slack, and the routes for both."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slack_bolt import BoltRequest, BoltResponse
from slack_bolt.oauth import OAuthFlow
from slack_bolt.oauth.oauth_settings import OAuthSettings
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.sqlalchemy_utils import normalize_datetime_for_db
from slack_sdk.oauth.state_store.sqlalchemy import SQLAlchemyOAuthStateStore

from bot.settings import Settings
from bot.slack.app import slack_client
from bot.teams.offices import Offices

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
STATE_S = 600
log = logging.getLogger("trainwise.installations")


class Installing(OAuthFlow):
    """Bolt's flow, whose last step opens the team's office: the page that says "installed" is true when it shows."""

    def __init__(self, offices: Offices, settings: OAuthSettings) -> None:
        self.offices = offices
        client = slack_client("", offices.settings.slack_api_url)
        super().__init__(client=client, logger=log, settings=settings)

    def store_installation(self, request: BoltRequest, installation: Installation) -> None:
        self.offices.welcome(installation)


class States(SQLAlchemyOAuthStateStore):
    """slack_sdk's store, which keeps what nobody came back with for ever: the page of installing is open to everybody."""

    def issue(self, *args: Any, **kwargs: Any) -> str:
        column = self.oauth_states.c.expire_at
        with self.engine.begin() as connection:
            connection.execute(
                self.oauth_states.delete().where(column < normalize_datetime_for_db(datetime.now(UTC)))
            )
        return super().issue(*args, **kwargs)


def open_flow(offices: Offices, scopes: list[str]) -> Installing:
    """The flow with states in the database of teams, so that any of several bots takes the answer."""
    settings: Settings = offices.settings
    assert settings.installing.client_secret
    states = States(STATE_S, offices.directory.engine, log)
    states.create_tables()
    public = settings.installing.public_url
    return Installing(
        offices,
        OAuthSettings(
            client_id=settings.installing.client_id,
            client_secret=settings.installing.client_secret.reveal(),
            scopes=scopes,
            install_path=INSTALL,
            redirect_uri_path=REDIRECT,
            redirect_uri=f"{public.rstrip('/')}{REDIRECT}" if public else None,
            authorization_url=settings.slack_api_url.removesuffix("api/") + "oauth/v2/authorize",
            installation_store=offices.tokens.store,
            state_store=states,
            state_expiration_seconds=STATE_S,
            logger=log,
        ),
    )


def install_routes(flow: OAuthFlow) -> list[Route]:
    """GET /slack/install and GET /slack/oauth_redirect, each answered in a thread of its own: an office takes seconds."""
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
