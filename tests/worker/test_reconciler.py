"""The reconciler with a clock that is passed in: silence, stalls, outages."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.slack.ui.job_card import job_card
from worker.dispatch.reconciler import Reconciler
from worker.jobs.records import JobRequest
from worker.jobs.states import END_STATES, State
from worker.ledger import outbox, tables
from worker.ledger.apply_events import apply_events
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.transport.embedded_redis import embedded_redis
from worker.transport.events import WorkerEvent
from worker.transport.lease import Lease, write_lease
from worker.transport.queue import connect

pytestmark = pytest.mark.integration


class Watch:
    """A running job, a Redis, a reconciler; `look(tick)` is one pass at that second."""

    def __init__(self, home: Path) -> None:
        self.ledger = Ledger(str(home / "l.db"))
        self.server = embedded_redis(home / "r", durable=False)
        self.redis = connect(self.server.url)
        self.reconciler = Reconciler(self.ledger, settle_s=8.0, stall_s=300.0)
        self.seq = -1
        self.job = self.ledger.submit(JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, "k")).id
        for order in outbox.due_orders(self.ledger.engine, time.time(), None):
            outbox.complete_order(self.ledger.engine, order, time.time())

    def close(self) -> None:
        self.ledger.close()
        self.server.kill()

    def event(self, kind: str, **data: object) -> None:
        self.seq += 1
        with self.ledger.engine.connect() as connection:
            fence = connection.exec_driver_sql("select fence from attempts where live").scalar_one()
        event = WorkerEvent(self.job, 1, fence, "r", self.seq, kind, 0.0, dict(data), "w")
        apply_events(self.ledger.engine, [event], ("c", "0"), time.time())

    def look(self, tick: float, alive: bool = True, cpu_s: float | None = None) -> State:
        rq_id = f"ft-{self.job}-1"
        write_lease(self.redis, rq_id, Lease("r", cpu_s)) if alive else self.redis.delete(f"tw:lease:{rq_id}")
        self.reconciler.look(self.redis, time.time(), tick, caught_up=True)
        return self.ledger.job(self.job).state


@pytest.fixture
def loading() -> Iterator[Watch]:
    """A worker has the job and loads, in a short path (a Unix socket's path is limited)."""
    with tempfile.TemporaryDirectory(prefix="tw") as home:
        here = Watch(Path(home))
        here.event("leased", worker="w", pid=1)
        yield here
        here.close()


@pytest.fixture
def watch(loading: Watch) -> Watch:
    """The job has made its first step."""
    loading.event("step", step=1, steps=9)
    return loading


def test_a_run_that_makes_no_step_for_five_minutes_is_given_up(watch: Watch) -> None:
    """Its worker shows life all the while; a step in time starts the five minutes anew."""
    watch.look(0)
    assert watch.look(299) is State.RUNNING
    watch.event("step", step=2, steps=9)
    watch.look(299.5)
    assert watch.look(590) is State.RUNNING
    assert watch.look(600) in (State.RETRY_WAIT, State.QUEUED)
    assert any("no step for" in event.why for event in watch.ledger.history(watch.job))


def test_a_run_that_hangs_before_its_first_step_or_after_its_last_is_given_up_too(loading: Watch) -> None:
    """Loading and filing count as running."""
    loading.look(0)
    assert loading.look(301) in (State.RETRY_WAIT, State.QUEUED)


def test_a_run_that_still_computes_on_a_busy_machine_is_waited_for(loading: Watch) -> None:
    """Its lease tells 5 s of CPU time each 100 s: after 1,000 s without a step it is not lost, idle it is."""
    for tick in range(0, 1001, 100):
        assert loading.look(tick, cpu_s=tick / 20) is State.LEASED
    for tick in range(1100, 1301, 100):
        loading.look(tick, cpu_s=50.0)
    assert loading.look(1400, cpu_s=50.0) in (State.RETRY_WAIT, State.QUEUED)
    whys = [event.why for event in loading.ledger.history(loading.job)]
    assert any("no step for" in why and "in phase start" in why for why in whys)


@pytest.mark.parametrize("state", [state for state in State if state not in END_STATES])
def test_every_state_but_the_ends_has_someone_who_acts_on_it(loading: Watch, state: State) -> None:
    """A job that is left in any state, its worker gone, moves on by itself, or it waits for a person.

    Nothing produces `draft` outside of one transaction; `submit_unknown` belongs to the remote controller (test_remotes.py).
    """
    with writing(loading.ledger.engine) as connection:
        connection.execute(update(tables.jobs).values(state=state, approval_expires=time.time() - 1))
    if state in (State.DRAFT, State.SUBMIT_UNKNOWN):
        return
    for tick in range(0, 40, 2):
        loading.look(tick, alive=False)
    job = loading.ledger.job(loading.job)
    if state is State.PAUSED:
        assert job.state is State.PAUSED
        assert "job_resume" in str(job_card(job, time.time()))
    else:
        assert (job.state, job.attempt) != (state, 1)


def test_silence_counts_only_once_redis_has_been_back_for_a_while(watch: Watch) -> None:
    """An outage makes nobody lost: workers get eight seconds to show life again."""
    watch.look(0)
    watch.look(10)
    watch.reconciler.note_outage()
    assert watch.look(100, alive=False) is State.RUNNING
    assert watch.look(107, alive=False) is State.RUNNING
    watch.look(108.5, alive=False)
    assert watch.look(110.5, alive=False) in (State.RETRY_WAIT, State.QUEUED)


def test_an_approval_that_nobody_gave_in_a_day_ends_the_job_with_the_reason(watch: Watch) -> None:
    """By the clock, once, with a report; a day less a minute changes nothing."""
    ledger, now = watch.ledger, time.time()
    job = ledger.submit(
        JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, "dear", approval="It costs $80.")
    ).id
    watch.reconciler.look(watch.redis, now + 24 * 3600 - 60, 10.0, True)
    assert ledger.job(job).state is State.AWAITING_APPROVAL
    for tick in (20.0, 30.0):
        watch.reconciler.look(watch.redis, now + 24 * 3600 + 60, tick, True)
    end = ledger.job(job)
    assert (end.state, end.reserved_usd) == (State.REJECTED, 0.0)
    assert "Nobody approved it in time" in str(end.error)
    kinds = [post.kind for post in ledger.due_posts(now + 25 * 3600) if post.job_id == job]
    assert [kind for kind in kinds if kind != "digest"] == [
        "approval_request",
        "approval_end",
        "final_report",
    ]
