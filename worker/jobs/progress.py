"""The progress of a whole job from its last event: the share done over all phases, and the time left. Pure.

`progress` is the job's (worker/jobs/records.py). worker/ledger/transitions.py maintains two of its fields: `since`, when
the current run began, and `ran_s`, the seconds of earlier runs; waits and pauses do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MIN_SHARE_TO_FORECAST = 0.05
"""Below this share no time left is estimated, as the pace is not known yet."""


@dataclass(frozen=True)
class JobProgress:
    """`share` of the whole job, 0..1 (None: not known yet); `left_s` seconds to its end (None: not known)."""

    share: float | None = None
    left_s: float | None = None


def job_progress(progress: Mapping[str, Any], phases: Sequence[tuple[str, float]], now: float) -> JobProgress:
    """The progress of a running job; `phases` are its kind's, each with its usual share of the time.

    An unknown phase counts as the whole job. The time left is the run's own estimate for the current phase, plus the
    later phases at the job's pace so far.
    """
    step, steps, eta_s = (number_of(progress, name) for name in ("step", "steps", "eta_s"))
    within = min(1.0, step / steps) if step is not None and steps else None
    names = [name for name, _ in phases]
    phase = str(progress.get("phase"))
    if phase not in names:
        return JobProgress(within, eta_s)
    at = names.index(phase)
    before, own = sum(share for _, share in phases[:at]), phases[at][1]
    later = max(0.0, 1.0 - before - own)
    share = before + own * (within or 0.0)
    since = number_of(progress, "since")
    if since is None or share < MIN_SHARE_TO_FORECAST:
        return JobProgress(share)
    pace_s = max(0.0, now - since) / share  # for the whole job
    own_left_s = eta_s if eta_s is not None else own * (1.0 - (within or 0.0)) * pace_s
    return JobProgress(share, own_left_s + later * pace_s)


def seconds_run(progress: Mapping[str, Any], now: float) -> float | None:
    """Seconds that the job has run, without waits and pauses; None when it has not run."""
    ran_s, since = number_of(progress, "ran_s"), number_of(progress, "since")
    if ran_s is None and since is None:
        return None
    return (ran_s or 0.0) + (max(0.0, now - since) if since is not None else 0.0)


def begin_run(progress: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The progress at the start of a run."""
    return {**progress, "since": now}


def end_run(progress: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The progress at the end of a run."""
    rest = {name: value for name, value in progress.items() if name != "since"}
    ran_s = seconds_run(progress, now)
    return rest if ran_s is None else rest | {"ran_s": round(ran_s, 1)}


def number_of(progress: Mapping[str, Any], name: str) -> float | None:
    """A figure of the progress, None where there is none."""
    value = progress.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
