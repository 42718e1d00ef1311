"""Two bots on one ledger in a real PostgreSQL that is killed, disconnected, and replaced by its replica.

The bots are dispatchers and notifiers as a team's runtime has them, the worker's side is its spool and heartbeat; what trains
is a thread of the test. Real processes, more faults and two teams: `benchmarks/faults.py --postgres`.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError

from bot.demo.stack import free_port
from bot.playground import Person, Playground
from bot.slack.app import posting_client
from bot.slack.delivery.notifier import Notifier
from tests.integration.conftest import until
from tests.integration.notifier_harness import MANIFEST
from tests.postgres_server import Postgres, find_programs
from worker.dispatch.dispatcher import Dispatcher
from worker.jobs.records import JobRequest
from worker.jobs.states import State
from worker.ledger.ledger import Ledger
from worker.ledger.speaker_lease import SpeakerLease
from worker.runtime.heartbeat import Heartbeat
from worker.transport import signing
from worker.transport.embedded_redis import EmbeddedRedis, embedded_redis
from worker.transport.queue import connect
from worker.transport.spool import RunLog, Shipper, run_path
from worker.transport.stop_flag import StopFlag

pytestmark = pytest.mark.integration
CHANNEL, RAVI = "C0SUPPORTML", "U0RAVI00001"
AWAY = (OperationalError, InterfaceError)


class Bot:
    """The parts of a team's runtime that handle jobs, with its own ledger connection."""

    def __init__(self, name: str, url: str, home: Path, redis_url: str, workspace: Playground) -> None:
        self.ledger = Ledger(url)
        self.dispatcher = Dispatcher(self.ledger, redis_url, home / "keys", home / "artifacts")
        client = posting_client(workspace.bot_token, workspace.api_url)
        self.notifier = Notifier(client, self.ledger, 0.2, lambda: self.dispatcher.redis_ok)
        self.speaker = SpeakerLease(self.ledger.engine, name)
        self.notifier.leader_term = self.speaker.turn
        self.dispatcher.start()
        self.notifier.start()

    def stop(self) -> None:
        """Closes everything."""
        self.notifier.stop()
        self.dispatcher.stop()
        self.ledger.close()


@dataclass
class Stand:
    """Redis, PostgreSQL, the workspace, both bots and a worker."""

    home: Path
    redis: EmbeddedRedis
    postgres: Postgres
    copy_port: int
    workspace: Playground
    bots: list[Bot] = field(default_factory=list)

    def submit(self, bot: Bot, key: str) -> str:
        """A person's launch, retried with the same request key while the database is down."""
        request = JobRequest("finetune", {"epochs": 3}, "d", RAVI, "ravi", "T", CHANNEL, None, key)

        def launch() -> str:
            with contextlib.suppress(*AWAY):
                return bot.ledger.submit(request).id
            return ""

        return str(until(launch, 60))


@pytest.fixture
def stand() -> Iterator[Stand]:
    """In a short path (a Unix socket's path is limited)."""
    pytest.importorskip("psycopg", reason="pip install 'trainwise[postgres]'")
    if find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with contextlib.ExitStack() as cleanup:
        home = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True))
        )
        database = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True))
        )
        signing.pair_locally(home / "keys")
        server = embedded_redis(home / "r")
        cleanup.callback(server.kill)
        workspace = cleanup.enter_context(Playground(MANIFEST))
        workspace.set_rates(enforce=False)
        here = Stand(home, server, Postgres(database).create(), free_port(), workspace)
        cleanup.callback(lambda: here.postgres.kill())
        places = [f"host=127.0.0.1:{port}" for port in (here.postgres.port, here.copy_port)]
        url = f"postgresql://trainwise@/postgres?{'&'.join(places)}&target_session_attrs=read-write"
        for name in ("one", "two"):
            bot = Bot(name, url, home, server.url, workspace)
            cleanup.callback(bot.stop)
            here.bots.append(bot)
        yield here


