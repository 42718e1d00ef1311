"""A job as it is handed to a platform: the signed order and the rows, and nothing that its recipe does not need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.data.ticket import Tickets, canonical
from finetune.platforms.contract import Platform, Reference, Submission
from finetune.platforms.runs import DATA, ORDER
from worker.jobs.records import Job
from worker.jobs.remotes import Outcome, Remote
from worker.transport.signing import PREFIX, Envelope, PrivateKey, encode, order, rq_id, seal

LEAST_S = 120.0
"""A budget that buys less time than a container takes to start is refused."""


@dataclass(frozen=True)
class Packer:
    """Makes submissions: with the bot's key, the rows of a digest, and the dated price table."""

    key: PrivateKey
    rows: Callable[[str], Tickets]
    prices: Mapping[str, Any]
    team: str = ""

    @property
    def prefix(self) -> str:
        """How every tag of this installation begins: its key's first letters, so that two in one account stay apart.

        So do two teams of one bot: what a team's desk finds under its own prefix and does not know, it ends.
        """
        if not self.team:
            return f"tw-{self.key.public.id[:6]}-"
        return f"tw-{hashlib.sha256(f'{self.key.public.id}/{self.team}'.encode()).hexdigest()[:12]}-"

    def submission(self, remote: Remote, job: Job, platform: Platform, now: float) -> Submission:
        """The job's order, signed for this submission alone, with its rows."""
        tickets = self.rows(str(job.spec.get("digest") or job.dataset))
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
        message = {
            **order(envelope),
            "remote": remote.tag,
            "price_per_hour": remote.usd_per_hour,
            "prices": dict(self.prices),
        }
        rows = {f"{DATA}/rows/{tickets.digest}.jsonl": canonical(tickets.rows)}
        files = {ORDER: seal(message, self.key), **rows}
        secret = self.key.run_secret(remote.tag)
        return Submission(remote.tag, remote.machine, remote.limit_s, files, public, job.spec, secret)

    def reference(
        self, remote: Remote, remote_id: str | None = None, keeps_checkpoints: bool = False
    ) -> Reference:
        """The submission as its adapter takes it, or another job (`remote_id`) under its tag."""
        name = remote.remote_id if remote_id is None else remote_id
        keeps = remote.outcome not in (Outcome.CANCELLED, Outcome.LOST) and name == remote.remote_id
        secret = self.key.run_secret(remote.tag)
        return Reference(remote.tag, name, remote.cursor, secret, keeps, keeps_checkpoints)


def envelope_of(job: Job, attempt: int, fence: str, expires: float, timeout_s: int) -> Envelope:
    """What whoever runs an attempt of the job is told; `expires` is when nobody may begin it any more."""
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
    """The seconds that the job may be billed for: what its budget still buys, at most what the platform allows."""
    budget = job.spec.get("budget_usd")
    if budget is None or usd_per_hour <= 0:
        return longest_s
    return min(longest_s, max(0.0, float(budget) - job.spent_usd) / usd_per_hour * 3600)


def attempt_name(remote: Remote) -> str:
    """The name of the attempt's folder among the artifacts."""
    return rq_id(remote.job_id, remote.attempt)
