"""Plain RQ under the same faults: its own worker command, `Retry(3)`, a callback as the final report."""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import redis
from rq import Callback, Queue, Retry
from rq.command import send_stop_job_command

from fault_injection.environment import WORKERS, Environment
from fault_injection.faults import FAULTS, undo
from fault_injection.trial import Result, end_all, pids, wait_for_start

DEADLINE_S = 60.0
APPLICABLE = (
    "training process killed",
    "worker killed",
    "machine lost for good",
    "worker drained (SIGTERM)",
    "Redis killed, data kept",
    "Redis killed, data lost",
    "worker frozen past its lease",
    "worker-Redis cut past the lease",
    "worker-Redis cut",
    "Redis frozen",
    "nothing",
)


class PlainRqEnvironment(Environment):
    """Redis and two `rq worker` processes; the one who enqueues is this process, around the links."""

    def begin(self) -> None:
        for name in ("redis", *WORKERS):
            self.start(name)
        self._wait(lambda: self.connect().scard("rq:workers") == len(WORKERS), "rq worker did not start")

    def connect(self) -> redis.Redis:
        """A client that reaches Redis directly."""
        return redis.Redis(port=self.ports["redis"], socket_timeout=5)

    def _command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "rq.cli", "worker", "--quiet", "-u", self._redis(name), "default"]


@contextlib.contextmanager
def plain_rq_environment() -> Iterator[PlainRqEnvironment]:
    """As fault_injection.environment.running_environment, for plain RQ."""
    with tempfile.TemporaryDirectory(prefix="plainrq", ignore_cleanup_errors=True) as home:
        here = PlainRqEnvironment(Path(home))
        try:
            here.begin()
            yield here
        finally:
            here.end()


def plain_trial(fault_name: str, seed: int, deadline_s: float = DEADLINE_S, cancel: bool = False) -> Result:
    """One trial in an environment of its own: RQ's leftovers would spoil the next one's."""
    with plain_rq_environment() as environment:
        return _trial(environment, fault_name, seed, deadline_s, cancel)


def _trial(
    environment: PlainRqEnvironment, fault_name: str, seed: int, deadline_s: float, cancel: bool
) -> Result:
    dice, result, fault = random.Random(seed), Result(seed, fault_name), FAULTS[fault_name]
    jobs = [f"j{seed}x{n}" for n in range(dice.randint(1, 3))]
    result.jobs, began = len(jobs), time.time()
    rq_jobs = [_enqueue(environment, job, dice.randint(2, 9) * 10) for job in jobs]
    if dice.random() < 0.75:
        wait_for_start(environment, began)
    time.sleep(dice.uniform(0.0, 2.0))
    injected_at = time.time()
    injection = fault.inject(environment, dice)
    next(injection)
    if cancel:
        result.cancel_s = _cancel(environment, rq_jobs)
    time.sleep(dice.uniform(fault.least_s, fault.most_s))
    undo(injection)
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline and not all(has_ended(environment, job) for job in jobs):
        time.sleep(0.1)
    time.sleep(1.0)
    for job in jobs if not cancel else ():
        whats = [line.what for line in environment.event_log.of(job)]
        ends, reports = whats.count("end"), whats.count("report")
        result.lost += [job] if ends == 0 else []
        result.doubled += [job] if ends > 1 else []
        result.ran_twice += [job] if ends > 1 else []
        result.reports_missing += [job] if reports == 0 else []
        result.reports_doubled += [job] if reports > 1 else []
        end_all(environment, job, result)
    if fault.heavy:
        result.recovery_s = _recovery(environment, jobs, injected_at, deadline_s)
    return result


def _enqueue(environment: PlainRqEnvironment, job: str, steps: int) -> Any:
    queue, callback = (
        Queue("default", connection=environment.connect()),
        Callback("fault_injection.plain_job.report"),
    )
    return queue.enqueue(
        "fault_injection.plain_job.count",
        args=(str(environment.home / "events.pipe"), job, steps),
        retry=Retry(max=3),
        on_success=callback,
        on_failure=callback,
    )


def has_ended(environment: PlainRqEnvironment, job: str) -> bool:
    return {"end", "report"} <= {line.what for line in environment.event_log.of(job)}


def _cancel(environment: PlainRqEnvironment, rq_jobs: list[Any]) -> float | None:
    """Seconds from RQ's stop command until the job's last process is gone; 30 when some never go."""
    for job in rq_jobs:
        if running := pids(environment, job.args[1]):
            began = time.monotonic()
            with contextlib.suppress(Exception):
                send_stop_job_command(environment.connect(), job.id)
            while any(psutil.pid_exists(pid) for pid in running):
                if time.monotonic() - began > 30:
                    break
                time.sleep(0.01)
            return time.monotonic() - began
    return None


def _recovery(
    environment: PlainRqEnvironment, jobs: list[str], injected_at: float, deadline_s: float
) -> float | None:
    """Seconds until the last interrupted job began anew; the deadline when it never did."""
    waits = []
    for job in jobs:
        lines = environment.event_log.of(job)
        old = {line.pid for line in lines if line.at <= injected_at}
        if old and not any(line.what == "end" and line.pid in old for line in lines):
            new = [line.at for line in lines if line.what == "start" and line.pid not in old]
            waits.append(min(new) - injected_at if new else deadline_s)
    return round(max(waits), 2) if waits else None
