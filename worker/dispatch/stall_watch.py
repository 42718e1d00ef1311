"""Finds runs that hang: measures the time without an event in the run's own CPU time, not by the clock.

A run on a busy machine is slow, not stuck. Its silence grows by the CPU time that its processes used, at most by the
elapsed time. Where they use almost none, they wait for something, and the silence grows by the clock.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass

from worker.jobs.records import Attempt

STALL_S = 300.0
STALL_STEPS = 10
WINDOW_S = 10.0
"""Leases are renewed every 3 s; a shorter window would often see the same CPU time and take it for idleness."""
IDLE_CPU_SHARE = 0.02
"""Below this share of one core a run counts as waiting. Polling for stop flags uses 0.2% to 0.5%; a computing run gets
more than 2%, also at a load of 50 on two cores."""


@dataclass
class _Silence:
    seq: int
    tick: float
    cpu_s: float | None
    silent_s: float = 0.0


class StallWatch:
    """Call `silent_s` once per pass for each running attempt; `stall_s` is the shortest silence that counts."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._stall_s = stall_s
        self._silences: dict[str, _Silence] = {}

    def is_stalled(self, attempt: Attempt, cpu_s: float | None, tick: float) -> bool:
        """Whether the run has been silent for too long at `tick` (monotonic seconds)."""
        return self.silent_s(attempt, cpu_s, tick) > stall_limit(attempt.step_gaps, self._stall_s)

    def silent_s(self, attempt: Attempt, cpu_s: float | None, tick: float) -> float:
        """Seconds of its own work since the run's last event; `cpu_s` is its CPU time so far, if known."""
        silence = self._silences.get(attempt.rq_id)
        if silence is None or silence.seq != attempt.last_seq:
            silence = self._silences[attempt.rq_id] = _Silence(attempt.last_seq, tick, cpu_s)
        if tick - silence.tick >= WINDOW_S:
            silence.silent_s += _work_s(silence.cpu_s, cpu_s, tick - silence.tick)
            silence.tick, silence.cpu_s = tick, cpu_s
        return silence.silent_s

    def clear(self) -> None:
        """Resets all silences, as no event could arrive for a while."""
        self._silences.clear()

    def keep_only(self, rq_ids: Collection[str]) -> None:
        """Drops runs that have ended."""
        self._silences = {rq_id: silence for rq_id, silence in self._silences.items() if rq_id in rq_ids}


def stall_limit(step_gaps: list[float], least_s: float) -> float:
    """How long a run may be silent: ten times its usual step, and never under `least_s`."""
    return max(least_s, STALL_STEPS * statistics.median(step_gaps)) if step_gaps else least_s


def _work_s(before: float | None, after: float | None, passed_s: float) -> float:
    if before is None or after is None:
        return passed_s
    used_s = max(0.0, after - before)
    return passed_s if used_s < IDLE_CPU_SHARE * passed_s else min(used_s, passed_s)
