"""Builds the objects of the processes from the settings: the bot with its threads, and the worker."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import BotError
from bot.factories import artifacts_folder, hosted_endpoint, load_prices, open_measurement_llm
from bot.manifest import bot_scopes
from bot.settings import WHERE, Settings
from bot.slack.app import FEATURES, build_app, posting_client, slack_client
from bot.slack.delivery.background_loop import run_every
from bot.slack.teams import OneTeam
from bot.slack.thread_start import start_threads
from bot.teams.directory import require_home_of_one
from bot.teams.runtime import SlackConnection, open_runtime, open_shared
from bot.teams.team_state import has_data, lock_home, settings_of
from worker.logs import start_logging
from worker.transport import signing
from worker.transport.embedded_redis import embedded_redis

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_bolt.adapter.socket_mode import SocketModeHandler
    from starlette.routing import Route

    from bot.slack.services import Services
    from bot.teams.directory import Directory
    from bot.teams.tokens import Tokens

PRELOAD = (
    "torch",
    "transformers",
    "peft",
    "sklearn.linear_model",
    "matplotlib.backends.backend_agg",
    "finetune.pipeline",
    "finetune.measurement.run",
    "finetune.serving.predict",
)
SOCKET_THREADS = 10  # threads of a socket
SOCKETS = 2  # Slack sends each envelope to one of them, so a reconnect of one loses nothing
MINUTE_S, HOUR_S = 60.0, 3600.0
log = logging.getLogger("trainwise")


class Runtime(Protocol):
    """The runtime of one team (TeamRuntime) or of many (TeamRuntimes)."""

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def run_maintenance(self) -> None: ...


@dataclass
class Bot:
    """Everything that runs in the bot's process; `start()` returns once Slack is connected."""

    settings: Settings
    app: App
    client: WebClient
    cleanup: ExitStack
    start_teams: Callable[[], None]  # starts the runtime of the team or teams
    runtime: Runtime
    routes: Sequence[Route] = ()  # OAuth routes of a bot that workspaces install

    def start(self) -> None:
        """Starts dispatching jobs, delivering posts and listening to Slack."""
        self.start_teams()
        self.cleanup.callback(
            run_every(HOUR_S if not self.routes else MINUTE_S, self.runtime.run_maintenance)
        )
        settings = self.settings
        if settings.slack_mode == "http":
            from bot.slack.http import build_site, run_site

            assert settings.slack_signing_secret
            site = build_site(self.app, settings.slack_signing_secret.reveal(), self.routes)
            self.cleanup.callback(run_site(site, settings.http_host, settings.http_port))
            return
        if self.routes:
            from starlette.applications import Starlette

            from bot.slack.http import health_route, run_site

            site = Starlette(routes=[health_route(), *self.routes])
            self.cleanup.callback(run_site(site, settings.http_host, settings.http_port))
        self._open_sockets()

    def _open_sockets(self) -> None:
        """One app-level token serves every team."""
        from slack_bolt.adapter.socket_mode import SocketModeHandler

        assert self.settings.slack_app_token
        for _ in range(SOCKETS):
            handler = SocketModeHandler(
                self.app,
                self.settings.slack_app_token.reveal(),
                web_client=self.client,
                concurrency=SOCKET_THREADS,
            )
            self.cleanup.callback(close_socket, handler)
            start_threads(handler.client.message_workers, SOCKET_THREADS)
            try:
                handler.connect()
            except SlackApiError as refused:
                raise BotError(refused_token("SLACK_APP_TOKEN", refused)) from refused

    def stop(self) -> None:
        """Finishes the running answers, then closes everything; jobs on workers continue without the bot."""
        self.runtime.stop()
        self.cleanup.close()
        self.runtime.close()


def close_socket(handler: SocketModeHandler) -> None:
    """Closes a socket; slack_sdk 3.47 raises AttributeError during a reconnect."""
    with suppress(AttributeError):
        handler.close()


