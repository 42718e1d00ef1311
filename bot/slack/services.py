"""What the listeners work with: the domain objects and the few flat settings that they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bot.errors import BotError
from bot.slack.permissions import Permissions
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Users
from finetune.data.store import DatasetStore
from rag.reply import Reply, State
from worker.jobs.records import Job
from worker.ledger.ledger import Ledger


class Asks(Protocol):
    """Whoever answers questions: rag.adviser.Adviser, or a stand-in in tests."""

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


@dataclass(frozen=True)
class Services:
    """Built once by the wiring, handed to every listener; holds no credential."""

    adviser: Asks
    ledger: Ledger
    datasets: DatasetStore
    index: Any  # rag.index.Index; typed loosely so that importing the bot stays light
    prices: Mapping[str, Any]
    permissions: Permissions
    users: Users
    thread_queue: ThreadQueue
    home: Path
    file_hosts: frozenset[str]  # where Slack serves files: the bot token is sent nowhere else
    download: Callable[[str, Path], None]
    summaries: tuple[str, ...] = ()  # one line on each feature, for home
    queue_up: Callable[[], bool] = lambda: True
    workers: Callable[[], list[dict[str, Any]]] = list
    clock: Callable[[], float] = time.time
    wake: Callable[[], None] = field(default=lambda: None)  # the notifier has something new to post

    def scopes(self, channel: str) -> frozenset[str]:
        """Which documents and datasets may be seen from a channel."""
        return frozenset({"workspace", f"channel:{channel}"})


def models_trained_on(ledger: Ledger) -> Callable[[str], list[str]]:
    """A function from a digest to the jobs whose models saw those rows."""

    def models_of(digest: str) -> list[str]:
        return [job.id for job in ledger.jobs(limit=100_000) if job.spec.get("digest") == digest]

    return models_of


def scopes_of(choice: str, channel: str) -> frozenset[str]:
    """`workspace` or this channel, whatever else a form may say."""
    return frozenset({"workspace" if choice == "workspace" else f"channel:{channel}"})


def visible_job(services: Services, job_id: str, user: str, channel: str) -> Job:
    """The job, if this person may see it from this channel; the id is never trusted."""
    job = services.ledger.job(job_id.strip("`")[:32])
    person = services.users.person(user)
    if denial := services.permissions.denies_sight(person, job, channel):
        raise BotError(denial)
    return job
