"""Which notices a channel gets of its jobs; all are on until someone switches one off.

`started`: the job's card stands in the channel from launch on (off: in its launcher's own messages).
`finished`, `failed`: the report comes to the channel (off: to its launcher's own messages). `digest`: the weekly
message. The switch counts when a job is accepted or ends; later changes do not affect that job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, delete, insert, select

from worker.errors import WorkerError
from worker.jobs.records import Job
from worker.jobs.states import State
from worker.ledger.database import reading, writing
from worker.ledger.tables import channel_notices


@dataclass(frozen=True)
class Notices:
    """Each notice of one channel, on or off."""

    started: bool = True
    finished: bool = True
    failed: bool = True
    digest: bool = True


NAMES = tuple(asdict(Notices()))
ENDS: Mapping[State, str] = {
    State.SUCCEEDED: "finished",
    State.CANCELLED: "finished",
    State.FAILED: "failed",
    State.REJECTED: "failed",
    State.BUDGET_STOPPED: "failed",
}


def notices(engine: Engine, channel: str) -> Notices:
    """The notices of the channel."""
    with reading(engine) as connection:
        return notices_in(connection, channel)


def notices_in(connection: Connection, channel: str) -> Notices:
    """As `notices`, inside the transaction that depends on it."""
    rows = select(channel_notices).where(channel_notices.c.channel == channel)
    row = connection.execute(rows).mappings().first()
    return Notices(**{name: bool(row[name]) for name in NAMES}) if row else Notices()


def set_notice(engine: Engine, channel: str, name: str, on: bool, by: str, now: float) -> Notices:
    """Switches one notice of the channel; returns all of them. WorkerError for an unknown name."""
    if name not in NAMES:
        raise WorkerError(f"There is no notice {name[:40]}; there are {', '.join(NAMES)}.")
    with writing(engine) as connection:
        switches = asdict(notices_in(connection, channel)) | {name: on}
        connection.execute(delete(channel_notices).where(channel_notices.c.channel == channel))
        row = {"channel": channel, **switches, "set_by": by, "set_at": now}
        connection.execute(insert(channel_notices).values(row))
    return Notices(**switches)


def card_recipient(connection: Connection, channel: str, by: str) -> str | None:
    """The user id whose direct messages get a new job's card; None: the channel gets it."""
    return by if _is_member(by) and not notices_in(connection, channel).started else None


def report_recipient(connection: Connection, job: Job, end: State) -> str | None:
    """The user id whose direct messages get the report of a job with this end; None: the channel gets it."""
    quiet = _is_member(job.by) and not getattr(notices_in(connection, job.channel), ENDS[end])
    return job.by if quiet else None


def _is_member(by: str) -> bool:
    return by.startswith(("U", "W"))  # else: launched from a terminal
