"""The faults: each pulls one plug at once and puts it back when its generator is resumed.

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

from plugs.stage import WORKERS, Stage

JUMPS_S = (-86_400, -3_600, 3_600, 86_400)
Pull = Callable[[Stage, random.Random], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """`least_s`..`most_s`: how long the plug is out; `heavy`: ends a run, so another one must take over."""

    pull: Pull
    least_s: float
    most_s: float
    heavy: bool = False


def nothing(stage: Stage, dice: random.Random) -> Iterator[None]:
    """No plug: what the machine does by itself."""
    yield


def kill(*names: str) -> Pull:
    """kill -9 of processes, started again as systemd would."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        for name in names:
            stage.kill(name)
        yield
        for name in names:
            stage.start(name)

    return pull


def kill_busy_worker(stage: Stage, dice: random.Random) -> Iterator[None]:
    """kill -9 of a worker's parent process, of one that trains if there is one."""
    name = busy(stage, dice)
    stage.kill(name)
    yield
    stage.start(name)


def kill_busy_worker_and_horse(stage: Stage, dice: random.Random) -> Iterator[None]:
    """kill -9 of a worker with everything under it: the machine is gone."""
    name = busy(stage, dice)
    for process in reversed(stage.tree(name)):
        with contextlib.suppress(psutil.Error):
            process.kill()
    stage.processes[name].wait()
    yield
    stage.start(name)


def kill_horse(stage: Stage, dice: random.Random) -> Iterator[None]:
    """kill -9 of a training process alone."""
    horse = stage.horse(busy(stage, dice))
    if horse is not None:
        with contextlib.suppress(psutil.Error):
            horse.kill()
    yield


def drain(stage: Stage, dice: random.Random) -> Iterator[None]:
    """SIGTERM: the worker hands its job back."""
    name = busy(stage, dice)
    stage.drain(name)
    yield
    stage.start(name)


def lose_redis(stage: Stage, dice: random.Random) -> Iterator[None]:
    """kill -9 of Redis, and its disk is gone."""
    stage.kill("redis")
    shutil.rmtree(stage.home / "redis")
    yield
    stage.start("redis")


def freeze(who: str) -> Pull:
    """SIGSTOP: alive, but it does and answers nothing."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        tree = stage.tree(busy(stage, dice) if who == "worker" else who)
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
        yield
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)

    return pull


def wire(which: str, mode: str) -> Pull:
    """A connection cut, half open, or slow."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        name = f"{busy(stage, dice)}-redis" if which == "worker-redis" else which
        stage.wires.set(stage.wire[name], mode)
        if which == "bot-slack" and mode == "cut":
            stage.control("disconnect", reason="none", close=True)
        yield
        stage.wires.set(stage.wire[name], "open")

    return pull


def slack(how: str, method: str = "*", times: int = 3) -> Pull:
    """Slack fails the next calls in one of its ways (see bot/playground/web_api/api.py)."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        stage.control("fail", method=method, times=times, how=how)
        yield

    return pull


def slack_slow_down(stage: Stage, dice: random.Random) -> Iterator[None]:
    """429 on nearly every post and update."""
    stage.control("rates", limits={"chat.postMessage": 12, "chat.update": 6}, enforced=True)
    yield
    stage.control("rates", enforced=False)


def slack_disconnects(stage: Stage, dice: random.Random) -> Iterator[None]:
    """The socket closes, once with and once without a word."""
    stage.control("disconnect", reason=dice.choice(["none", "refresh_requested", "warning"]), close=True)
    yield
    stage.wait_for_bot()


def slack_redelivers(stage: Stage, dice: random.Random) -> Iterator[None]:
    """The last events come three more times."""
    for event in stage.control("state")["events"][-3:] * 3:
        stage.control("redeliver", event_id=event["event_id"])
    yield


def full_disk(who: str) -> Pull:
    """No file of the process (ledger; or spool and checkpoint) can grow: its writes fail as on a full disk."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        name = busy(stage, dice) if who == "worker" else who
        tree = stage.tree(name)
        for process in tree:
            limit(process, 0)
        yield
        for process in [*tree, *stage.tree(name)]:
            limit(process, resource.RLIM_INFINITY)

    return pull


def clock(who: str) -> Pull:
    """The wall clock jumps by hours or a day, either way, and back again."""

    def pull(stage: Stage, dice: random.Random) -> Iterator[None]:
        names = WORKERS if who == "workers" else (who,)
        offset = dice.choice(JUMPS_S)
        for name in names:
            stage.set_clock(name, offset)
        yield
        for name in names:
            stage.set_clock(name, 0)

    return pull


def limit(process: psutil.Process, size: int) -> None:
    """Sets how far the process's files may grow."""
    with contextlib.suppress(psutil.Error, OSError):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def busy(stage: Stage, dice: random.Random) -> str:
    """A worker that trains right now, waiting a moment for one; else any."""
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        if found := [name for name in WORKERS if stage.horse(name) is not None]:
            return dice.choice(found)
        time.sleep(0.02)
    return dice.choice(WORKERS)


def heal(pulled: Iterator[None]) -> None:
    """Puts the plug back."""
    with contextlib.suppress(StopIteration, httpx.TransportError):
        next(pulled)


FAULTS: dict[str, Fault] = {
    "nothing": Fault(nothing, 0, 0),
    "training process killed": Fault(kill_horse, 0, 0, heavy=True),
    "worker killed": Fault(kill_busy_worker, 0, 6, heavy=True),
    "worker and training killed": Fault(kill_busy_worker_and_horse, 0, 6, heavy=True),
    "machine lost for good": Fault(kill_busy_worker_and_horse, 21, 24, heavy=True),
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
    "worker-Redis cut past the lease": Fault(wire("worker-redis", "cut"), 18, 24),
    "worker-Redis cut": Fault(wire("worker-redis", "cut"), 1, 8),
    "worker-Redis half open": Fault(wire("worker-redis", "stall"), 2, 24),
    "worker-Redis slow": Fault(wire("worker-redis", "slow"), 3, 8),
    "bot-Redis cut": Fault(wire("bot-redis", "cut"), 1, 10),
    "bot-Redis half open": Fault(wire("bot-redis", "stall"), 2, 12),
    "bot-Redis slow": Fault(wire("bot-redis", "slow"), 3, 8),
    "bot-Slack cut": Fault(wire("bot-slack", "cut"), 1, 8),
    "bot-Slack half open": Fault(wire("bot-slack", "stall"), 2, 25),
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
"""These need libfaketime and a stage with clocks."""
LONG: dict[str, Fault] = {"Redis away for 70 s": Fault(kill("redis"), 70, 70)}
