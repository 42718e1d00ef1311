"""Everything that runs for one team, on that team's own stores: ledger, queue, notifier, clerk, services."""

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
    open_controller,
    open_datasets,
    open_ledger,
    platform_settings,
)
from bot.settings import Settings
from bot.slack.app import summaries
from bot.slack.audience import Audience
from bot.slack.delivery.duty_runner import DutyRunner
from bot.slack.delivery.job_completion import JobCompletion
from bot.slack.delivery.notifier import Notifier
from bot.slack.delivery.pull_runner import PullRunner
from bot.slack.feedback_log import delete_old_feedback
from bot.slack.files import TokenSource, downloader
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Team, Users
from finetune.data.checkpoints import drop_stale
from finetune.data.importing import IMPORTS
from finetune.data.prepare import prepare_in_subprocess
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.reconciler import Reconciler
from worker.errors import WorkerError
from worker.jobs.states import END_STATES, State
from worker.ledger.ledger import Ledger
from worker.ledger.speaker_lease import SpeakerLease, server_time

if TYPE_CHECKING:
    from rag.adviser import Adviser
    from rag.index import Index
    from rag.search.embedding import MiniLM
    from worker.dispatch.remote_controller import RemoteController

SERVING = "serving"  # beside the jobs' folders, as finetune.serving.deploy.FOLDER
DAY_S = 24 * 3600.0
log = logging.getLogger(__name__)
REMOVAL_REASON = "Trainwise was removed from this workspace."


@dataclass
class SharedResources:
    """What all teams share, since it holds no team's data: encoder, readers, prices, the queue, the bot's keys."""

    redis_url: str
    keys: Path
    embed: MiniLM
    prices: dict[str, Any]
    adviser: Adviser | None = None  # the first one; the others share its readers and have their own index

    def adviser_over(self, index: Index, settings: Settings) -> Adviser:
        """The adviser for a team's index."""
        from rag.adviser import Adviser

        if self.adviser is None:
            self.adviser = Adviser(index, self.embed, self.prices, chat=chat_model(settings))
            return self.adviser
        return self.adviser.over(index)


@dataclass(frozen=True)
class SlackConnection:
    """A team's access to Slack: the listeners' client, the notifier's client, and the token for files.

    `team` is set when Slack's auth.test would name the organisation instead.
    """

    client: WebClient
    posting_client: WebClient
    token: TokenSource
    team: Team | None = None


@dataclass
class TeamRuntime:
    """What runs for one team, from `start()` to `stop()`; jobs on workers continue without it."""

    team: str
    settings: Settings
    services: Services
    dispatcher: Dispatcher
    controller: RemoteController
    notifier: Notifier
    duty_runner: DutyRunner
    pull_runner: PullRunner
    cleanup: ExitStack
    is_active: bool = False

    @property
    def ledger(self) -> Ledger:
        """The team's ledger."""
        return self.services.ledger

    def start(self, is_active: bool = True) -> None:
        """Starts dispatching jobs; if `is_active`, also the notifier, the duty runner and the pull runner."""
        self.dispatcher.start()
        self.controller.start()
        self.is_active = is_active
        if is_active:
            self.notifier.start()
            self.duty_runner.start()
            self.pull_runner.start()

    def stop_for_removal(self) -> None:
        """Stops everything that calls Slack and cancels every open job; the dispatcher still sends the cancellations."""
        if self.is_active:
            self.services.thread_queue.close(1.0)
            self.duty_runner.stop()
            self.pull_runner.stop()
            self.notifier.stop()
            self.is_active = False
        for job in self.ledger.jobs(states=set(State) - END_STATES, limit=100_000):
            try:
                self.ledger.request_cancel(job.id, "slack", REMOVAL_REASON)
            except WorkerError as error:  # the job has just ended, or is being cancelled
                log.info("job %s of a removed team: %s", job.id, error)

    def run_maintenance(self) -> None:
        """Erases datasets that were removed a day ago, abandoned parts of imports, and old feedback."""
        self.services.datasets.removals.purge()
        drop_stale(self.settings.home / IMPORTS)
        if self.settings.keep_days:
            delete_old_feedback(self.settings.home, time.time() - self.settings.keep_days * DAY_S)

    def stop(self) -> None:
        """Finishes the running answers and stops every loop; undelivered posts stay in the ledger."""
        self.services.thread_queue.close()
        if self.is_active:
            self.duty_runner.stop()
            self.pull_runner.stop()
            self.notifier.stop()
        self.dispatcher.stop()
        self.controller.stop()

    def close(self) -> None:
        """Closes index and ledger, after the last request of Slack."""
        self.cleanup.close()
        self.ledger.close()


