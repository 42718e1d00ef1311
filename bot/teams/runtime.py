"""Everything that runs for one team, over that team's stores alone: ledger, queue, notifier, clerk, services."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from slack_sdk import WebClient
from sqlalchemy.exc import SQLAlchemyError

from bot.factories import (
    artifacts_folder,
    chat_model,
    load_prices,
    open_datasets,
    open_desk,
    open_ledger,
    plug_in_values,
)
from bot.settings import Settings
from bot.slack.app import summaries
from bot.slack.audience import Audience
from bot.slack.delivery.after_job import Aftermath
from bot.slack.delivery.duty_clerk import DutyClerk
from bot.slack.delivery.notifier import Notifier
from bot.slack.delivery.pull_clerk import PullClerk
from bot.slack.feedback_log import forget_feedback
from bot.slack.files import TokenOf, downloader
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Team, Users
from finetune.data.checkpoints import drop_stale
from finetune.data.importing import IMPORTS
from finetune.data.prepare import prepare_apart
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.reconciler import Reconciler
from worker.errors import WorkerError
from worker.jobs.states import END_STATES, State
from worker.ledger.ledger import Ledger
from worker.ledger.voice import Voice, server_time

if TYPE_CHECKING:
    from rag.adviser import Adviser
    from rag.index import Index
    from rag.search.embedding import MiniLM
    from worker.dispatch.desk import Desk

SERVING = "serving"  # beside the jobs' folders, as finetune.serving.deploy.FOLDER
DAY_S = 24 * 3600.0
log = logging.getLogger(__name__)
LEAVING = "Trainwise was removed from this workspace."


@dataclass
class Shared:
    """What all teams share because it holds nothing of theirs: encoder, readers, prices, the queue, the bot's keys."""

    redis_url: str
    keys: Path
    embed: MiniLM
    prices: dict[str, Any]
    adviser: Adviser | None = None  # the first one made; every other has the same readers over its own index

    def adviser_over(self, index: Index, settings: Settings) -> Adviser:
        """An adviser over a team's index."""
        from rag.adviser import Adviser

        if self.adviser is None:
            self.adviser = Adviser(index, self.embed, self.prices, chat=chat_model(settings))
            return self.adviser
        return self.adviser.over(index)


@dataclass(frozen=True)
class Line:
    """A team's line to Slack: the client of listeners, the notifier's, and the token for files.

    `team` where Slack's auth.test would name the organisation instead.
    """

    client: WebClient
    poster: WebClient
    token: TokenOf
    team: Team | None = None


@dataclass
class TeamRuntime:
    """What runs for one team. `start()` begins, `stop()` lets go; jobs go on without it."""

    team: str
    settings: Settings
    services: Services
    dispatcher: Dispatcher
    desk: Desk
    notifier: Notifier
    clerk: DutyClerk
    pull_clerk: PullClerk
    cleanup: ExitStack
    speaks: bool = False

    @property
    def ledger(self) -> Ledger:
        """The team's ledger."""
        return self.services.ledger

    def start(self, speaks: bool = True) -> None:
        """Carries jobs; pays posts and looks at tickets where the team can be spoken to."""
        self.dispatcher.start()
        self.desk.start()
        self.speaks = speaks
        if speaks:
            self.notifier.start()
            self.clerk.start()
            self.pull_clerk.start()

    def leave(self) -> None:
        """Ends what speaks and has every open job stopped; the orders for that still go out."""
        if self.speaks:
            self.services.thread_queue.close(1.0)
            self.clerk.stop()
            self.pull_clerk.stop()
            self.notifier.stop()
            self.speaks = False
        for job in self.ledger.jobs(states=set(State) - END_STATES, limit=100_000):
            try:
                self.ledger.request_cancel(job.id, "slack", LEAVING)
            except WorkerError as error:  # it has just ended, or is being cancelled
                log.info("job %s of a team that leaves: %s", job.id, error)

    def upkeep(self) -> None:
        """Erases what was removed a day ago, parts of imports that nobody went on with, and feedback that has become old."""
        self.services.datasets.removals.purge()
        drop_stale(self.settings.home / IMPORTS)
        if self.settings.keep_days:
            forget_feedback(self.settings.home, time.time() - self.settings.keep_days * DAY_S)

    def stop(self) -> None:
        """Finishes the answers under way and ends every loop; what is owed stays in the ledger."""
        self.services.thread_queue.close()
        if self.speaks:
            self.clerk.stop()
            self.pull_clerk.stop()
            self.notifier.stop()
        self.dispatcher.stop()
        self.desk.stop()

    def close(self) -> None:
        """Lets go of index and ledger, once Slack asks nothing more."""
        self.cleanup.close()
        self.ledger.close()


