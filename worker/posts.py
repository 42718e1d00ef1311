"""What the ledger owes to Slack: messages to send once, and job cards that are out of date."""

from __future__ import annotations

from sqlalchemy import Engine, select, update

from worker.jobs.records import Post, StaleCard, post_of
from worker.jobs.states import State
from worker.ledger import tables
from worker.ledger.database import reading, writing
from worker.ledger.transitions import locked_job, record, set_columns

SENDING_S = 60.0
"""How long a taken message is left to its sender before it is handed out again."""
CLOCK_JUMP_S = 900.0
"""A due time further ahead than any sender puts it off means that the clock was put back: due now."""
NO_CARD = {"thread_ts": None, "card_channel": None, "card_ts": None, "card_version": 0}


def due_posts(engine: Engine, now: float, limit: int = 20) -> list[Post]:
    """The messages to send now, oldest first; each is out of reach for others for `SENDING_S`.

    `tries` is how often it was handed out before: above 0, the earlier send may have reached Slack.
    """
    posts = tables.posts
    due = (posts.c.due_at <= now) | (posts.c.due_at > now + CLOCK_JUMP_S)
    owed = posts.c.done_at.is_(None) & due
    with writing(engine) as connection:
        query = select(posts).where(owed).order_by(posts.c.id).limit(limit).with_for_update()
        taken = [post_of(dict(row)) for row in connection.execute(query).mappings()]
        if taken:
            mine = posts.c.id.in_([post.id for post in taken])
            connection.execute(
                update(posts).where(mine).values(due_at=now + SENDING_S, tries=posts.c.tries + 1)
            )
    return taken


def post_done(engine: Engine, post_id: int, ts: str, now: float) -> None:
    """The message stands in Slack as `ts`; it is never handed out again."""
    with writing(engine) as connection:
        query = update(tables.posts).where(tables.posts.c.id == post_id)
        connection.execute(query.values(done_at=now, posted_ts=ts, error=None))


def post_failed(engine: Engine, post_id: int, retry_at: float, error: str) -> None:
    """Slack did not take the message; it is due again at `retry_at`."""
    undone = (tables.posts.c.id == post_id) & tables.posts.c.done_at.is_(None)
    with writing(engine) as connection:
        connection.execute(update(tables.posts).where(undone).values(due_at=retry_at, error=error[:500]))


def post_later(engine: Engine, post_id: int, at: float) -> None:
    """The message was not sent, for want of its turn or its thread; due again at `at`, as if never taken."""
    posts = tables.posts
    with writing(engine) as connection:
        query = update(posts).where((posts.c.id == post_id) & posts.c.done_at.is_(None) & (posts.c.tries > 0))
        connection.execute(query.values(due_at=at, tries=posts.c.tries - 1))


def move_to(engine: Engine, job_id: str, channel: str, why: str, now: float) -> None:
    """From now on the job's card and what is still owed go to `channel`, as new messages there."""
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        set_columns(connection, job, now, channel=channel, **NO_CARD)
        record(connection, job_id, now, "bot", "moved", why)
        undone = (tables.posts.c.job_id == job_id) & tables.posts.c.done_at.is_(None)
        for post in connection.execute(select(tables.posts).where(undone)).mappings().all():
            moved = {"channel": channel, "thread_ts": None, "due_at": now, "tries": 0}
            values = {**moved, "body": {**post["body"], "moved": why}}
            connection.execute(update(tables.posts).where(tables.posts.c.id == post["id"]).values(values))


def card_goes(engine: Engine, job_id: str, channel: str | None) -> None:
    """The job's card, not posted yet, goes to `channel`; None: to the job's own."""
    with writing(engine) as connection:
        query = update(tables.jobs).where((tables.jobs.c.id == job_id) & tables.jobs.c.card_ts.is_(None))
        connection.execute(query.values(card_channel=channel))


def post_goes(engine: Engine, post_id: int, channel: str) -> None:
    """The owed message goes to `channel`."""
    with writing(engine) as connection:
        connection.execute(update(tables.posts).where(tables.posts.c.id == post_id).values(channel=channel))


def stale_cards(engine: Engine) -> list[StaleCard]:
    """Every job whose card in Slack is older than the job, longest unchanged first."""
    jobs = tables.jobs
    columns = (jobs.c.id, jobs.c.state, jobs.c.card_ts)
    query = select(*columns).where(jobs.c.card_version < jobs.c.version).order_by(jobs.c.updated_at)
    with reading(engine) as connection:
        return [StaleCard(row.id, State(row.state), row.card_ts) for row in connection.execute(query)]


def card_gone(engine: Engine, job_id: str) -> None:
    """The card was deleted in Slack: the job has none, until a new one is posted."""
    with writing(engine) as connection:
        mine = tables.jobs.c.id == job_id
        connection.execute(update(tables.jobs).where(mine).values(card_ts=None, card_version=0))


def card_posted(engine: Engine, job_id: str, ts: str, version: int) -> None:
    """The card `ts` now shows the job as of `version`; an older report than the last one changes nothing."""
    mine = (tables.jobs.c.id == job_id) & (tables.jobs.c.card_version <= version)
    with writing(engine) as connection:
        connection.execute(update(tables.jobs).where(mine).values(card_ts=ts, card_version=version))
