"""A run hangs when it does nothing, or computes for long without an event; a slow run on a busy machine does not hang."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import fields
from typing import Any

from worker.dispatch.stall_watch import StallWatch, stall_limit
from worker.jobs.records import Attempt
from worker.runtime.processes import cpu_seconds


def attempt(last_seq: int = 0, step_gaps: list[float] | None = None) -> Attempt:
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Attempt))
    values |= {"job_id": "j", "attempt": 1, "last_seq": last_seq, "step_gaps": step_gaps or []}
    return Attempt(**values)


def first_stalled_at(cpu_share: float | None, until: int = 20_000) -> int | None:
    """When a run that used so much of one core, and told nothing, is given up; None: not by then."""
    watch = StallWatch(300.0)
    for tick in range(until):
        cpu_s = None if cpu_share is None else cpu_share * tick
        if watch.is_stalled(attempt(), cpu_s, float(tick)):
            return tick
    return None


def test_silence_is_counted_in_the_runs_own_work() -> None:
    """A whole core: 300 s by the clock. A twentieth, at a load of 40 on two cores: 6,000 s. Several cores: 300 s."""
    for cpu_share, seconds in ((1.0, 300), (0.05, 6_000), (8.0, 300)):
        at = first_stalled_at(cpu_share)
        assert at is not None
        assert seconds <= at <= seconds * 1.05 + 11


def test_a_run_that_waits_for_something_is_given_up_by_the_clock() -> None:
    """A deadlock uses no CPU (its watch for stop flags aside); so is one whose worker tells no CPU time."""
    for cpu_share in (0.0, 0.005, None):
        at = first_stalled_at(cpu_share)
        assert at is not None
        assert 300 <= at <= 311


def test_an_event_ends_the_silence() -> None:
    """And a run that has always been slow is waited for ten times its usual step."""
    watch = StallWatch(300.0)
    assert watch.silent_s(attempt(1), 0.0, 0.0) == 0
    assert watch.silent_s(attempt(1), 250.0, 250.0) == 250
    assert watch.silent_s(attempt(2), 260.0, 260.0) == 0
    assert not watch.is_stalled(attempt(2), 560.0, 560.0)
    assert watch.is_stalled(attempt(2), 572.0, 572.0)
    assert stall_limit([60.0, 60.0, 70.0], 300.0) == 600.0


def test_cpu_time_counts_descendants_that_live_and_that_have_ended() -> None:
    """A child that has burnt and ended, and one that burns still, are their parent's work."""
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"subprocess.run([sys.executable, '-c', {burn + 'time.sleep(600)'!r}])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        while cpu_seconds(parent.pid) < 0.55:  # the test's own limit ends it
            assert parent.poll() is None
            time.sleep(0.02)
        assert cpu_seconds(parent.pid) < cpu_seconds(os.getpid()) + 60
    finally:
        os.killpg(parent.pid, 9)
        parent.wait()
    assert cpu_seconds(parent.pid) == 0.0
