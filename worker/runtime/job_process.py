"""The training process: forked by the worker, which watches and stops it; it ends with its worker."""

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

from finetune.progress import FINISH
from worker.kinds.job_kind import JobKind
from worker.logs import log_event
from worker.runtime.attempt import Work, drop_earlier, prepare_folder, run_attempt, within_budget
from worker.runtime.options import WorkerOptions
from worker.runtime.processes import MARK, die_with_parent, start_guard
from worker.teams import place_of
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
    """The input of a job process; `run_id` names this run, `spool` is the folder for its events."""

    envelope: Envelope
    run_id: str
    kind: JobKind
    options: WorkerOptions
    spool: Path
    key: PrivateKey
    bot: PublicKey


class StopSignal:
    """The reason to stop, set once by the thread that sees it first.

    A process that was suspended looks for the flag before it goes on.
    """

    def __init__(self, look: Callable[[], str | None]) -> None:
        self.reason: str | None = None
        self._look = look
        self._last_look_at = time.monotonic()

    def look(self) -> None:
        """Looks for the stop flag now."""
        if reason := self._look():
            self.set(reason)
        self._last_look_at = time.monotonic()

    def current_reason(self) -> str | None:
        """The reason, after a look when the last one is long ago."""
        if self.reason in (None, FINISH) and time.monotonic() - self._last_look_at > STALE_S:
            self.look()
        return self.reason

    def set(self, reason: str) -> None:
        """Sets the reason unless there is one; one that ends the run takes the place of FINISH."""
        if self.reason in (None, FINISH):
            self.reason = reason


def run_job_process(spec: ProcessSpec, parent: int) -> int:
    """Runs the attempt, writes its outcome for the worker and returns the exit status. Only in the forked child."""
    die_with_parent(parent)
    envelope, options = spec.envelope, spec.options
    os.environ[MARK] = envelope.rq_id
    start_guard(envelope.rq_id, os.getpgrp())
    artifacts = options.artifacts_of(envelope.team)
    flag = StopFlag(envelope.rq_id, spec.bot, artifacts, connect(options.redis_url))
    stop = StopSignal(flag.look)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set("drain"))
    threading.Thread(target=_watch, args=(stop, parent), daemon=True).start()
    path = run_path(spec.spool, envelope.job, envelope.attempt, spec.run_id)
    events = RunLog(path, envelope.job, envelope.attempt, envelope.fence, spec.run_id, spec.key)
    events.append("leased", worker=options.name, pid=os.getpid())
    folder = prepare_folder(artifacts, envelope)
    work = Work(
        envelope,
        folder,
        place_of(options.datasets_url, envelope.team),
        _Emitter(events, envelope),
        within_budget(stop.current_reason, envelope, options.price_per_hour),
        options.price_per_hour,
        options.prices,
        options.find_llm(envelope.team) if spec.kind.uses_llm else None,
        options.find_endpoint,
    )
    ids = {"job": envelope.job, "attempt": envelope.attempt, "kind": envelope.kind, "worker": options.name}
    log_event(log, "job started", **ids, dataset=envelope.dataset, pid=os.getpid())
    end, data = run_attempt(spec.kind.run, work)
    outcome = {"outcome": end, "reason": data.get("reason"), "retryable": data.get("retryable")}
    log_event(log, "job ended", **ids, **outcome, seconds=data["seconds"], usd=data["usd"])
    write_end(path, end, data)
    if end == "finished":
        with contextlib.suppress(OSError):
            drop_earlier(folder)
    return 0


class _Emitter:
    """Writes events to the spool; thins out steps. A full disk loses progress lines, not the run."""

    def __init__(self, events: RunLog, envelope: Envelope) -> None:
        self._events, self._envelope = events, envelope
        self._last_step_at = float("-inf")

    def __call__(self, event: dict[str, Any]) -> None:
        data = dict(event)
        kind = str(data.pop("kind"))
        if kind == "step":
            last = data.get("step") == data.get("steps")
            if time.monotonic() - self._last_step_at < STEP_EVERY_S and not last:
                return
            self._last_step_at = time.monotonic()
        if kind == "phase":
            job, phase = self._envelope, str(data.get("phase"))
            log_event(log, "job phase", job=job.job, attempt=job.attempt, kind=job.kind, phase=phase)
        try:
            self._events.append(kind, **data)
        except OSError as e:
            log.warning("event %s not spooled: %s", kind, e)


def _watch(stop: StopSignal, parent: int) -> None:
    """Checks the stop flag twice a second, and the parent: without it this process must not train."""
    while os.getppid() == parent:
        stop.look()
        time.sleep(LOOK_S)
    os.killpg(0, signal.SIGKILL)
