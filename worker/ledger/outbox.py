"""The outboxes of the ledger (orders to the queue, posts to Slack), and the reconciler's queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, update

from worker.jobs.decisions import Decision
from worker.jobs.records import (
    Attempt,
    HistoryLine,
    Job,
    Order,
    Post,
    StaleCard,
    attempt_of,
    job_of,
    order_of,
    post_of,
)
from worker.jobs.states import ACTIVE_STATES, State, Trigger
from worker.kinds import kind_of
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.transitions import locked_job, move, new_attempt, record, set_columns

MAX_ORDER_DELAY_S = 600.0
"""A due time further ahead than any delay that we set means that the clock was set back: due now."""
ATTEMPT_LIMIT = 50


@dataclass(frozen=True)
class JobAttempt:
    """A job with its attempt in Redis."""

    job: Job
    attempt: Attempt


def due_orders(
    engine: Engine, now: float, per_user: int | None, limit: int = 200, remote: bool = False
) -> list[Order]:
    """The messages to hand to the queue now, with `remote` to the platforms: stops, then the oldest.

    With `per_user`, at most that many jobs of a person are sent at a time.
    """
    outbox, jobs = tables.outbox, tables.jobs
    due = (outbox.c.due_at <= now) | (outbox.c.due_at > now + MAX_ORDER_DELAY_S)
    owed = outbox.c.done_at.is_(None) & due & (_is_remote() if remote else ~_is_remote())
    query = select(outbox, jobs.c.by.label("owner"), jobs.c.kind).join(jobs, jobs.c.id == outbox.c.job_id)
    query = query.where(owed).order_by(outbox.c.what.desc(), outbox.c.id)  # stops first
    with reading(engine) as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        busy = _out_by_owner(connection) if per_user is not None else {}
    orders: list[Order] = []
    for row in rows:
        if len(orders) == limit:
            break
        if row["what"] == "enqueue" and per_user is not None and not kind_of(row["kind"]).at_front:
            if busy.get(row["owner"], 0) >= per_user:
                continue
            busy[row["owner"]] = busy.get(row["owner"], 0) + 1
        orders.append(order_of(row))
    return orders


def attempt_to_send(engine: Engine, order: Order) -> JobAttempt | None:
    """The job and attempt of an enqueue order; None when the order is obsolete."""
    pairs = [
        pair for pair in _pairs(engine, {State.QUEUED}, order.job_id) if pair.attempt.attempt == order.attempt
    ]
    return pairs[0] if pairs else None


def complete_order(engine: Engine, order: Order, now: float) -> None:
    """Records that the queue has the order."""
    with writing(engine) as connection:
        mine = tables.outbox.c.id == order.id
        connection.execute(update(tables.outbox).where(mine).values(done_at=now))
        column = {"enqueue": "sent_at", "stop": "stop_sent_at"}[order.what]
        same = (tables.attempts.c.job_id == order.job_id) & (tables.attempts.c.attempt == order.attempt)
        connection.execute(update(tables.attempts).where(same).values({column: now}))


def repeat_stops(engine: Engine, since: float) -> None:
    """Enqueues each stop order since `since` again, as Redis has lost its data."""
    outbox = tables.outbox
    recent = (outbox.c.what == "stop") & (outbox.c.created_at >= since)
    with writing(engine) as connection:
        connection.execute(update(outbox).where(recent).values(done_at=None))


def queued_attempts(engine: Engine) -> list[JobAttempt]:
    """Queued jobs whose attempt was sent to Redis."""
    pairs = _pairs(engine, {State.QUEUED})
    return [pair for pair in pairs if pair.attempt.sent_at is not None and pair.job.platform is None]


def held_attempts(engine: Engine) -> list[JobAttempt]:
    """Jobs that a worker holds."""
    return [pair for pair in _pairs(engine, ACTIVE_STATES) if pair.job.platform is None]


def jobs_to_requeue(engine: Engine, now: float, remote: bool = False) -> list[str]:
    """Ids of the jobs (with `remote` those of platforms) whose pause before the next attempt is over, and of lost ones."""
    jobs = tables.jobs
    due = (jobs.c.not_before <= now) | (jobs.c.not_before > now + MAX_ORDER_DELAY_S)
    due &= _is_remote() if remote else ~_is_remote()
    query = select(jobs.c.id).where(jobs.c.state.in_([State.RETRY_WAIT, State.LOST]) & due)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def requeue_job(engine: Engine, job_id: str, now: float) -> None:
    """Queues a job again that waited for its next attempt or was lost."""
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        if job.state == State.LOST:
            job = move(connection, job, Trigger.RETRY, now, "reconciler")
        if job.state == State.RETRY_WAIT:
            job = move(connection, job, Trigger.REQUEUE, now, "reconciler")
            new_attempt(connection, job, now, now)


def replace_attempt(engine: Engine, pair: JobAttempt, now: float, why: str) -> None:
    """Replaces a queued attempt that Redis no longer has by a new one; fences the old one."""
    with writing(engine) as connection:
        job = locked_job(connection, pair.job.id)
        if job.state != State.QUEUED or job.attempt != pair.attempt.attempt:
            return
        if job.attempt >= ATTEMPT_LIMIT:
            error = "No worker ever got to start it. Check that a worker runs, with the right clock and keys."
            move(connection, job, Trigger.FAIL, now, "reconciler", why, error=error)
            return
        record(connection, HistoryLine(job.id, now, "reconciler", "requeue", why, attempt=job.attempt))
        new_attempt(connection, job, now, now)


def give_up_attempt(
    engine: Engine, pair: JobAttempt, now: float, decide: Decision, who: str = "reconciler"
) -> None:
    """Applies `decide` (of worker.jobs.decisions) if the job still has this attempt and state."""
    from worker.ledger.apply_events import apply_decision

    with writing(engine) as connection:
        job = locked_job(connection, pair.job.id)
        if job.attempt == pair.attempt.attempt and job.state == pair.job.state:
            job = apply_decision(connection, job, decide, now, who)


def expired_approvals(engine: Engine, now: float) -> list[str]:
    """Ids of the jobs whose approval was not given in time."""
    jobs = tables.jobs
    late = (jobs.c.state == State.AWAITING_APPROVAL) & (jobs.c.approval_expires < now)
    with reading(engine) as connection:
        return list(connection.execute(select(jobs.c.id).where(late)).scalars())


def _pairs(engine: Engine, states: object, job_id: str | None = None) -> list[JobAttempt]:
    jobs, attempts = tables.jobs, tables.attempts
    query = select(jobs).where(jobs.c.state.in_(list(states)))  # type: ignore[call-overload]
    if job_id is not None:
        query = query.where(jobs.c.id == job_id)
    with reading(engine) as connection:
        jobs_by_id = {row["id"]: job_of(row) for row in connection.execute(query).mappings()}
        live = select(attempts).where(attempts.c.live & attempts.c.job_id.in_(list(jobs_by_id)))
        rows = [attempt_of(row) for row in connection.execute(live).mappings()]
    return [JobAttempt(jobs_by_id[a.job_id], a) for a in rows if a.attempt == jobs_by_id[a.job_id].attempt]


def _is_remote() -> ColumnElement[bool]:
    return tables.jobs.c.platform.is_not(None)


def _out_by_owner(connection: Connection) -> dict[str, int]:
    """The number of each person's jobs in the Redis queue or on a worker."""
    jobs, attempts = tables.jobs, tables.attempts
    same = (attempts.c.job_id == jobs.c.id) & (attempts.c.attempt == jobs.c.attempt)
    out = jobs.c.state.in_([*ACTIVE_STATES, State.QUEUED]) & attempts.c.sent_at.is_not(None)
    query = select(jobs.c.by, func.count()).join(attempts, same).where(out).group_by(jobs.c.by)
    return {row[0]: row[1] for row in connection.execute(query)}


