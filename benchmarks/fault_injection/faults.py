"""The faults: each strikes at once and is undone when its generator is resumed.

A fault is (how long it lasts, in seconds from .. to; the generator). `FAULTS` names them all.
"""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import psutil

from fault_injection.environment import WORKERS, Environment

JUMPS_S = (-86_400, -3_600, 3_600, 86_400)
Inject = Callable[[Environment, random.Random], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """`least_s`..`most_s`: how long the fault lasts; `heavy`: ends a run, so another one must take over."""

    inject: Inject
    least_s: float
    most_s: float
    heavy: bool = False


def nothing(environment: Environment, dice: random.Random) -> Iterator[None]:
    """No fault: what the machine does by itself."""
    yield


def kill(*names: str) -> Inject:
    """kill -9 of processes, started again as systemd would."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        for name in names:
            environment.kill(name)
        yield
        for name in names:
            environment.start(name)

    return inject


def kill_busy_worker(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of a worker's parent process, of one that trains if there is one."""
    name = busy(environment, dice)
    environment.kill(name)
    yield
    environment.start(name)


def kill_busy_worker_and_training(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of a worker with everything under it: the machine is gone."""
    name = busy(environment, dice)
    for process in reversed(environment.tree(name)):
        with contextlib.suppress(psutil.Error):
            process.kill()
    environment.processes[name].wait()
    yield
    environment.start(name)


def kill_training_process(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of a training process alone."""
    job_process = environment.job_process(busy(environment, dice))
    if job_process is not None:
        with contextlib.suppress(psutil.Error):
            job_process.kill()
    yield


def drain(environment: Environment, dice: random.Random) -> Iterator[None]:
    """SIGTERM: the worker hands its job back."""
    name = busy(environment, dice)
    environment.drain(name)
    yield
    environment.start(name)


def lose_redis(environment: Environment, dice: random.Random) -> Iterator[None]:
    """kill -9 of Redis, and its disk is gone."""
    environment.kill("redis")
    shutil.rmtree(environment.home / "redis")
    yield
    environment.start("redis")


def freeze(who: str) -> Inject:
    """SIGSTOP: alive, but it does and answers nothing."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        tree = environment.tree(busy(environment, dice) if who == "worker" else who)
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
        yield
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)

    return inject


def link(which: str, mode: str) -> Inject:
    """A connection cut, half open, or slow."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        name = f"{busy(environment, dice)}-redis" if which == "worker-redis" else which
        environment.network.set(environment.link[name], mode)
        if which == "bot-slack" and mode == "cut":
            environment.control("disconnect", reason="none", close=True)
        yield
        environment.network.set(environment.link[name], "open")

    return inject


def slack(how: str, method: str = "*", times: int = 3) -> Inject:
    """Slack fails the next calls in one of its ways (see bot/playground/web_api/api.py)."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        environment.control("fail", method=method, times=times, how=how)
        yield

    return inject


def slack_slow_down(environment: Environment, dice: random.Random) -> Iterator[None]:
    """429 on nearly every post and update."""
    environment.control("rates", limits={"chat.postMessage": 12, "chat.update": 6}, enforce=True)
    yield
    environment.control("rates", enforce=False)


def slack_disconnects(environment: Environment, dice: random.Random) -> Iterator[None]:
    """The socket closes, once with and once without a word."""
    environment.control(
        "disconnect", reason=dice.choice(["none", "refresh_requested", "warning"]), close=True
    )
    yield
    environment.wait_for_bot()


def slack_redelivers(environment: Environment, dice: random.Random) -> Iterator[None]:
    """The last events come three more times."""
    for event in environment.control("state")["events"][-3:] * 3:
        environment.control("redeliver", event_id=event["event_id"])
    yield


def full_disk(who: str) -> Inject:
    """No file of the process (ledger; or spool and checkpoint) can grow: its writes fail as on a full disk."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        name = busy(environment, dice) if who == "worker" else who
        tree = environment.tree(name)
        for process in tree:
            limit(process, 0)
        yield
        for process in [*tree, *environment.tree(name)]:
            limit(process, resource.RLIM_INFINITY)

    return inject


def clock(who: str) -> Inject:
    """The wall clock jumps by hours or a day, either way, and back again."""

    def inject(environment: Environment, dice: random.Random) -> Iterator[None]:
        names = WORKERS if who == "workers" else (who,)
        offset = dice.choice(JUMPS_S)
        for name in names:
            environment.set_clock(name, offset)
        yield
        for name in names:
            environment.set_clock(name, 0)

    return inject


def limit(process: psutil.Process, size: int) -> None:
    """Sets how far the process's files may grow."""
    with contextlib.suppress(psutil.Error, OSError):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def busy(environment: Environment, dice: random.Random) -> str:
    """A worker that trains right now, waiting a moment for one; else any."""
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        if busy_workers := [name for name in WORKERS if environment.job_process(name) is not None]:
            return dice.choice(busy_workers)
        time.sleep(0.02)
    return dice.choice(WORKERS)


def undo(injection: Iterator[None]) -> None:
    """Undoes the fault."""
    with contextlib.suppress(StopIteration, httpx.TransportError):
        next(injection)


FAULTS: dict[str, Fault] = {
    "nothing": Fault(nothing, 0, 0),
    "training process killed": Fault(kill_training_process, 0, 0, heavy=True),
    "worker killed": Fault(kill_busy_worker, 0, 6, heavy=True),
    "worker and training killed": Fault(kill_busy_worker_and_training, 0, 6, heavy=True),
    "machine lost for good": Fault(kill_busy_worker_and_training, 21, 24, heavy=True),
    "both workers killed": Fault(kill(*WORKERS), 0, 3, heavy=True),
    "bot killed": Fault(kill("bot"), 0, 4),
    "bot and both workers killed": Fault(kill("bot", *WORKERS), 0, 3, heavy=True),
    "worker drained (SIGTERM)": Fault(drain, 0, 1),
    "Redis killed, data kept": Fault(kill("redis"), 0, 6),
    "Redis killed, data lost": Fault(lose_redis, 0, 6),
    "bot and Redis killed": Fault(kill("bot", "redis"), 0, 4),
    "workspace killed": Fault(kill("workspace"), 0, 5),
    "worker frozen past its lease": Fault(freeze("worker"), 18, 24, heavy=True),
    "worker frozen shortly": Fault(freeze("worker"), 2, 8),
    "bot frozen": Fault(freeze("bot"), 2, 12),
    "Redis frozen": Fault(freeze("redis"), 2, 12),
    "workspace frozen": Fault(freeze("workspace"), 2, 8),
    "worker-Redis cut past the lease": Fault(link("worker-redis", "cut"), 18, 24),
    "worker-Redis cut": Fault(link("worker-redis", "cut"), 1, 8),
    "worker-Redis half open": Fault(link("worker-redis", "stall"), 2, 24),
    "worker-Redis slow": Fault(link("worker-redis", "slow"), 3, 8),
    "bot-Redis cut": Fault(link("bot-redis", "cut"), 1, 10),
    "bot-Redis half open": Fault(link("bot-redis", "stall"), 2, 12),
    "bot-Redis slow": Fault(link("bot-redis", "slow"), 3, 8),
    "bot-Slack cut": Fault(link("bot-slack", "cut"), 1, 8),
    "bot-Slack half open": Fault(link("bot-slack", "stall"), 2, 25),
    "Slack answers 429": Fault(slack_slow_down, 4, 10),
    "Slack answers 500": Fault(slack("500", times=6), 0, 0),
    "Slack takes the post, then 500": Fault(slack("accepted_500", "chat.postMessage"), 0, 0),
    "Slack takes the post, no answer": Fault(slack("accepted_drop", "chat.postMessage"), 0, 0),
    "Slack hangs up": Fault(slack("drop", times=6), 0, 0),
    "Slack disconnects the socket": Fault(slack_disconnects, 0, 1),
    "Slack redelivers three times": Fault(slack_redelivers, 0, 0),
    "disk full under the ledger": Fault(full_disk("bot"), 1, 6),
    "disk full under spool and checkpoint": Fault(full_disk("worker"), 1, 6),
}
CLOCKS: dict[str, Fault] = {
    "bot's clock jumps": Fault(clock("bot"), 1, 8),
    "workers' clocks jump": Fault(clock("workers"), 1, 8),
}
"""These need libfaketime and an environment with clocks."""
LONG: dict[str, Fault] = {"Redis away for 70 s": Fault(kill("redis"), 70, 70)}
