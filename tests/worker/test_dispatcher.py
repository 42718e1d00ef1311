"""A simulation of an hour without Redis, second by second on a clock that is passed in; real Redis, ledger and spool."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.reconciler import Reconciler
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.ledger.ledger import Ledger
from worker.runtime.heartbeat import Heartbeat
from worker.transport import events, signing
from worker.transport.embedded_redis import embedded_redis
from worker.transport.queue import connect, queued_ids
from worker.transport.spool import RunLog, Shipper, run_path
from worker.transport.stop_flag import StopFlag

pytestmark = pytest.mark.integration
AWAY_S = 900
STEP_S = 5


class OutageSimulation:
    """A bot and a worker with one run, both moved on by `second()`; Redis comes and goes as told."""

    def __init__(self, home: Path) -> None:
        self.home, self.now = home, 1_800_000_000.0
        signing.pair_locally(home / "keys")
        self.server = embedded_redis(home / "r")
        self.ledger = Ledger(str(home / "l.db"), clock=lambda: self.now)
        self.reconciler = Reconciler(self.ledger)
        self.bot = Dispatcher(
            self.ledger, self.server.url, home / "keys", home / "artifacts", reconciler=self.reconciler
        )
        self.redis = connect(self.server.url)
        self.cursor = "0-0"
        self.epoch = events.epoch(self.redis)
        self.shipper = Shipper(home / "spool", self.redis, clock=lambda: self.now)
        self.heartbeat = Heartbeat(self.redis, [self.shipper], lambda: {"name": "w1"})
        self.caught_up = False

    def submit(self, key: str) -> str:
        return self.ledger.submit(JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, key)).id

    def begin(self, job: str) -> RunLog:
        """The worker takes the job's first attempt."""
        with self.ledger.engine.connect() as connection:
            query = "select fence from attempts where live and job_id = ?"
            fence = connection.exec_driver_sql(query, (job,)).scalar_one()
        run, key = "r1", signing.worker_key(self.home / "keys")
        log = RunLog(run_path(self.shipper.folder, job, 1, run), job, 1, fence, run, key)
        rq_id = f"ft-{job}-1"
        self.redis.lrem("rq:queue:trainwise", 0, rq_id)
        flag = StopFlag(rq_id, signing.bot_public(self.home / "keys"), self.home / "artifacts", self.redis)
        self.heartbeat.hold(rq_id, run, flag)
        log.append("leased", worker="w1", pid=1)
        return log

    def second(self) -> None:
        """One second of both: what their threads do again and again."""
        self.now += 1.0
        with contextlib.suppress(redis.RedisError):
            self.heartbeat._turn(self.now)
        try:
            self._listen()
            self.bot._send_due_orders(self.redis)
            self.reconciler.look(self.redis, self.now, self.now, self.caught_up)
        except redis.RedisError:
            self.caught_up = False
            self.reconciler.note_outage()

    def _listen(self) -> None:
        epoch = events.epoch(self.redis)
        if epoch != self.epoch:
            self.epoch, self.cursor = epoch, "0-0"
        entries = events.receive(self.redis, self.cursor, block_ms=1)
        if entries:
            self.cursor = entries[-1][0]
            self.bot._apply_entries(self.redis, entries, f"events:{self.epoch}", self.cursor)
        self.caught_up = not entries

    def reports(self, job: str) -> int:
        with self.ledger.engine.connect() as connection:
            query = "select count(*) from posts where job_id = ? and kind = 'final_report'"
            return int(connection.exec_driver_sql(query, (job,)).scalar_one())

    def close(self) -> None:
        self.shipper.close()
        self.ledger.close()
        self.server.kill()


@pytest.fixture
def simulation() -> Iterator[OutageSimulation]:
    """In a short path (a Unix socket's path is limited)."""
    with tempfile.TemporaryDirectory(prefix="tw") as home:
        here = OutageSimulation(Path(home))
        yield here
        here.close()


@pytest.mark.parametrize("memory", [True, False], ids=["data kept", "data lost"])
def test_fifteen_minutes_without_redis_lose_and_double_nothing(
    simulation: OutageSimulation, memory: bool
) -> None:
    """A run goes on and ends meanwhile: one attempt, one report; a job in line and one launched meanwhile wait."""
    running, waiting = simulation.submit("a"), simulation.submit("b")
    simulation.second()
    run = simulation.begin(running)
    for step in range(1, 4):
        run.append("step", step=step, steps=200)
        simulation.second()
    assert simulation.ledger.job(running).state is State.RUNNING
    simulation.server.kill()
    if not memory:
        shutil.rmtree(simulation.home / "r")
    for second in range(AWAY_S):
        if second % STEP_S == 0 and second < 800:
            run.append("step", step=4 + second // STEP_S, steps=200)
        if second == 800:
            run.append("finished", report={"kind": "tiny", "headline": "done"}, plots={})
            simulation.heartbeat.release(f"ft-{running}-1")
        if second == 400:
            late = simulation.submit("c")
        simulation.second()
    assert simulation.ledger.job(running).state is State.RUNNING, "an outage makes nobody lost"
    assert simulation.shipper.backlog() > 0
    simulation.server = embedded_redis(simulation.home / "r")
    for _ in range(40):
        simulation.second()
    job = simulation.ledger.job(running)
    assert (job.state, job.attempt, simulation.reports(running)) == (State.SUCCEEDED, 1, 1)
    assert simulation.shipper.backlog() == 0, "the worker keeps what the bot has"
    in_redis, _ = queued_ids(simulation.redis)
    orders = {f"ft-{one}-{simulation.ledger.job(one).attempt}" for one in (waiting, late)}
    assert in_redis == orders
    assert {simulation.ledger.job(one).state for one in (waiting, late)} == {State.QUEUED}
