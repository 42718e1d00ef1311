"""Packs a job for a platform: the signed order and the rows that its recipe needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from finetune.data.ticket import Tickets, canonical
from finetune.errors import FinetuneError
from finetune.platforms.contract import Platform, Reference, Submission
from finetune.platforms.runs import DATA, ORDER
from finetune.spec import DEFAULT_TASK, Spec
from finetune.tasks import TASKS
from worker.jobs.records import Job
from worker.jobs.remotes import Outcome, Remote
from worker.kinds import kind_of
from worker.transport.signing import PREFIX, Envelope, PrivateKey, encode, order, rq_id, seal

MIN_RUN_S = 120.0
"""A budget that pays for less time, which a container needs to start, is refused."""


@dataclass(frozen=True)
class Packer:
    """Makes submissions: with the bot's key, the rows of a digest, and the dated price table.

    `keeps_held_out`: where a task can be trained without its held-out rows, these stay here and what comes back is measured
    here. `gap` says what this machine lacks to measure anything, "" for nothing.
    """

    key: PrivateKey
    rows: Callable[[str], Tickets]
    prices: Mapping[str, Any]
    team: str = ""
    keeps_held_out: bool = True
    gap: str = ""

    @property
    def prefix(self) -> str:
        """The prefix of every tag of this installation, from its key, so that two installations in one account differ.

        Two teams of one bot differ too: a team's controller ends unknown jobs with its own prefix.
        """
        if not self.team:
            return f"tw-{self.key.public.id[:6]}-"
        return f"tw-{hashlib.sha256(f'{self.key.public.id}/{self.team}'.encode()).hexdigest()[:12]}-"

    def rows_of(self, job: Job) -> Tickets:
        """The rows that the job was launched on."""
        return self.rows(str(job.spec.get("digest") or job.dataset))

    def measures_here(self, job: Job, platform: Platform) -> bool:
        """Whether this machine evaluates the model that the platform trains."""
        if (
            platform.gives == "hosted"
            or not self.keeps_held_out
            or not kind_of(job.kind).trains_without_test_rows
        ):
            return platform.gives == "hosted"
        task = TASKS.get(str(job.spec.get("task") or DEFAULT_TASK))
        return task is not None and task.remote_training is not None

    def submission(self, remote: Remote, job: Job, platform: Platform, now: float) -> Submission:
        """The job's order, signed for this submission alone, with its rows; FinetuneError where it could not be measured here."""
        measures_here = self.measures_here(job, platform)
        if measures_here and self.gap:
            raise FinetuneError(self.gap)
        tickets = self.rows_of(job)
        public = PREFIX + encode(self.key.public.raw.public_bytes_raw())
        if platform.gives == "hosted":
            files = platform.training_files(tickets, job.spec)
            budget = job.spec.get("budget_usd")
            left = None if budget is None else max(0.0, float(budget) - job.spent_usd)
            return Submission(
                remote.tag, remote.machine, remote.limit_s, files, recipe=job.spec, budget_usd=left
            )
        expires = now + platform.queue_s + remote.limit_s
        envelope = envelope_of(job, remote.attempt, remote.tag, expires, int(remote.limit_s))
        choosing = None
        if measures_here:
            tickets, choosing = without_held_out(Spec.from_json(job.spec), tickets)
            envelope = replace(envelope, spec={**envelope.spec, "digest": tickets.digest})
        message = {
            **order(envelope),
            "remote": remote.tag,
            "price_per_hour": remote.usd_per_hour,
            "prices": dict(self.prices),
            "choosing": choosing,
        }
        rows = {f"{DATA}/rows/{tickets.digest}.jsonl": canonical(tickets.rows)}
        files = {ORDER: seal(message, self.key), **rows}
        secret = self.key.run_secret(remote.tag)
        return Submission(remote.tag, remote.machine, remote.limit_s, files, public, job.spec, secret)

    def reference(
        self, remote: Remote, remote_id: str | None = None, keeps_checkpoints: bool = False
    ) -> Reference:
        """The reference to the submission for its adapter, or to another job (`remote_id`) with its tag."""
        name = remote.remote_id if remote_id is None else remote_id
        keeps = remote.outcome not in (Outcome.CANCELLED, Outcome.LOST) and name == remote.remote_id
        secret = self.key.run_secret(remote.tag)
        return Reference(remote.tag, name, remote.cursor, secret, keeps, keeps_checkpoints)


def without_held_out(spec: Spec, tickets: Tickets) -> tuple[Tickets, int]:
    """The training rows followed by the validation rows, and the number of the latter."""
    remote = TASKS[spec.task].remote_training
    assert remote is not None
    learning, choosing = remote.sides(spec, tickets)
    return Tickets((*learning.rows, *choosing.rows), tickets.kind), len(choosing)


def envelope_of(job: Job, attempt: int, fence: str, expires: float, timeout_s: int) -> Envelope:
    """The envelope of an attempt; after `expires` it must not be started."""
    budget = job.spec.get("budget_usd")
    return Envelope(
        job=job.id,
        attempt=attempt,
        fence=fence,
        root=job.root,
        kind=job.kind,
        spec=job.spec,
        dataset=job.dataset,
        expires=expires,
        timeout_s=timeout_s,
        spent_usd=job.spent_usd,
        budget_usd=float(budget) if budget is not None else None,
    )


def limit_of(job: Job, usd_per_hour: float, longest_s: float) -> float:
    """The seconds that the job's remaining budget pays for, at most what the platform allows."""
    budget = job.spec.get("budget_usd")
    if budget is None or usd_per_hour <= 0:
        return longest_s
    return min(longest_s, max(0.0, float(budget) - job.spent_usd) / usd_per_hour * 3600)


def attempt_name(remote: Remote) -> str:
    """The name of the attempt's folder among the artifacts."""
    return rq_id(remote.job_id, remote.attempt)
