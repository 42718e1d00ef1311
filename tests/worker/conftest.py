"""A harness with a real Redis, a ledger, a dispatcher and real worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.playground.patience import Patience
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.reconciler import Reconciler
from worker.jobs.records import Job, JobRequest
from worker.jobs.states import END_STATES
from worker.ledger.ledger import Ledger
from worker.transport import signing
from worker.transport.embedded_redis import EmbeddedRedis, embedded_redis

ROOT = Path(__file__).parents[2]


class WorkerHarness:
    """The processes and objects of one test; `stop` ends them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        signing.pair_locally(home / "keys")
        self.redis: EmbeddedRedis = embedded_redis(home / "redis")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.open_bot()

    def open_bot(self) -> None:
        """The bot's side, as after a start of the bot."""
        self.ledger = Ledger(str(self.home / "ledger.db"))
        looks = Reconciler(self.ledger, settle_s=4.0)
        self.dispatcher = Dispatcher(
            self.ledger, self.redis.url, self.home / "keys", self.home / "artifacts", reconciler=looks
        )
        self.dispatcher.start()

    def close_bot(self) -> None:
        """The bot's side goes away."""
        self.dispatcher.stop()
        self.ledger.close()

    def worker(self, name: str = "w1", log_format: str = "text") -> subprocess.Popen[bytes]:
        """A worker process in a group of its own; its log is <name>.log."""
        command = [sys.executable, "-m", "tests.worker.tiny_worker", str(self.home), self.redis.url, name]
        command.append(log_format)
        log = (self.home / f"{name}.log").open("ab")
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log, env={**os.environ})
        self.workers.append(process)
        return process

    def submit(self, **spec: Any) -> str:
        """The id of a new tiny job."""
        request = f"r{time.monotonic_ns()}"
        return self.ledger.submit(JobRequest("tiny", spec, "ds", "U1", "maya", "T1", "C1", None, request)).id

    def wait(self, job_id: str, until: Callable[[Job], Any], timeout_s: float = 40.0) -> Job:
        """The job as soon as `until` holds for it."""
        patience = Patience(timeout_s)
        while not patience.is_over():
            job = self.ledger.job(job_id)
            if until(job):
                return job
            time.sleep(0.02)
        story = [(e.what, e.to_state, e.why) for e in self.ledger.history(job_id)]
        raise AssertionError(f"still {self.ledger.job(job_id)}: {story}")

    def end_of(self, job_id: str, timeout_s: float = 40.0) -> Job:
        """The job once it has ended."""
        return self.wait(job_id, lambda job: job.state in END_STATES, timeout_s)

    def at_step(self, job_id: str, step: int = 2) -> Job:
        """The job once it runs and is that far."""
        return self.wait(job_id, lambda job: (job.progress.get("step") or 0) >= step)

    def job_process(self, job_id: str) -> int:
        """The process id of the job's latest job process."""
        pids = [e.data["pid"] for e in self.ledger.history(job_id) if e.what == "leased"]
        return pids[-1]

    def reports(self, job_id: str) -> int:
        """How many final reports the ledger owes for the job."""
        with self.ledger.engine.connect() as connection:
            query = "select count(*) from posts where job_id = ? and kind = 'final_report'"
            return connection.exec_driver_sql(query, (job_id,)).scalar_one()

    def stop(self) -> None:
        """Ends workers, bot and Redis."""
        for process in self.workers:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.close_bot()
        self.redis.stop()


@pytest.fixture
def harness() -> Iterator[WorkerHarness]:
    """A new harness in a short path (a Unix socket's path is limited)."""
    with tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True) as home:
        here = WorkerHarness(Path(home))
        try:
            yield here
        finally:
            here.stop()
