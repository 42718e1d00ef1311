"""Settings become objects here and nowhere else: the bot with its threads, and the worker."""

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
from bot.factories import artifacts_folder, hosted_endpoint, load_prices, measuring_llm
from bot.manifest import bot_scopes
from bot.settings import WHERE, Settings
from bot.slack.app import FEATURES, build_app, posting_client, slack_client
from bot.slack.delivery.rounds import every
from bot.slack.teams import OneTeam
from bot.slack.thread_start import start_threads
from bot.teams.directory import require_home_of_one
from bot.teams.place import hold_home, holds_data, settings_of
from bot.teams.runtime import Line, open_runtime, open_shared
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
WORKERS = 10  # threads of a socket
SOCKETS = 2  # Slack sends each envelope to one of them, so a hang-up of one is no gap
MINUTE_S, HOUR_S = 60.0, 3600.0
log = logging.getLogger("trainwise")


class Runs(Protocol):
    """What answers for one team or for many."""

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def upkeep(self) -> None: ...


@dataclass
class Bot:
    """Everything that runs in the bot's process; `start()` returns once Slack is connected."""

    settings: Settings
    app: App
    client: WebClient
    cleanup: ExitStack
    begin: Callable[[], None]  # what answers for the team or the teams begins to work
    runs: Runs
    routes: Sequence[Route] = ()  # by which workspaces install the app

    def start(self) -> None:
        """Carries jobs, pays posts and listens to Slack."""
        self.begin()
        self.cleanup.callback(every(HOUR_S if not self.routes else MINUTE_S, self.runs.upkeep))
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
                concurrency=WORKERS,
            )
            self.cleanup.callback(close_socket, handler)
            start_threads(handler.client.message_workers, WORKERS)
            try:
                handler.connect()
            except SlackApiError as refused:
                raise BotError(refused_token("SLACK_APP_TOKEN", refused)) from refused

    def stop(self) -> None:
        """Finishes the answers under way, then lets go of everything; jobs go on without the bot."""
        self.runs.stop()
        self.cleanup.close()
        self.runs.close()


def close_socket(handler: SocketModeHandler) -> None:
    """Ends a socket; slack_sdk 3.47 trips over its own reconnect when one is under way."""
    with suppress(AttributeError):
        handler.close()


def redis_address(settings: Settings, cleanup: ExitStack) -> str:
    """The configured queue, or an embedded one in the bot's home that lives as long as the bot."""
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
    """The bot of one team, with its token and its state in the home itself."""
    assert settings.slack_bot_token
    token = settings.slack_bot_token.reveal()
    client = slack_client(token, settings.slack_api_url)
    team = greet(client)
    require_home_of_one(settings.home, settings.database_url.reveal(), team)
    cleanup = ExitStack()
    cleanup.callback(hold_home(settings.home, alone=False))
    shared = open_shared(settings, redis_address(settings, cleanup))
    signing.pair_locally(settings.home / "keys")
    line = Line(client, posting_client(token, settings.slack_api_url), lambda: token)
    runtime = open_runtime(settings, "", line, shared)
    app = build_app(client, OneTeam(runtime.services), settings.listener_threads, signing_secret(settings))

    def begin() -> None:
        runtime.start()
        open_tickets(settings, lambda team: None if team else runtime.services, cleanup)

    return Bot(settings, app, client, cleanup, begin, runtime)


def build_for_many(settings: Settings) -> Bot:
    """The bot of every team that installs the app by OAuth; nothing is opened for a team before `start()`."""
    from bot.teams.directory import Directory, open_engine
    from bot.teams.install import install_routes, open_flow
    from bot.teams.leaving import Leaving
    from bot.teams.runtimes import TeamAuthorize, TeamRuntimes
    from bot.teams.tokens import SealedStore, Tokens

    assert settings.installing.client_secret
    cleanup = ExitStack()
    cleanup.callback(hold_home(settings.home))
    engine = open_engine(settings.home, settings.database_url.reveal())
    cleanup.callback(engine.dispose)
    store = SealedStore(settings.installing.client_id, engine, settings.home / "keys")
    secret = settings.installing.client_secret.reveal()
    tokens = Tokens(store, settings.installing.client_id, secret, settings.slack_api_url)
    directory = Directory(engine)
    take_over(settings, directory, tokens)
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
        (Leaving(runtimes), *FEATURES),
        TeamAuthorize(runtimes),
    )
    routes = install_routes(open_flow(runtimes, bot_scopes()))

    def begin() -> None:
        runtimes.open_all()
        open_tickets(settings, runtimes.services_of, cleanup)

    return Bot(settings, app, client, cleanup, begin, runtimes, routes)


def open_tickets(settings: Settings, find: Callable[[str], Services | None], cleanup: ExitStack) -> None:
    """The door for tickets of other systems, where a port is set for it."""
    if settings.tickets_port:
        from bot.slack.ticket_door import open_door

        many = bool(settings.installing.client_id)
        door = open_door(find, settings.http_host, settings.tickets_port, settings.tickets_keys, many)
        cleanup.callback(door)


def take_over(settings: Settings, directory: Directory, tokens: Tokens) -> None:
    """What a bot with one token left in this home becomes its team's; BotError where nobody knows whose it is."""
    from bot.teams.runtimes import adopt

    if any(not record.place for record in directory.all()) or not holds_data(settings):
        return
    if settings.slack_bot_token is None:
        raise BotError(
            f"{settings.home} holds the state of a workspace, and without SLACK_BOT_TOKEN I cannot tell of which. Start "
            "once with that workspace's token; or set TRAINWISE_HOME to another folder."
        )
    client = slack_client(settings.slack_bot_token.reveal(), settings.slack_api_url)
    greet(client)
    record = adopt(directory, tokens, client)
    log.info("what lies in %s is the state of %s", settings.home, record.id)


def signing_secret(settings: Settings) -> str:
    """What HTTP mode checks requests with; Socket Mode has none."""
    return settings.slack_signing_secret.reveal() if settings.slack_signing_secret else "unused"


def greet(client: WebClient) -> str:
    """Asks Slack whose bot we are, and gives the team's id; BotError says what to do about a refused token or a Slack out of reach."""
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
    """What to do about a token that Slack does not take (or not for this call)."""
    code = error.response.get("error")
    return (
        f"Slack refuses {variable} ({code}). {WHERE[variable]} Then start again; jobs and reports are kept."
    )


def run_bot(settings: Settings) -> None:
    """Runs the bot until SIGTERM or Ctrl-C, then drains."""
    start_logging(settings.log_level, settings.secrets(), settings.log_format)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log the addresses of people's files
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    bot = build(settings)
    try:
        bot.start()
        log.info("trainwise is up (%s mode)", settings.slack_mode)
        over.wait()
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
        find_llm=lambda team: measuring_llm(settings_of(settings, team)),
        find_endpoint=partial(hosted_endpoint, settings),
        prices=prices,
        price_per_hour=float(prices["cpu_hour"]["usd"]),
        gpus=gpu,
        health_port=health_port,
        preload=PRELOAD,
        max_jobs=1 if burst else None,
    )
    serve(options)
