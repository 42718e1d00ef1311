"""The process that trains: forked by the worker, watched, told to stop, never alive without its worker."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.runtime.attempt import Kind, Work, drop_earlier, prepare_folder, run_attempt, within_budget
from worker.runtime.processes import MARK, die_with_parent, start_guard
from worker.transport.queue import connect
from worker.transport.signing import Envelope, PrivateKey, PublicKey
from worker.transport.spool import RunLog, run_path, write_end
from worker.transport.stop_flag import StopFlag

LOOK_S = 0.5
STEP_EVERY_S = 0.5
STALE_S = 4.0

log = logging.getLogger("trainwise.worker")


@dataclass(frozen=True)
class ProcessSpec:
    """What the worker hands to its job process."""

    envelope: Envelope
    run: str
    kind: Kind
    worker: str
    redis_url: str
    artifacts: Path
    spool: Path
    datasets_url: str
    key: PrivateKey
    bot: PublicKey
    price_per_hour: float
    prices: dict[str, Any]


class StopSignal:
    """The reason to stop, set once by whoever sees it first.

    A process that slept through its own watch (stopped, swapped out, suspended) looks before it does more.
    """

    def __init__(self, look: Callable[[], str | None]) -> None:
        self.reason: str | None = None
        self._look = look
        self._looked_at = time.monotonic()

    def look(self) -> None:
        """Looks for the stop flag now."""
        if reason := self._look():
            self.raise_(reason)
        self._looked_at = time.monotonic()

    def asked(self) -> str | None:
        """The reason, after a look when the last one is long ago."""
        if self.reason is None and time.monotonic() - self._looked_at > STALE_S:
            self.look()
        return self.reason

    def raise_(self, reason: str) -> None:
        """Sets the reason unless there is one."""
        if self.reason is None:
            self.reason = reason


def run_job_process(orders: ProcessSpec, parent: int) -> int:
    """Runs the attempt and leaves its outcome for the worker; the exit status. In the forked child only."""
    die_with_parent(parent)
    envelope = orders.envelope
    os.environ[MARK] = envelope.rq_id
    start_guard(envelope.rq_id, os.getpgrp())
    flag = StopFlag(envelope.rq_id, orders.bot, orders.artifacts, connect(orders.redis_url))
    sign = StopSignal(flag.look)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sign.raise_("drain"))
    threading.Thread(target=_watch, args=(sign, parent), daemon=True).start()
    path = run_path(orders.spool, envelope.job, envelope.attempt, orders.run)
    events = RunLog(path, envelope.job, envelope.attempt, envelope.fence, orders.run, orders.key)
    events.append("leased", worker=orders.worker, pid=os.getpid())
    folder = prepare_folder(orders.artifacts, envelope)
    work = Work(
        envelope,
        folder,
        orders.datasets_url,
        _Emitter(events),
        within_budget(sign.asked, envelope, orders.price_per_hour),
        orders.price_per_hour,
        orders.prices,
    )
    kind, data = run_attempt(orders.kind, work)
    write_end(path, kind, data)
    if kind == "finished":
        with contextlib.suppress(OSError):
            drop_earlier(folder)
    return 0


class _Emitter:
    """Events into the spool; steps are thinned, and a full disk costs progress lines, not the run."""

    def __init__(self, events: RunLog) -> None:
        self._events = events
        self._last_step = float("-inf")

    def __call__(self, event: dict[str, Any]) -> None:
        data = dict(event)
        kind = str(data.pop("kind"))
        if kind == "step":
            last = data.get("step") == data.get("steps")
            if time.monotonic() - self._last_step < STEP_EVERY_S and not last:
                return
            self._last_step = time.monotonic()
        try:
            self._events.append(kind, **data)
        except OSError as e:
            log.warning("event %s not spooled: %s", kind, e)


def _watch(sign: StopSignal, parent: int) -> None:
    """Looks for the stop flag twice a second, and for the parent: without it this process must not train."""
    while os.getppid() == parent:
        sign.look()
        time.sleep(LOOK_S)
    os.killpg(0, signal.SIGKILL)
