"""What people wrote is not kept for ever: after the set time the ledger keeps that a job was, not what it read.

Forgotten: the memory of threads, pictures, the ticket texts in reports and tries, the words of posted messages.
Kept: the job's row, its figures and its history (who, when, why), which are the audit log. Does not cover
datasets (`trainwise forget`), models, Slack's own messages and the databases' backups.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, select, update

from worker.database import reading, writing
from worker.records import TRY
from worker.states import END_STATES
from worker.tables import jobs, plots, posts, threads

QUOTING = ("examples", "pairs", "plots", "before", "after")
AT_ONCE = 200


def forget_older(engine: Engine, before: float, now: float) -> int:
    """Drops what people wrote in jobs that ended, and threads unchanged, since `before`; how many jobs it emptied."""
    with writing(engine) as connection:
        connection.execute(delete(threads).where(threads.c.updated_at < before))
    with reading(engine) as connection:
        old = jobs.c.state.in_(list(END_STATES)) & (jobs.c.ended_at < before) & jobs.c.forgotten_at.is_(None)
        rows = connection.execute(
            select(jobs.c.id, jobs.c.kind, jobs.c.spec, jobs.c.report).where(old).limit(AT_ONCE)
        )
        found = [dict(row) for row in rows.mappings()]
    for row in found:
        with writing(engine) as connection:
            mine = jobs.c.id == row["id"]
            report = emptied(row["report"])
            if report and row["kind"] == TRY:
                report["headline"] = ""  # the model's answer
            values = {"spec": emptied_spec(row), "report": report, "forgotten_at": now}
            connection.execute(update(jobs).where(mine).values(values))
            connection.execute(delete(plots).where(plots.c.job_id == row["id"]))
            done = (posts.c.job_id == row["id"]) & posts.c.done_at.is_not(None)
            connection.execute(update(posts).where(done).values(body={}))
    return len(found)


def emptied_spec(row: dict[str, Any]) -> dict[str, Any]:
    """The recipe; for a try without the ticket that was typed."""
    return {**row["spec"], "text": ""} if row["kind"] == TRY else row["spec"]


def emptied(report: Any) -> Any:
    """The report without what was quoted from tickets."""
    if not isinstance(report, dict):
        return None
    kept = {name: value for name, value in report.items() if name not in QUOTING}
    pairs = [pair for pair in report.get("confused") or [] if isinstance(pair, dict)]
    return kept | {"confused": [{k: v for k, v in pair.items() if k != "example"} for pair in pairs]}