def redis_address(settings: Settings, cleanup: ExitStack) -> str:
    """The URL of the configured Redis, or of an embedded one in the bot's home that stops with the bot."""
    if settings.redis_url is not None:
        return settings.redis_url.reveal()
    server = embedded_redis(settings.home / "redis")
    cleanup.callback(server.stop)
    note = settings.home / "redis.url"
    note.write_text(server.url, encoding="utf-8")
    cleanup.callback(lambda: note.unlink(missing_ok=True))
    return server.url


def build(settings: Settings) -> Bot:
    """The bot, built but not started; raises SettingsError for missing Slack credentials, BotError for bad ones."""
    settings.require_slack()
    settings.home.mkdir(parents=True, exist_ok=True)
    return build_for_many(settings) if settings.installing.client_id else build_for_one(settings)


def build_for_one(settings: Settings) -> Bot:
    """The bot of one team, with one token and its state in the home itself."""
    assert settings.slack_bot_token
    token = settings.slack_bot_token.reveal()
    client = slack_client(token, settings.slack_api_url)
    team = fetch_team_id(client)
    require_home_of_one(settings.home, settings.database_url.reveal(), team)
    cleanup = ExitStack()
    cleanup.callback(lock_home(settings.home, exclusive=False))
    shared = open_shared(settings, redis_address(settings, cleanup))
    signing.pair_locally(settings.home / "keys")
    connection = SlackConnection(client, posting_client(token, settings.slack_api_url), lambda: token)
    runtime = open_runtime(settings, "", connection, shared)
    app = build_app(client, OneTeam(runtime.services), settings.listener_threads, signing_secret(settings))

    def start_teams() -> None:
        runtime.start()
        start_tickets(settings, lambda team: None if team else runtime.services, cleanup)

    return Bot(settings, app, client, cleanup, start_teams, runtime)


def build_for_many(settings: Settings) -> Bot:
    """The bot of all teams that install the app by OAuth; opens no team before `start()`."""
    from bot.teams.directory import Directory, open_engine
    from bot.teams.install import build_install_flow, install_routes
    from bot.teams.runtimes import TeamAuthorize, TeamRuntimes
    from bot.teams.tokens import EncryptedStore, Tokens
    from bot.teams.uninstall import UninstallEvents

    assert settings.installing.client_secret
    cleanup = ExitStack()
    cleanup.callback(lock_home(settings.home))
    engine = open_engine(settings.home, settings.database_url.reveal())
    cleanup.callback(engine.dispose)
    store = EncryptedStore(settings.installing.client_id, engine, settings.home / "keys")
    secret = settings.installing.client_secret.reveal()
    tokens = Tokens(store, settings.installing.client_id, secret, settings.slack_api_url)
    directory = Directory(engine)
    adopt_home(settings, directory, tokens)
    shared = open_shared(settings, redis_address(settings, cleanup))
    signing.pair_locally(settings.home / "keys")
    runtimes = TeamRuntimes(settings, shared, directory, tokens)
    client = slack_client("", settings.slack_api_url)
    client.token = None
    app = build_app(
        client,
        runtimes,
        settings.listener_threads,
        signing_secret(settings),
        (UninstallEvents(runtimes), *FEATURES),
        TeamAuthorize(runtimes),
    )
    routes = install_routes(build_install_flow(runtimes, bot_scopes()))

    def start_teams() -> None:
        runtimes.open_all()
        start_tickets(settings, runtimes.services_of, cleanup)

    return Bot(settings, app, client, cleanup, start_teams, runtimes, routes)


def start_tickets(settings: Settings, find: Callable[[str], Services | None], cleanup: ExitStack) -> None:
    """Starts the server for tickets of other systems, if a port is set."""
    if settings.tickets_port:
        from bot.slack.ticket_server import start_ticket_server

        many_teams = bool(settings.installing.client_id)
        stop = start_ticket_server(
            find, settings.http_host, settings.tickets_port, settings.tickets_keys, many_teams
        )
        cleanup.callback(stop)


