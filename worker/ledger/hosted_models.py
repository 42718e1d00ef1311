"""Records in the ledger that a hosted model was erased."""

from __future__ import annotations

from sqlalchemy import Engine

from worker.jobs.records import HistoryLine
from worker.jobs.report_notes import notes_of, with_notes
from worker.ledger.database import writing
from worker.ledger.transitions import locked_job, record, set_columns

REQUEST = " on request of "


def note_erasure(engine: Engine, job_id: str, who: str, words: str, now: float) -> None:
    """Adds a line to the job's history and to its report's notes, once.

    `words` begin with the erased model and end with the requester.
    """
    with writing(engine) as connection:
        job = locked_job(connection, job_id)
        report = dict(job.report or {})
        fact = words.partition(REQUEST)[0]
        if any(str(one).partition(REQUEST)[0] == fact for one in notes_of(report)):
            return
        set_columns(connection, job, now, report=with_notes(report, words))
        record(connection, HistoryLine(job.id, now, who, "hosted model erased", words))