def open_runtime(
    settings: Settings, team: str, connection: SlackConnection, shared: SharedResources
) -> TeamRuntime:
    """Builds the runtime of a team from the team's settings (bot/teams/team_state.py), not started."""
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
    notifier = Notifier(
        connection.posting_client, ledger, settings.card_interval_s, lambda: dispatcher.redis_ok
    )
    if ledger.engine.dialect.name != "sqlite":  # a server's ledger may have several bots
        holder, clock = f"{socket.gethostname()}:{settings.home}", partial(server_time, ledger.engine)
        speaker = SpeakerLease(ledger.engine, holder, clock)
        notifier.leader_term = speaker.turn
        cleanup.callback(release_leadership, speaker)
    controller = open_controller(settings, ledger, artifacts, notifier.wake, (shared.keys, team))
    services = make_services(settings, ledger, connection, shared, cleanup)
    services = replace(
        services, is_queue_up=lambda: dispatcher.redis_ok, workers=dispatcher.workers, wake=notifier.wake
    )
    duty_runner = DutyRunner(
        services,
        connection.client,
        artifacts / SERVING,
        files=settings.ticket_files,
        reserve=settings.promise_reserve,
    )
    holder = f"{socket.gethostname()}:{secrets.token_hex(4)}"
    pull_runner = PullRunner(services, connection.client, platform_settings(settings), holder)
    services = replace(
        services,
        duty=duty_runner,
        places=controller.places,
        erase_model=controller.erase_model,
        pulls=pull_runner,
    )
    duty_runner.services = pull_runner.services = services
    notifier.completion_hook = completion = JobCompletion(services, connection.client)
    notifier.on_answer_sent = completion.move_card
    notifier.is_closed_to_jobs = services.is_closed_to_jobs
    return TeamRuntime(
        team, settings, services, dispatcher, controller, notifier, duty_runner, pull_runner, cleanup
    )


def release_leadership(speaker: SpeakerLease) -> None:
    """Releases the leader's lease, so that another bot can lead at once; when the ledger is down, the lease expires."""
    try:
        speaker.release()
    except SQLAlchemyError:
        log.info("the ledger is down; another bot becomes leader when this one's lease expires")


def make_services(
    settings: Settings,
    ledger: Ledger,
    connection: SlackConnection,
    shared: SharedResources,
    cleanup: ExitStack,
) -> Services:
    """Builds the services of the listeners; opens the index, so its libraries load here and not on import."""
    from rag.index import Index

    index = cleanup.enter_context(Index.open(settings.home / "index", shared.embed, settings.chroma_url))
    index.ensure_guide()
    users = Users(connection.client, admin_ids=settings.admins, team=connection.team)
    hosts = frozenset({urlsplit(settings.slack_api_url).netloc, "files.slack.com"})
    return Services(
        adviser=shared.adviser_over(index, settings),
        ledger=ledger,
        datasets=open_datasets(settings, prepare_in_subprocess),
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
        audience=Audience(connection.client, users),
        thread_queue=ThreadQueue(),
        home=settings.home,
        file_hosts=hosts,
        summaries=summaries(),
        download=downloader(connection.token, hosts),
        team=connection.team.id if connection.team is not None else "",
    )


def open_shared(settings: Settings, redis_url: str) -> SharedResources:
    """Opens what all teams share, from the bot's own settings."""
    from rag.search.embedding import load_embedder

    embed = load_embedder(settings.home / "cache")
    return SharedResources(redis_url, settings.home / "keys", embed, load_prices(settings))
