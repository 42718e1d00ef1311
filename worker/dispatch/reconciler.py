"""Compares the ledger with Redis: finds lost runs and queued attempts that Redis lost.

It measures with a monotonic clock, so a jump of the wall clock loses no job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import redis

from worker.dispatch.stall_watch import STALL_S, StallWatch
from worker.jobs.decisions import decide_on_silence
from worker.jobs.records import Job
from worker.jobs.states import State
from worker.ledger import outbox, threads
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import JobAttempt
from worker.ledger.queue_position import update_queue_positions
from worker.ledger.retention import forget_older
from worker.ledger.weekly_digest import enqueue_digests
from worker.transport import events
from worker.transport.lease import Lease, read_leases
from worker.transport.queue import queued_ids

LOST_S = 1.5
"""A running attempt without its 13 s lease for this long is given up."""
ABSENT_S = 4.0
"""A queued attempt that no Redis list holds for this long is enqueued again."""
PARKED_S = 8.0
"""An attempt that was dequeued but has no lease for this long is enqueued again."""
SETTLE_S = 8.0
"""After an outage of Redis, workers get this long to renew leases and resend their spools."""
STALLING = (State.LEASED, State.RUNNING, State.FINALIZING)
DAY_S = 24 * 3600.0

log = logging.getLogger("trainwise.jobs")


class Reconciler:
    """`look(connection, now, tick, caught_up)` runs once a second and keeps its observations between calls.

    `settle_s` and `stall_s` can be shortened where time matters (tests, benchmarks). After `keep_s` what people
    wrote is dropped (worker/ledger/retention.py); None keeps it.
    """

    def __init__(
        self,
        ledger: Ledger,
        settle_s: float = SETTLE_S,
        stall_s: float = STALL_S,
        keep_s: float | None = None,
        on_epoch: Callable[[str], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._settle_s = settle_s
        self._stalls = StallWatch(stall_s)
        self._keep_s = keep_s
        self._on_epoch = on_epoch
        self._epoch: str | None = None
        self._settled_at: float | None = None
        self._missing: dict[str, float] = {}
        self._upkeep_at = float("-inf")

    def note_outage(self) -> None:
        """Records an outage of Redis: discards all observations until SETTLE_S after its return."""
        self._settled_at = None
        self._missing.clear()
        self._stalls.clear()

    def look(self, connection: redis.Redis, now: float, tick: float, caught_up: bool) -> None:
        """Compares ledger and Redis once; `caught_up` says that all events so far were applied."""
        self._check_epoch(connection, now, tick)
        for job_id in outbox.jobs_to_requeue(self._ledger.engine, now):
            outbox.requeue_job(self._ledger.engine, job_id, now)
        active = outbox.held_attempts(self._ledger.engine)
        waiting = outbox.queued_attempts(self._ledger.engine)
        leases = read_leases(connection, [pair.attempt.rq_id for pair in [*active, *waiting]])
        line, intermediate = queued_ids(connection)
        if self._settled_at is None:
            self._settled_at = tick + self._settle_s
        if tick >= self._settled_at and caught_up:
            self._find_lost(active, set(leases), now, tick)
            self._find_absent(waiting, set(leases) | line, intermediate, now, tick)
        self._find_stalled(active, leases, now, tick)
        self._forget({pair.attempt.rq_id for pair in [*active, *waiting]})
        if tick - self._upkeep_at > 5.0:
            self._run_maintenance(now, tick)

    def _check_epoch(self, connection: redis.Redis, now: float, tick: float) -> None:
        epoch = events.epoch(connection)
        if self._epoch is not None and epoch != self._epoch:
            log.warning("Redis lost its data; handing out again what it held")
            outbox.repeat_stops(self._ledger.engine, now - DAY_S)
            self.note_outage()
        if self._epoch != epoch and self._on_epoch is not None:
            self._on_epoch(epoch)
        self._epoch = epoch

    def _find_lost(self, active: list[JobAttempt], alive: set[str], now: float, tick: float) -> None:
        for pair in active:
            if self._missing_for(pair, pair.attempt.rq_id in alive, tick) > LOST_S:
                log.warning("%s shows no sign of life", pair.attempt.rq_id)
                self._give_up(pair, now)

    def _find_absent(
        self, waiting: list[JobAttempt], present: set[str], intermediate: set[str], now: float, tick: float
    ) -> None:
        for pair in waiting:
            rq_id = pair.attempt.rq_id
            limit = PARKED_S if rq_id in intermediate else ABSENT_S
            if self._missing_for(pair, rq_id in present, tick) > limit:
                log.warning("%s is no longer in the queue", rq_id)
                why = (
                    "its worker died before starting it"
                    if rq_id in intermediate
                    else "Redis no longer had it"
                )
                outbox.replace_attempt(self._ledger.engine, pair, now, why)

    def _find_stalled(
        self, active: list[JobAttempt], leases: Mapping[str, Lease], now: float, tick: float
    ) -> None:
        for pair in active:
            attempt, lease = pair.attempt, leases.get(pair.attempt.rq_id)
            if pair.job.state not in STALLING:
                continue
            cpu_s = lease.cpu_s if lease else None
            if self._stalls.is_stalled(attempt, cpu_s, tick):
                silent_s = int(self._stalls.silent_s(attempt, cpu_s, tick))
                why = f"no step for {silent_s} s of its own work {_position_text(pair.job)}"
                log.warning("%s: %s", attempt.rq_id, why)
                self._give_up(pair, now, why)

    def _give_up(self, pair: JobAttempt, now: float, why: str = "the worker gave no sign of life") -> None:
        decide = decide_on_silence(pair.job.state, pair.job.losses, now, why)
        outbox.give_up_attempt(self._ledger.engine, pair, now, decide)

    def _missing_for(self, pair: JobAttempt, present: bool, tick: float) -> float:
        key = pair.attempt.rq_id
        if present:
            self._missing.pop(key, None)
            return 0.0
        return tick - self._missing.setdefault(key, tick)

    def _forget(self, current: set[str]) -> None:
        self._missing = {key: at for key, at in self._missing.items() if key in current}
        self._stalls.keep_only(current)

    def _run_maintenance(self, now: float, tick: float) -> None:
        self._upkeep_at = tick
        update_queue_positions(self._ledger.engine, now)
        for job_id in outbox.expired_approvals(self._ledger.engine, now):
            self._ledger.reject(
                job_id, "clock", "Nobody approved it in time; launch it again if still needed."
            )
        enqueue_digests(self._ledger.engine, now)
        threads.forget_seen(self._ledger.engine, now - 7 * DAY_S)
        if self._keep_s is not None:
            forget_older(self._ledger.engine, now - self._keep_s, now)


def _position_text(job: Job) -> str:
    """The run's position in words, as `in phase training, after step 3 of 9`."""
    progress = job.progress
    phase, step, steps = (progress.get(name) for name in ("phase", "step", "steps"))
    return f"in phase {phase or 'start'}" + (f", after step {step} of {steps}" if step else "")
