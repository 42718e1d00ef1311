"""Settings become objects here and nowhere else: the bot with its threads, and the worker."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import BotError
from bot.factories import (
    chat_model,
    load_prices,
    measuring_llm,
    open_datasets,
    open_desk,
    open_ledger,
    plug_in_values,
)
from bot.settings import WHERE, Settings
from bot.slack.app import build_app, posting_client, slack_client, summaries
from bot.slack.audience import Audience
from bot.slack.delivery.after_job import Aftermath
from bot.slack.delivery.duty_clerk import DutyClerk
from bot.slack.delivery.notifier import Notifier
from bot.slack.delivery.pull_clerk import PullClerk
from bot.slack.delivery.rounds import every
from bot.slack.feedback_log import forget_feedback
from bot.slack.files import downloader
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Users
from finetune.data.prepare import prepare_apart
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.reconciler import Reconciler
from worker.ledger.ledger import Ledger
from worker.logs import start_logging
from worker.transport import signing
from worker.transport.embedded_redis import embedded_redis

if TYPE_CHECKING:
    from slack_bolt import App
    from slack_bolt.adapter.socket_mode import SocketModeHandler

    from worker.dispatch.desk import Desk

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
SERVING = "serving"  # beside the jobs' folders, as finetune.serving.deploy.FOLDER
SOCKETS = 2  # Slack sends each envelope to one of them, so a hang-up of one is no gap
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
log = logging.getLogger("trainwise")


@dataclass
class Bot:
    """Everything that runs in the bot's process; `start()` returns once Slack is connected."""

    settings: Settings
    app: App
    dispatcher: Dispatcher
    desk: Desk
    notifier: Notifier
    clerk: DutyClerk
    pull_clerk: PullClerk
    thread_queue: ThreadQueue
    ledger: Ledger
    client: WebClient
    cleanup: ExitStack
    purge: Callable[[], object]  # erases what was removed a day ago

    def start(self) -> None:
        """Carries jobs, pays posts and listens to Slack."""
        self.dispatcher.start()
        self.desk.start()
        self.notifier.start()
        self.clerk.start()
        self.pull_clerk.start()
        if self.settings.tickets_port:
            from bot.slack.ticket_door import open_door

            host, port = self.settings.http_host, self.settings.tickets_port
            self.cleanup.callback(open_door(self.clerk.services, host, port, self.settings.tickets_keys))
        self.cleanup.callback(every(HOUR_S, self.purge))
        if self.settings.slack_mode == "http":
            from bot.slack.http import serve_http

            assert self.settings.slack_signing_secret
            secret = self.settings.slack_signing_secret.reveal()
            port = self.settings.http_port
            self.cleanup.callback(serve_http(self.app, self.settings.http_host, port, secret))
            return
        from slack_bolt.adapter.socket_mode import SocketModeHandler

        assert self.settings.slack_app_token
        for _ in range(SOCKETS):
            handler = SocketModeHandler(
                self.app, self.settings.slack_app_token.reveal(), web_client=self.client
            )
            self.cleanup.callback(close_socket, handler)
            try:
                handler.connect()
            except SlackApiError as refused:
                raise BotError(refused_token("SLACK_APP_TOKEN", refused)) from refused

    def stop(self) -> None:
        """Finishes the answers under way, then lets go of everything; jobs go on without the bot."""
        self.thread_queue.close()
        self.clerk.stop()
        self.pull_clerk.stop()
        self.notifier.stop()
        self.dispatcher.stop()
        self.desk.stop()
        self.cleanup.close()
        self.ledger.close()


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
    assert settings.slack_bot_token
    token = settings.slack_bot_token.reveal()
    client = slack_client(token, settings.slack_api_url)
    greet(client)
    settings.home.mkdir(parents=True, exist_ok=True)
    cleanup = ExitStack()
    ledger = open_ledger(settings)
    redis_url = redis_address(settings, cleanup)
    signing.pair_locally(settings.home / "keys")
    dispatcher = Dispatcher(
        ledger,
        redis_url,
        settings.home / "keys",
        artifacts_folder(settings),
        per_user=settings.jobs_per_person,
        reconciler=Reconciler(ledger, keep_s=settings.keep_days * DAY_S or None),
    )
    if settings.keep_days:
        forget_feedback(settings.home, time.time() - settings.keep_days * DAY_S)
    poster = posting_client(token, settings.slack_api_url)
    notifier = Notifier(poster, ledger, settings.card_interval_s, lambda: dispatcher.redis_ok)
    thread_queue = ThreadQueue()
    desk = open_desk(settings, ledger, artifacts_folder(settings), notifier.wake)
    services = make_services(settings, ledger, client, dispatcher, notifier, thread_queue, cleanup)
    clerk = DutyClerk(services, client, artifacts_folder(settings) / SERVING, files=settings.ticket_files)
    holder = f"{socket.gethostname()}:{secrets.token_hex(4)}"
    pull_clerk = PullClerk(services, client, plug_in_values(settings), holder)
    services = replace(services, duty=clerk, places=desk.places, pulls=pull_clerk)
    clerk.services = pull_clerk.services = services
    notifier.aftermath = aftermath = Aftermath(services, client)
    notifier.on_answer = aftermath.place_card
    notifier.keeps_out = services.keeps_jobs_out
    secret = settings.slack_signing_secret.reveal() if settings.slack_signing_secret else "unused"
    app = build_app(client, services, settings.listener_threads, secret)
    return Bot(
        settings,
        app,
        dispatcher,
        desk,
        notifier,
        clerk,
        pull_clerk,
        thread_queue,
        ledger,
        client,
        cleanup,
        services.datasets.removals.purge,
    )


