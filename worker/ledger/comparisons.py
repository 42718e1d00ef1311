"""People's blind comparison of two systems' replies: who voted what, kept in the ledger's database.

Votes are stored unblinded (which system, not which place): the place follows from the seed and the row.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.errors import WorkerError
from worker.jobs.records import HistoryLine
from worker.ledger.database import reading, writing
from worker.ledger.tables import comparisons, votes
from worker.ledger.transitions import enqueue_post, locked_job, record

CHOICES = ("tuned", "baseline", "equal")


class ClosedComparison(WorkerError):
    """The comparison does not take votes (any more)."""


@dataclass(frozen=True)
class Comparison:
    """One job's comparison: its seed, how many tickets it shows, who began it, when it was closed."""

    job_id: str
    seed: str
    rows: int
    started_by: str
    closed_at: float | None


@dataclass(frozen=True)
class Tally:
    """`by_row` counts each row's votes by choice; `people` is how many different ones voted."""

    by_row: dict[int, Counter[str]]
    people: int

    def wins(self, choice: str) -> int:
        """Rows on which more people prefer this system than the other."""
        other = {"tuned": "baseline", "baseline": "tuned"}[choice]
        return sum(count[choice] > count[other] for count in self.by_row.values())

    def votes(self, choice: str) -> int:
        """All votes for the choice."""
        return sum(count[choice] for count in self.by_row.values())


def tuned_first(seed: str, row: int) -> bool:
    """Whether the tuned system's reply stands first for this row."""
    return hashlib.sha256(f"{seed}:{row}".encode()).digest()[0] % 2 == 0


def start(engine: Engine, job_id: str, by: str, seed: str, rows: int, now: float) -> bool:
    """Opens the comparison and owes its messages to the job's thread; False where there is one already."""
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        if connection.execute(select(comparisons.c.job_id).where(comparisons.c.job_id == job_id)).first():
            return False
        values = {"job_id": job_id, "seed": seed, "rows": rows, "started_by": by, "created_at": now}
        connection.execute(insert(comparisons).values(values))
        enqueue_post(connection, job, now, "compare_intro", "compare", {"rows": rows})
        for row in range(rows):
            enqueue_post(connection, job, now, "compare_ticket", f"compare:{row}", {"row": row, "seed": seed})
        record(connection, HistoryLine(job_id, now, by, "compare", f"blind comparison of {rows} tickets"))
    return True


def comparison(engine: Engine, job_id: str) -> Comparison | None:
    """The job's comparison, or None."""
    with reading(engine) as connection:
        return _comparison(connection, job_id)


def vote(engine: Engine, job_id: str, row: int, person: str, choice: str, now: float) -> bool:
    """True for the person's first vote on the row, False for every later one; ClosedComparison at the end."""
    if choice not in CHOICES:
        raise WorkerError("This vote names no answer.")
    try:
        with writing(engine) as connection:
            locked_job(connection, job_id)
            current = _comparison(connection, job_id)
            if current is None or not 0 <= row < current.rows:
                raise WorkerError("There is no such comparison. Start one with `/jobs compare JOB`.")
            if current.closed_at is not None:
                raise ClosedComparison("This comparison is closed: its result stands in the thread.")
            cast = {"job_id": job_id, "row": row, "person": person, "choice": choice, "at": now}
            connection.execute(insert(votes).values(cast))
    except IntegrityError:
        return False
    return True


def tally(engine: Engine, job_id: str) -> Tally:
    """The votes so far."""
    with reading(engine) as connection:
        return _tally(connection, job_id)


def close(engine: Engine, job_id: str, by: str, now: float) -> bool:
    """Ends the voting and owes the summary to the thread; False where it is closed already."""
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        current = _comparison(connection, job_id)
        if current is None:
            raise WorkerError("There is no such comparison. Start one with `/jobs compare JOB`.")
        if current.closed_at is not None:
            return False
        mine = comparisons.c.job_id == job_id
        connection.execute(update(comparisons).where(mine).values(closed_at=now, closed_by=by))
        result = _tally(connection, job_id)
        body = {
            "rows": current.rows,
            "people": result.people,
            "by_row": {str(row): dict(count) for row, count in sorted(result.by_row.items())},
        }
        enqueue_post(connection, job, now, "compare_summary", "compared", body)
        record(connection, HistoryLine(job_id, now, by, "compared", f"{result.people} people voted"))
    return True


def tally_of(by_row: dict[str, dict[str, int]], people: int) -> Tally:
    """The tally that a summary's message carries."""
    return Tally({int(row): Counter(count) for row, count in by_row.items()}, people)


def _comparison(connection: Connection, job_id: str) -> Comparison | None:
    row = connection.execute(select(comparisons).where(comparisons.c.job_id == job_id)).mappings().first()
    names = ("job_id", "seed", "rows", "started_by", "closed_at")
    return Comparison(**{name: row[name] for name in names}) if row else None


def _tally(connection: Connection, job_id: str) -> Tally:
    cast = connection.execute(select(votes).where(votes.c.job_id == job_id)).mappings().all()
    by_row: dict[int, Counter[str]] = defaultdict(Counter)
    for one in cast:
        by_row[one["row"]][one["choice"]] += 1
    return Tally(dict(by_row), len({one["person"] for one in cast}))