def adopt_home(settings: Settings, directory: Directory, tokens: Tokens) -> None:
    """Assigns the state of a bot with one token in this home to its team; raises BotError when the team is unknown."""
    from bot.teams.runtimes import assign_home

    if any(not record.place for record in directory.all()) or not has_data(settings):
        return
    if settings.slack_bot_token is None:
        raise BotError(
            f"{settings.home} holds the state of a workspace, and without SLACK_BOT_TOKEN I cannot tell of which. Start "
            "once with that workspace's token; or set TRAINWISE_HOME to another folder."
        )
    client = slack_client(settings.slack_bot_token.reveal(), settings.slack_api_url)
    fetch_team_id(client)
    record = assign_home(directory, tokens, client)
    log.info("the state in %s belongs to team %s", settings.home, record.id)


def signing_secret(settings: Settings) -> str:
    """The secret that HTTP mode checks requests with; a placeholder in Socket Mode."""
    return settings.slack_signing_secret.reveal() if settings.slack_signing_secret else "unused"


def fetch_team_id(client: WebClient) -> str:
    """The team's id from auth.test; raises BotError with what to do when Slack refuses the token or is not reached."""
    try:
        return str(client.auth_test()["team_id"])
    except SlackApiError as refused:
        raise BotError(refused_token("SLACK_BOT_TOKEN", refused)) from refused
    except (OSError, HTTPException) as error:
        raise BotError(
            f"Slack cannot be reached at {client.base_url} ({type(error).__name__}). Check the network, "
            "HTTPS_PROXY and SLACK_API_URL, then start again."
        ) from error


def refused_token(variable: str, error: SlackApiError) -> str:
    """The error text for a token that Slack refuses."""
    code = error.response.get("error")
    return (
        f"Slack refuses {variable} ({code}). {WHERE[variable]} Then start again; jobs and reports are kept."
    )


def run_bot(settings: Settings) -> None:
    """Runs the bot until SIGTERM or Ctrl-C, then stops it gracefully."""
    start_logging(settings.log_level, settings.secrets(), settings.log_format)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at info it logs the URLs of people's files
    stop_event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_event.set())
    bot = build(settings)
    try:
        bot.start()
        log.info("trainwise is up (%s mode)", settings.slack_mode)
        stop_event.wait()
    finally:
        bot.stop()


def run_worker(
    settings: Settings,
    name: str | None = None,
    burst: bool = False,
    gpu: str | None = None,
    health_port: int = 0,
) -> None:
    """Runs a worker until SIGTERM; the queue is the configured one or that of a bot in the same home."""
    from worker.runtime.options import WorkerOptions
    from worker.runtime.server import serve

    start_logging(settings.log_level, settings.secrets(), settings.log_format)
    note = settings.home / "redis.url"
    if settings.redis_url is None and not note.is_file():
        raise BotError("There is no queue yet. Set TRAINWISE_REDIS_URL, or start `trainwise up` here first.")
    url = settings.redis_url.reveal() if settings.redis_url else note.read_text(encoding="utf-8").strip()
    prices = load_prices(settings)
    signing.pair_locally(settings.home / "keys")
    options = WorkerOptions(
        redis_url=url,
        name=name or socket.gethostname(),
        keys=settings.home / "keys",
        spool=settings.home / "spool",
        artifacts=artifacts_folder(settings),
        datasets_url=settings.datasets_url,
        find_llm=lambda team: open_measurement_llm(settings_of(settings, team)),
        find_endpoint=partial(hosted_endpoint, settings),
        prices=prices,
        price_per_hour=float(prices["cpu_hour"]["usd"]),
        gpus=gpu,
        health_port=health_port,
        preload=PRELOAD,
        max_jobs=1 if burst else None,
    )
    serve(options)
