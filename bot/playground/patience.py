"""Time limits that allow for a busy machine: the less CPU this process gets, the longer a limit lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MIN_SHARE = 0.02  # a load of 50 on one core: nobody waits longer than fifty times the limit
MOST_PER_LOOK_S = 10.0  # a machine that slept counts as one look


def cpu_share() -> float:
    """The part of a core that one more process gets now: cores by runnable tasks (Linux), elsewhere by the load."""
    cores = os.cpu_count() or 1
    try:
        runnable = int(Path("/proc/stat").read_text(encoding="ascii").split("procs_running ")[1].split()[0])
    except (OSError, IndexError, ValueError):
        runnable = round(os.getloadavg()[0])
    return min(1.0, max(MIN_SHARE, cores / max(1, runnable)))


class Patience:
    """A limit in seconds of this machine's time; `is_over(sign)` counts down and restarts whenever `sign` changes."""

    def __init__(
        self,
        limit_s: float,
        tick: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = cpu_share,
    ) -> None:
        self.limit_s, self._tick, self._share = limit_s, tick, share
        self._begin = self._last_look = tick()
        self._used_s = 0.0
        self._sign: object = None

    def is_over(self, sign: object = None) -> bool:
        """Whether the limit is used up since the last change of `sign` (a count of messages, a log's size)."""
        now = self._tick()
        self._used_s += min(MOST_PER_LOOK_S, now - self._last_look) * self._share()
        self._last_look = now
        if sign != self._sign:
            self._sign, self._used_s = sign, 0.0
        return self._used_s > self.limit_s

    def __str__(self) -> str:
        """How long the wait lasted, for the error message."""
        wall_s = self._last_look - self._begin
        if wall_s < 1.5 * self.limit_s:
            return f"{self.limit_s:g} s"
        return f"{self.limit_s:g} s of this busy machine's time ({wall_s:.0f} s by the clock)"
