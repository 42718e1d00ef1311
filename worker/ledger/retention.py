"""Removes what people wrote after the retention time; keeps the records of jobs.

Removed: thread states, texts of duty tickets, plots, ticket texts in reports and tries, texts of posted messages.
Kept: the job's row, its figures and its history (who, when, why), which are the audit log. Does not cover
datasets (`DatasetStore.forget`), models and what lies beside them, Slack's own messages, and backups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from finetune.data.erase import MARK, mention_of
from worker.jobs.states import END_STATES
from worker.kinds import kind_of
from worker.ledger.database import reading, writing
from worker.ledger.duty_texts import blank_texts, forget_texts
from worker.ledger.tables import jobs, plots, posts, threads

AT_ONCE = 200
OWN_POSTS = (posts.c.job_id == "") & posts.c.done_at.is_not(None)  # answers and lines beneath tickets, sent
READ_PARTS = select(jobs.c.id, jobs.c.kind, jobs.c.spec, jobs.c.report)


@dataclass(frozen=True)
class EndedJob:
    """The parts of an ended job that may quote what people wrote."""

    id: str
    kind: str
    spec: dict[str, Any]
    report: dict[str, Any] | None


def forget_older(engine: Engine, before: float, now: float) -> int:
    """Drops what people wrote in jobs that ended, and threads unchanged, since `before`; how many jobs it emptied."""
    with writing(engine) as connection:
        connection.execute(delete(threads).where(threads.c.updated_at < before))
    forget_texts(engine, before)
    with writing(engine) as connection:
        connection.execute(update(posts).where(OWN_POSTS & (posts.c.created_at < before)).values(body={}))
    with reading(engine) as connection:
        old = jobs.c.state.in_(list(END_STATES)) & (jobs.c.ended_at < before) & jobs.c.forgotten_at.is_(None)
        old_jobs = [EndedJob(*row) for row in connection.execute(READ_PARTS.where(old).limit(AT_ONCE))]
    for job in old_jobs:
        with writing(engine) as connection:
            erase_quotes(connection, job, now)
    return len(old_jobs)


def forget_person(engine: Engine, requester: str, digests: frozenset[str], now: float) -> int:
    """Takes a requester out of what the ledger keeps; how many jobs and threads changed.

    Jobs that read one of `digests` lose all that they quoted: a quoted ticket may be the requester's. The
    words of `requester` become <ERASED> in tries, other reports, posted messages and the memory of threads.
    Does not cover jobs that have not ended, nor other spellings.
    """
    mention = mention_of(requester)
    blanks = _blank_threads(engine, mention) + _blank_jobs(engine, mention, digests, now)
    _blank_posts(engine, mention)
    return blanks + blank_texts(engine, lambda text: str(blank_mentions(text, mention)))


def _blank_threads(engine: Engine, mention: re.Pattern[str]) -> int:
    count = 0
    with reading(engine) as connection:
        memory = [dict(row) for row in connection.execute(select(threads)).mappings()]
    for row in memory:
        if (state := blank_mentions(row["state"], mention)) != row["state"]:
            mine = (threads.c.channel == row["channel"]) & (threads.c.ts == row["ts"])
            with writing(engine) as connection:
                connection.execute(update(threads).where(mine).values(state=state))
            count += 1
    return count


def _blank_posts(engine: Engine, mention: re.Pattern[str]) -> None:
    """The same in what was posted for no job: a line beneath a ticket of another system quotes its beginning."""
    with reading(engine) as connection:
        bodies = connection.execute(select(posts.c.id, posts.c.body).where(OWN_POSTS)).all()
    for post_id, body in bodies:
        if (new := blank_mentions(body, mention)) != body:
            with writing(engine) as connection:
                connection.execute(update(posts).where(posts.c.id == post_id).values(body=new))


def _blank_jobs(engine: Engine, mention: re.Pattern[str], digests: frozenset[str], now: float) -> int:
    """Takes the write lock for a job that changes and for no other: an ended job is written by nobody else."""
    with reading(engine) as connection:
        query = select(jobs.c.id).where(jobs.c.state.in_(list(END_STATES)))
        job_ids = list(connection.execute(query).scalars())
    count = 0
    for job_id in job_ids:
        with reading(engine) as connection:
            job = EndedJob(*connection.execute(READ_PARTS.where(jobs.c.id == job_id)).one())
            mine = (posts.c.job_id == job_id) & posts.c.done_at.is_not(None)
            bodies = connection.execute(select(posts.c.id, posts.c.body).where(mine)).all()
        if job.spec.get("digest") in digests:
            with writing(engine) as connection:
                erase_quotes(connection, job, now)
            count += 1
            continue
        values = {"spec": blank_mentions(job.spec, mention), "report": blank_mentions(job.report, mention)}
        new_bodies = {
            post_id: new_body
            for post_id, body in bodies
            if (new_body := blank_mentions(body, mention)) != body
        }
        if not new_bodies and values == {"spec": job.spec, "report": job.report}:
            continue
        with writing(engine) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
            for post_id, body in new_bodies.items():
                connection.execute(update(posts).where(posts.c.id == post_id).values(body=body))
        count += 1
    return count


def blank_mentions(value: Any, mention: re.Pattern[str]) -> Any:
    """The same JSON value with every mention in its texts blanked."""
    if isinstance(value, str):
        return mention.sub(MARK, value)
    if isinstance(value, dict):
        return {name: blank_mentions(part, mention) for name, part in value.items()}
    return [blank_mentions(part, mention) for part in value] if isinstance(value, list) else value


def erase_quotes(connection: Connection, job: EndedJob, now: float) -> None:
    """Drops what one ended job quoted and drew."""
    kind, report = kind_of(job.kind), job.report
    values = {
        "spec": kind.forget_spec(job.spec),
        "report": kind.forget_report(report) if isinstance(report, dict) else None,
        "forgotten_at": now,
    }
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    connection.execute(delete(plots).where(plots.c.job_id == job.id))
    mine = (posts.c.job_id == job.id) & posts.c.done_at.is_not(None)
    connection.execute(update(posts).where(mine).values(body={}))
