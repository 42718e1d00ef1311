"""Repairs what Redis lost and finds runs that died: the ledger's word against what Redis still shows.

Times of observation come from a monotonic clock, so that a jump of the wall clock loses nobody's job.
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
from worker.ledger.outbox import Watched
from worker.ledger.queue_position import update_queue_positions
from worker.ledger.retention import forget_older
from worker.ledger.weekly_digest import owe_digests
from worker.transport import events
from worker.transport.lease import Lease, read_leases
from worker.transport.queue import queued_ids

LOST_S = 1.5
"""A held attempt whose 13 s lease is gone for this long is given up."""
ABSENT_S = 4.0
"""A queued attempt in no list of Redis for this long is handed out again."""
PARKED_S = 8.0
"""An attempt that was taken from the line but shows no lease for this long is handed out again."""
SETTLE_S = 8.0
"""After Redis was away, workers get this long to renew leases and replay their spools."""
STALLING = (State.LEASED, State.RUNNING, State.FINALIZING)
DAY_S = 24 * 3600.0

log = logging.getLogger("trainwise.jobs")


class Reconciler:
    """One pass a second: `look(connection, now, tick, caught_up)`; keeps what it saw between passes.

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

    def outage(self) -> None:
        """Redis could not be reached: nothing it shows counts until it has settled again, no silence was heard."""
        self._settled_at = None
        self._missing.clear()
        self._stalls.clear()

    def look(self, connection: redis.Redis, now: float, tick: float, caught_up: bool) -> None:
        """Compares ledger and Redis once; `caught_up` is whether all events so far are in the ledger."""
        self._check_epoch(connection, now, tick)
        for job_id in outbox.jobs_to_requeue(self._ledger.engine, now):
            outbox.requeue_job(self._ledger.engine, job_id, now)
        held = outbox.held_attempts(self._ledger.engine)
        queued = outbox.queued_attempts(self._ledger.engine)
        leases = read_leases(connection, [watched.attempt.rq_id for watched in [*held, *queued]])
        line, parked = queued_ids(connection)
        if self._settled_at is None:
            self._settled_at = tick + self._settle_s
        if tick >= self._settled_at and caught_up:
            self._find_lost(held, set(leases), now, tick)
            self._find_absent(queued, set(leases) | line, parked, now, tick)
        self._find_stalled(held, leases, now, tick)
        self._forget({watched.attempt.rq_id for watched in [*held, *queued]})
        if tick - self._upkeep_at > 5.0:
            self._upkeep(now, tick)

    def _check_epoch(self, connection: redis.Redis, now: float, tick: float) -> None:
        epoch = events.epoch(connection)
        if self._epoch is not None and epoch != self._epoch:
            log.warning("Redis lost its data; handing out again what it held")
            outbox.repeat_stops(self._ledger.engine, now - DAY_S)
            self.outage()
        if self._epoch != epoch and self._on_epoch is not None:
            self._on_epoch(epoch)
        self._epoch = epoch

    def _find_lost(self, held: list[Watched], alive: set[str], now: float, tick: float) -> None:
        for watched in held:
            if self._missing_for(watched, watched.attempt.rq_id in alive, tick) > LOST_S:
                log.warning("%s shows no sign of life", watched.attempt.rq_id)
                self._give_up(watched, now)

    def _find_absent(
        self, queued: list[Watched], present: set[str], parked: set[str], now: float, tick: float
    ) -> None:
        for watched in queued:
            rq_id = watched.attempt.rq_id
            limit = PARKED_S if rq_id in parked else ABSENT_S
            if self._missing_for(watched, rq_id in present, tick) > limit:
                log.warning("%s is no longer in the queue", rq_id)
                why = "its worker died before starting it" if rq_id in parked else "Redis no longer had it"
                outbox.replace_attempt(self._ledger.engine, watched, now, why)

    def _find_stalled(
        self, held: list[Watched], leases: Mapping[str, Lease], now: float, tick: float
    ) -> None:
        for watched in held:
            attempt, lease = watched.attempt, leases.get(watched.attempt.rq_id)
            if watched.job.state not in STALLING:
                continue
            cpu_s = lease.cpu_s if lease else None
            if self._stalls.is_stalled(attempt, cpu_s, tick):
                silent_s = int(self._stalls.silent_s(attempt, cpu_s, tick))
                why = f"no step for {silent_s} s of its own work {_place_of(watched.job)}"
                log.warning("%s: %s", attempt.rq_id, why)
                self._give_up(watched, now, why)

    def _give_up(self, watched: Watched, now: float, why: str = "the worker gave no sign of life") -> None:
        decide = decide_on_silence(watched.job.state, watched.job.losses, now, why)
        outbox.give_up_attempt(self._ledger.engine, watched, now, decide)

    def _missing_for(self, watched: Watched, present: bool, tick: float) -> float:
        key = watched.attempt.rq_id
        if present:
            self._missing.pop(key, None)
            return 0.0
        return tick - self._missing.setdefault(key, tick)

    def _forget(self, current: set[str]) -> None:
        self._missing = {key: at for key, at in self._missing.items() if key in current}
        self._stalls.keep_only(current)

    def _upkeep(self, now: float, tick: float) -> None:
        self._upkeep_at = tick
        update_queue_positions(self._ledger.engine, now)
        for job_id in outbox.expired_approvals(self._ledger.engine, now):
            self._ledger.reject(
                job_id, "clock", "Nobody approved it in time; launch it again if still needed."
            )
        owe_digests(self._ledger.engine, now)
        threads.forget_seen(self._ledger.engine, now - 7 * DAY_S)
        if self._keep_s is not None:
            forget_older(self._ledger.engine, now - self._keep_s, now)


def _place_of(job: Job) -> str:
    """Where in its life the run stands, as `in phase training, after step 3 of 9`."""
    progress = job.progress
    phase, step, steps = (progress.get(name) for name in ("phase", "step", "steps"))
    return f"in phase {phase or 'start'}" + (f", after step {step} of {steps}" if step else "")