def open_runtime(settings: Settings, team: str, line: Line, shared: Shared) -> TeamRuntime:
    """The runtime of a team over its own settings (bot/teams/place.py), not started yet."""
    settings.home.mkdir(parents=True, exist_ok=True)
    cleanup = ExitStack()
    ledger, artifacts = open_ledger(settings), artifacts_folder(settings)
    dispatcher = Dispatcher(
        ledger,
        shared.redis_url,
        shared.keys,
        artifacts,
        per_user=settings.jobs_per_person,
        reconciler=Reconciler(ledger, keep_s=settings.keep_days * DAY_S or None),
        team=team,
    )
    notifier = Notifier(line.poster, ledger, settings.card_interval_s, lambda: dispatcher.redis_ok)
    if ledger.engine.dialect.name != "sqlite":  # a server's ledger may have several bots
        holder, clock = f"{socket.gethostname()}:{settings.home}", partial(server_time, ledger.engine)
        voice = Voice(ledger.engine, holder, clock)
        notifier.voice = voice.turn
        cleanup.callback(give_way, voice)
    desk = open_desk(settings, ledger, artifacts, notifier.wake, (shared.keys, team))
    services = make_services(settings, ledger, line, shared, cleanup)
    services = replace(
        services, queue_up=lambda: dispatcher.redis_ok, workers=dispatcher.workers, wake=notifier.wake
    )
    clerk = DutyClerk(
        services,
        line.client,
        artifacts / SERVING,
        files=settings.ticket_files,
        reserve=settings.promise_reserve,
    )
    holder = f"{socket.gethostname()}:{secrets.token_hex(4)}"
    pull_clerk = PullClerk(services, line.client, plug_in_values(settings), holder)
    services = replace(
        services, duty=clerk, places=desk.places, erase_model=desk.erase_model, pulls=pull_clerk
    )
    clerk.services = pull_clerk.services = services
    notifier.aftermath = aftermath = Aftermath(services, line.client)
    notifier.on_answer = aftermath.place_card
    notifier.keeps_out = services.keeps_jobs_out
    return TeamRuntime(team, settings, services, dispatcher, desk, notifier, clerk, pull_clerk, cleanup)


def give_way(voice: Voice) -> None:
    """Lets another bot speak at once; where the ledger is away, after the lease."""
    try:
        voice.let_go()
    except SQLAlchemyError:
        log.info("the ledger is away; another bot speaks when this one's lease is over")


def make_services(
    settings: Settings, ledger: Ledger, line: Line, shared: Shared, cleanup: ExitStack
) -> Services:
    """What the listeners work with; the index opens here, so its libraries load here and not on import."""
    from rag.index import Index

    index = cleanup.enter_context(Index.open(settings.home / "index", shared.embed, settings.chroma_url))
    index.ensure_guide()
    users = Users(line.client, insiders=settings.admins, team=line.team)
    hosts = frozenset({urlsplit(settings.slack_api_url).netloc, "files.slack.com"})
    return Services(
        adviser=shared.adviser_over(index, settings),
        ledger=ledger,
        datasets=open_datasets(settings, prepare_apart),
        index=index,
        prices=shared.prices,
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
        audience=Audience(line.client, users),
        thread_queue=ThreadQueue(),
        home=settings.home,
        file_hosts=hosts,
        summaries=summaries(),
        download=downloader(line.token, hosts),
        team=line.team.id if line.team is not None else "",
    )


def open_shared(settings: Settings, redis_url: str) -> Shared:
    """What all teams share, from the bot's own settings."""
    from rag.search.embedding import load_embedder

    embed = load_embedder(settings.home / "cache")
    return Shared(redis_url, settings.home / "keys", embed, load_prices(settings))