def greet(client: WebClient) -> None:
    """Asks Slack who we are; BotError says what to do about a refused token or a Slack out of reach."""
    try:
        client.auth_test()
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


def make_services(
    settings: Settings,
    ledger: Ledger,
    client: WebClient,
    dispatcher: Dispatcher,
    notifier: Notifier,
    thread_queue: ThreadQueue,
    cleanup: ExitStack,
) -> Services:
    """What the listeners work with; the index opens here, so its libraries load here and not on import."""
    from rag.adviser import Adviser
    from rag.index import Index
    from rag.search.embedding import load_embedder

    assert settings.slack_bot_token
    embed = load_embedder(settings.home / "cache")
    index = cleanup.enter_context(Index.open(settings.home / "index", embed, settings.chroma_url))
    index.ensure_guide()
    prices = load_prices(settings)
    users = Users(client, insiders=settings.admins)
    hosts = frozenset({urlsplit(settings.slack_api_url).netloc, "files.slack.com"})
    return Services(
        adviser=Adviser(index, embed, prices, chat=chat_model(settings)),
        ledger=ledger,
        datasets=open_datasets(settings, prepare_apart),
        index=index,
        prices=prices,
        permissions=Permissions(
            settings.admins,
            settings.launchers,
            settings.job_budget_usd,
            settings.month_budget_usd,
            settings.jobs_per_person,
            settings.askers,
            settings.approvers,
        ),
        users=users,
        audience=Audience(client, users),
        thread_queue=thread_queue,
        home=settings.home,
        file_hosts=hosts,
        summaries=summaries(),
        download=downloader(settings.slack_bot_token.reveal(), hosts),
        queue_up=lambda: dispatcher.redis_ok,
        workers=dispatcher.workers,
        wake=notifier.wake,
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
        find_llm=partial(measuring_llm, settings),
        prices=prices,
        price_per_hour=float(prices["cpu_hour"]["usd"]),
        gpus=gpu,
        health_port=health_port,
        preload=PRELOAD,
        max_jobs=1 if burst else None,
    )
    serve(options)


def artifacts_folder(settings: Settings) -> Path:
    """Where weights and checkpoints go."""
    from worker.runtime.options import local_folder

    return local_folder(settings.artifacts_url)