SENDING_S = 60.0
"""How long a message is reserved for its sender."""
MAX_POST_DELAY_S = 900.0
"""A due time further ahead than any sender's delay means that the clock was set back: due now."""
NO_CARD = {"thread_ts": None, "card_channel": None, "card_ts": None, "card_version": 0}


def due_posts(engine: Engine, now: float, limit: int = 20) -> list[Post]:
    """The messages to send now, oldest first; each is reserved for the caller for `SENDING_S`.

    `tries` counts earlier sends: above 0, one of them may have reached Slack.
    """
    posts = tables.posts
    due = (posts.c.due_at <= now) | (posts.c.due_at > now + MAX_POST_DELAY_S)
    owed = posts.c.done_at.is_(None) & due
    with writing(engine) as connection:
        query = select(posts).where(owed).order_by(posts.c.id).limit(limit).with_for_update()
        batch = [post_of(row) for row in connection.execute(query).mappings()]
        if batch:
            mine = posts.c.id.in_([post.id for post in batch])
            values = {"due_at": now + SENDING_S, "tries": posts.c.tries + 1}
            first_send = func.coalesce(posts.c.sent_at, now)
            connection.execute(update(posts).where(mine).values(**values, sent_at=first_send))
    return batch


def complete_post(engine: Engine, post_id: int, ts: str, now: float) -> None:
    """Records that the message is in Slack as `ts`; it is never due again."""
    with writing(engine) as connection:
        query = update(tables.posts).where(tables.posts.c.id == post_id)
        connection.execute(query.values(done_at=now, posted_ts=ts, error=None))