class Runs:
    """The worker: takes jobs from the queue and counts to twenty, with events by spool and heartbeat."""

    def __init__(self, stand: Stand) -> None:
        self.stand, self.redis = stand, connect(stand.redis.url)
        self.shipper = Shipper(stand.home / "spool", connect(stand.redis.url))
        self.heartbeat = Heartbeat(connect(stand.redis.url), [self.shipper], lambda: {"name": "w1"})
        self.heartbeat.start()
        self.ran: Counter[str] = Counter()

    def work(self, bot: Bot, job: str, step_s: float) -> None:
        """One job from the queue to its last event."""
        rq_id = f"ft-{job}-1"
        until(lambda: self.redis.lrem("rq:queue:trainwise", 0, rq_id), 90)
        self.ran[job] += 1
        keys = self.stand.home / "keys"
        fence = until(lambda: self.fence(bot, job), 60)
        log = RunLog(
            run_path(self.shipper.folder, job, 1, "r1"), job, 1, fence, "r1", signing.worker_key(keys)
        )
        self.heartbeat.hold(
            rq_id, "r1", StopFlag(rq_id, signing.bot_public(keys), self.stand.home / "a", self.redis)
        )
        log.append("leased", worker="w1", pid=1)
        for step in range(1, 21):
            log.append("step", step=step, steps=20)
            time.sleep(step_s)
        log.append("finished", report={"kind": "finetune", "headline": "counted", "worth_it": "no"}, plots={})
        self.heartbeat.release(rq_id)

    def fence(self, bot: Bot, job: str) -> str:
        """The live attempt's."""
        query = f"select fence from attempts where live and job_id = '{job}'"
        with contextlib.suppress(*AWAY), bot.ledger.engine.connect() as connection:
            return str(connection.exec_driver_sql(query).scalar_one())
        return ""


def strike(stand: Stand) -> None:
    """Killed and started again, all connections reset, killed for good with its copy in its place."""
    stand.postgres.kill()
    time.sleep(1.0)
    stand.postgres.start()
    time.sleep(1.0)
    stand.postgres.ask("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
    copy = stand.postgres.copy("second", stand.copy_port)
    time.sleep(1.0)
    stand.postgres.kill()
    copy.promote()
    stand.postgres = copy


def keys_in_slack(workspace: Playground) -> Counter[str]:
    """The number of each card and report in the channel and its threads."""
    ravi = Person(workspace.url, "ravi")
    messages: dict[str, Any] = {}
    for message in ravi.messages(CHANNEL):
        messages |= {one["ts"]: one for one in ravi.messages(CHANNEL, message["ts"])} | {
            message["ts"]: message
        }
    payloads = [(m.get("metadata") or {}).get("event_payload") or {} for m in messages.values()]
    return Counter(str(payload["key"]) for payload in payloads if "key" in payload)


def test_a_database_that_dies_twice_loses_and_doubles_nothing_of_two_bots(stand: Stand) -> None:
    """Eight jobs are launched at both bots before, during and after the outage: each ends once, with one card and report."""
    runs, jobs = Runs(stand), []
    striker = threading.Thread(target=strike, args=(stand,), daemon=True)
    workers = []
    for n in range(8):
        if n == 2:
            striker.start()
        bot = stand.bots[n % 2]
        jobs.append(stand.submit(bot, f"k{n}"))
        work = threading.Thread(target=runs.work, args=(bot, jobs[-1], 0.05 + 0.02 * n), daemon=True)
        work.start()
        workers.append(work)
        time.sleep(0.4)
    for thread in (striker, *workers):
        thread.join(120)
    assert stand.postgres.data.name == "second"

    def is_paid() -> bool:
        with contextlib.suppress(*AWAY):
            ledger = stand.bots[0].ledger
            with ledger.engine.connect() as connection:
                owed = connection.exec_driver_sql(
                    "select count(*) from posts where done_at is null"
                ).scalar_one()
            return not owed and not ledger.stale_cards() and len(ledger.jobs(states={State.SUCCEEDED})) == 8
        return False

    until(is_paid, 150)
    runs.heartbeat.stop()
    assert dict(runs.ran) == dict.fromkeys(jobs, 1)
    keys = keys_in_slack(stand.workspace)
    assert {key: keys[key] for job in jobs for key in (f"card:{job}", f"{job}:succeeded")} == {
        key: 1 for job in jobs for key in (f"card:{job}", f"{job}:succeeded")
    }
