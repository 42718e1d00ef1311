"""The records of the ledger: frozen values; all times are Unix seconds (UTC)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from worker.jobs.states import State

Row = Mapping[Any, Any]
"""A database row of SQLAlchemy, by column name."""
JOB_ID = re.compile(r"[a-z0-9]{1,32}")


@dataclass(frozen=True)
class Job:
    """One job; `version` grows with every change, `card_version` is the version that its card shows.

    `progress` may hold phase, step, steps, loss, eta_s, note, worker, position. `retry_of` names the
    ended job this one repeats; `root` the first of that chain (checkpoints are kept under it). `card_channel`
    is where the card is when not in the job's channel (a user id until the direct conversation is open).
    """

    id: str
    kind: str
    state: State
    version: int
    spec: dict[str, Any]
    dataset: str
    by: str
    by_name: str
    team: str
    channel: str
    thread_ts: str | None
    root: str
    retry_of: str | None
    month: str
    created_at: float
    updated_at: float
    estimate_usd: float = 0.0
    reserved_usd: float = 0.0
    spent_usd: float = 0.0
    card_channel: str | None = None
    card_ts: str | None = None
    card_version: int = 0
    progress: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    error: str | None = None
    attempt: int = 0
    losses: int = 0
    not_before: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    approval_reason: str | None = None
    approval_expires: float | None = None
    approved_by: str | None = None
    decision: dict[str, Any] | None = None  # who decided on its approval: by, by_name, at, why, approved
    platform: str | None = None  # where it trains; None: on a worker of this team
    machine: str | None = None  # the offer of that platform

    @property
    def card_place(self) -> str:
        """The channel of the card."""
        return self.card_channel or self.channel


@dataclass(frozen=True)
class JobRequest:
    """A job that a person asks for, and where its card and report go.

    `request_key` makes it idempotent: the same key is the same job. `approval` is the reason why a second person
    must agree first; `estimate_usd` is reserved from the team's month, which has `month_limit_usd` in all (None:
    no limit); `retry_of` is the ended job that this one repeats; `platform` and `machine` say where it trains (None:
    on a worker of this team).
    """

    kind: str
    spec: Mapping[str, Any]
    dataset: str
    by: str
    by_name: str
    team: str
    channel: str
    thread_ts: str | None
    request_key: str
    estimate_usd: float = 0.0
    approval: str | None = None
    retry_of: Job | None = None
    month_limit_usd: float | None = None
    approvers: tuple[str, ...] = ()
    platform: str | None = None
    machine: str | None = None


@dataclass(frozen=True)
class Event:
    """One line of a job's history: who did what, when, why; `applied` is False for a late or fenced event."""

    id: int
    job_id: str
    at: float
    who: str
    what: str
    from_state: State | None
    to_state: State | None
    why: str
    attempt: int | None
    applied: bool
    data: dict[str, Any]


@dataclass(frozen=True)
class HistoryLine:
    """A line to write into a job's history; `run` and `seq` are those of a worker's event."""

    job_id: str
    at: float
    who: str
    what: str
    why: str = ""
    from_state: State | None = None
    to_state: State | None = None
    attempt: int | None = None
    run: str | None = None
    seq: int | None = None
    applied: bool = True
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Post:
    """One message to send to Slack; `tries` > 0: an earlier send may have arrived since `sent_at`, so check before sending again.

    `posted_ts`: the message is in Slack, but its attachments (plots) are not.
    """

    id: int
    job_id: str
    dedupe_key: str
    kind: str
    channel: str
    thread_ts: str | None
    body: dict[str, Any]
    tries: int
    sent_at: float | None = None
    posted_ts: str | None = None


@dataclass(frozen=True)
class StaleCard:
    """A job whose card in Slack shows an older state of it; `card_ts` None: it has no card yet."""

    id: str
    state: State
    card_ts: str | None


@dataclass(frozen=True)
class Order:
    """One order to the queue: `enqueue` an attempt, or `stop` one for `reason`."""

    id: int
    what: str
    job_id: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job: its events must carry `fence`; `live` is False once it was given up."""

    job_id: str
    attempt: int
    fence: str
    live: bool
    run: str | None
    worker: str | None
    worker_key: str | None
    pid: int | None
    created_at: float
    sent_at: float | None
    leased_at: float | None
    last_event_at: float | None
    last_step_at: float | None
    last_seq: int
    step_gaps: list[float]
    stop: str | None
    stop_sent_at: float | None
    ended_at: float | None
    outcome: str | None

    @property
    def rq_id(self) -> str:
        """The id this attempt has in Redis."""
        return rq_id(self.job_id, self.attempt)


def rq_id(job_id: str, attempt: int) -> str:
    """`ft-<job>-<attempt>`: one RQ job per attempt, so that two attempts never share an id."""
    return f"ft-{job_id}-{attempt}"


def columns_of(job: Job) -> dict[str, Any]:
    """The job as a row of the table `jobs`, all but its request's key."""
    return _pick(Job, vars(job))


def job_of(row: Row) -> Job:
    """A Job from a row of the table `jobs`."""
    return Job(**{**_pick(Job, row), "state": State(row["state"])})


def event_of(row: Row) -> Event:
    """An Event from a row of the table `events`."""
    states = {k: State(row[k]) if row[k] else None for k in ("from_state", "to_state")}
    return Event(**{**_pick(Event, row), **states})


def post_of(row: Row) -> Post:
    """A Post from a row of the table `posts`."""
    return Post(**_pick(Post, row))


def order_of(row: Row) -> Order:
    """An Order from a row of the table `outbox`."""
    return Order(**_pick(Order, row))


def attempt_of(row: Row) -> Attempt:
    """An Attempt from a row of the table `attempts`."""
    return Attempt(**_pick(Attempt, row))


def _pick(shape: type[Any], row: Row) -> dict[str, Any]:
    return {part.name: row[part.name] for part in fields(shape)}