def insert_answer(
    engine: Engine, key: str, channel: str, thread_ts: str, answer: Mapping[str, Any], now: float
) -> None:
    """Enqueues an answer that Slack refused: a post of kind `answer` without a job."""
    place = {"job_id": "", "dedupe_key": key, "kind": "answer", "channel": channel, "thread_ts": thread_ts}
    row = {**place, "body": {"answer": dict(answer)}, "due_at": now, "created_at": now}
    with writing(engine) as connection:
        connection.execute(insert(tables.posts).values(row))


def note_post(engine: Engine, post_id: int, ts: str) -> None:
    """Records that the message is in Slack as `ts`, with attachments still to send."""
    with writing(engine) as connection:
        connection.execute(update(tables.posts).where(tables.posts.c.id == post_id).values(posted_ts=ts))


def retry_post(engine: Engine, post_id: int, retry_at: float, error: str) -> None:
    """Records that Slack refused the message; it is due again at `retry_at`."""
    undone = (tables.posts.c.id == post_id) & tables.posts.c.done_at.is_(None)
    with writing(engine) as connection:
        connection.execute(update(tables.posts).where(undone).values(due_at=retry_at, error=error[:500]))


def postpone_post(engine: Engine, post_id: int, at: float) -> None:
    """Postpones a message that was not sent (rate limit, no thread yet) to `at`; this counts as no try."""
    posts = tables.posts
    with writing(engine) as connection:
        query = update(posts).where((posts.c.id == post_id) & posts.c.done_at.is_(None) & (posts.c.tries > 0))
        connection.execute(query.values(due_at=at, tries=posts.c.tries - 1))


def move_job(engine: Engine, job_id: str, channel: str, why: str, now: float) -> None:
    """Moves the job's card and unsent posts to `channel`, as new messages."""
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        set_columns(connection, job, now, channel=channel, **NO_CARD)
        record(connection, HistoryLine(job_id, now, "bot", "moved", why))
        undone = (tables.posts.c.job_id == job_id) & tables.posts.c.done_at.is_(None)
        undone &= tables.posts.c.kind.not_in(
            ["approval_direct", "approval_end"]
        )  # those have their own places
        for post in connection.execute(select(tables.posts).where(undone)).mappings().all():
            target = {"channel": channel, "thread_ts": None, "due_at": now, "tries": 0, "posted_ts": None}
            values = {**target, "body": {**post["body"], "moved": why}}
            connection.execute(update(tables.posts).where(tables.posts.c.id == post["id"]).values(values))


def set_card_channel(engine: Engine, job_id: str, channel: str | None) -> None:
    """The job's card, not posted yet, goes to `channel`; None: to the job's own."""
    with writing(engine) as connection:
        query = update(tables.jobs).where((tables.jobs.c.id == job_id) & tables.jobs.c.card_ts.is_(None))
        connection.execute(query.values(card_channel=channel))


def set_post_channel(engine: Engine, post_id: int, channel: str) -> None:
    """Redirects the message to `channel`."""
    with writing(engine) as connection:
        connection.execute(update(tables.posts).where(tables.posts.c.id == post_id).values(channel=channel))


def stale_cards(engine: Engine) -> list[StaleCard]:
    """Every job whose card in Slack is older than the job, longest unchanged first."""
    jobs = tables.jobs
    columns = (jobs.c.id, jobs.c.state, jobs.c.card_ts)
    query = select(*columns).where(jobs.c.card_version < jobs.c.version).order_by(jobs.c.updated_at)
    with reading(engine) as connection:
        return [StaleCard(row.id, State(row.state), row.card_ts) for row in connection.execute(query)]


def forget_card(engine: Engine, job_id: str) -> None:
    """Records that the card was deleted in Slack: the job has none until a new one is posted."""
    with writing(engine) as connection:
        mine = tables.jobs.c.id == job_id
        connection.execute(update(tables.jobs).where(mine).values(card_ts=None, card_version=0))


def mark_card_stale(engine: Engine, job_id: str) -> None:
    """Marks the card as out of date, so that it is updated in place."""
    with writing(engine) as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == job_id).values(card_version=0))


def record_card(engine: Engine, job_id: str, ts: str, version: int) -> None:
    """Records that the card `ts` shows the job as of `version`; ignores an older version."""
    mine = (tables.jobs.c.id == job_id) & (tables.jobs.c.card_version <= version)
    with writing(engine) as connection:
        connection.execute(update(tables.jobs).where(mine).values(card_ts=ts, card_version=version))
