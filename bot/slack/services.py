"""The domain objects and settings that listeners use."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.errors import BotError
from bot.slack.audience import Audience
from bot.slack.form_ack import Submissions
from bot.slack.permissions import Permissions
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Person, Users
from finetune.data.store import DatasetStore
from finetune.platforms.contract import PlaceOffer
from rag.reply import Reply, State
from worker.jobs.records import Job
from worker.kinds import kind_of
from worker.ledger.budgets import Month, month_of, month_of_team
from worker.ledger.guest_access import guest_access
from worker.ledger.ledger import Ledger

if TYPE_CHECKING:
    from finetune.serving.answers import ServedModel
    from finetune.sources.contract import Source
    from worker.ledger.duty import Watch


class AdviserProtocol(Protocol):
    """Answers questions: rag.adviser.Adviser, or a stand-in in tests."""

    def ask(
        self,
        question: str,
        *,
        state: State | None = None,
        scopes: frozenset[str] = frozenset({"workspace"}),
        on_step: Callable[[str], None] | None = None,
    ) -> Reply: ...

    def correct(
        self,
        corrections: Sequence[str],
        *,
        question: str = "",
        state: State | None = None,
        scopes: frozenset[str] = frozenset({"workspace"}),
    ) -> Reply: ...

    def measured(
        self,
        question: str,
        signals: Mapping[str, Any],
        result: str,
        *,
        state: State | None = None,
        scopes: frozenset[str] = frozenset({"workspace"}),
    ) -> Reply: ...


class DutyService(Protocol):
    """Runs the models on duty: bot.slack.delivery.duty_runner.DutyRunner."""

    versions_folder: Path  # where versions lie

    def wake(self) -> None: ...

    def model_of(self, watch: Watch) -> ServedModel | None: ...

    def delete_line(self, watch: Watch, ts: str) -> None: ...


class PullService(Protocol):
    """Pulls tickets from help desks: bot.slack.delivery.pull_runner.PullRunner."""

    def wake(self) -> None: ...

    def sources(self) -> list[Source]: ...

    def check(self, source: str, project: str) -> None: ...


MOST_APPROVERS = 20


def refuse_erasure(platform: str, model: str) -> list[str]:
    """Raises BotError: no platform is connected, so the model cannot be erased there."""
    raise BotError(f"{platform} is not connected here, so {model} is to be erased there by hand.")


@dataclass(frozen=True)
class Services:
    """Built once by the wiring and passed to every listener; holds no credential."""

    adviser: AdviserProtocol
    ledger: Ledger
    datasets: DatasetStore
    index: Any  # rag.index.Index; typed loosely so that importing the bot stays light
    prices: Mapping[str, Any]
    permissions: Permissions
    users: Users
    audience: Audience
    thread_queue: ThreadQueue
    home: Path
    file_hosts: frozenset[str]  # where Slack serves files: the bot token is sent nowhere else
    download: Callable[[str, Path], None]
    summaries: tuple[str, ...] = ()  # one line on each feature, for home
    team: str = ""  # the workspace's id in a bot of many, for what runs in another process
    is_queue_up: Callable[[], bool] = lambda: True
    workers: Callable[[], list[dict[str, Any]]] = list
    places: Callable[[], list[PlaceOffer]] = list  # machines of connected platforms to train on
    erase_model: Callable[[str, str], list[str]] = (
        refuse_erasure  # (platform, model): what could not be erased there
    )
    clock: Callable[[], float] = time.time
    duty: DutyService | None = None
    pulls: PullService | None = None
    submissions: Submissions = field(default_factory=Submissions)
    wake: Callable[[], None] = field(default=lambda: None)  # the notifier has something new to post

    def scopes(self, channel: str) -> frozenset[str]:
        """The scopes of documents and datasets that a member may see privately in a channel."""
        return frozenset({"workspace", f"channel:{channel}"})

    def answer_scopes(self, person: Person, channel: str) -> frozenset[str]:
        """The scopes that a public answer in a channel may use, since everyone in the channel reads it.

        With external readers: only the guide and the channel's own documents, unless an admin opened more.
        """
        if person.outside or not is_direct(channel):
            is_external = bool(person.outside) or self.audience.has_external_readers(channel)
            if is_external and "documents" not in guest_access(self.ledger.engine, channel):
                return frozenset({"guide", f"channel:{channel}"})
        return self.scopes(channel)

    def job_channel(self, channel: str, person: Person) -> str:
        """Where to post about a job: the channel, or the person's id (direct messages) when it is closed to jobs."""
        return channel if self.is_closed_to_jobs(channel) is False else person.id

    def is_closed_to_jobs(self, channel: str) -> bool | None:
        """Whether external readers keep cards and reports out of the channel; None while Slack does not tell who reads."""
        if is_direct(channel) or "jobs" in guest_access(self.ledger.engine, channel):
            return False
        return self.audience.check_external_readers(channel)


def is_direct(channel: str) -> bool:
    """Whether the channel is a person's own conversation with the bot."""
    return not channel.startswith(("C", "G"))


def approvers_of(services: Services) -> tuple[str, ...]:
    """The people who get approval requests directly: those of the settings, else the workspace's admins."""
    rules, users = services.permissions, services.users
    groups = frozenset(one for one in rules.approvers if one.startswith("S"))
    people = rules.admins | (rules.approvers - groups)
    people |= users.group_members(groups) if groups else frozenset()
    return tuple(sorted(people or users.admins()))[:MOST_APPROVERS]


def this_month(services: Services, team: str) -> Month:
    """The month's spending, reservations and limit (set for this month, else the workspace's default)."""
    month = month_of_team(services.ledger.engine, team, month_of(services.clock()))
    limit = services.permissions.month_budget_usd if month.limit is None else month.limit
    return Month(limit, month.spent_usd, month.reserved_usd)


def models_trained_on(ledger: Ledger) -> Callable[[str], list[str]]:
    """Returns a function from a dataset digest to the ids of jobs that started training on those rows."""

    def models_of(digest: str) -> list[str]:
        jobs = [job for job in ledger.jobs(limit=100_000) if kind_of(job.kind).leaves_model]
        return [job.id for job in jobs if job.started_at is not None and job.spec.get("digest") == digest]

    return models_of


def scopes_of(choice: str, channel: str) -> frozenset[str]:
    """The scopes of a form's choice: `workspace`, and this channel for every other value."""
    return frozenset({"workspace" if choice == "workspace" else f"channel:{channel}"})


def visible_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The job, if this person may see it from this channel; the id comes from a payload and is not trusted."""
    job = services.ledger.job(job_id.strip("`")[:32])
    person = services.users.person(user)
    if denial := services.permissions.denies_view(person, job, channel):
        raise BotError(denial)
    return job
