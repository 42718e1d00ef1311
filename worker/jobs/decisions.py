"""Decides what a worker's event changes in a job: transitions, progress, reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from worker.jobs.event_facts import PROGRESS_KEYS, EventFacts
from worker.jobs.states import State, Trigger

S, T = State, Trigger


@dataclass(frozen=True)
class Decision:
    """`path` lists the transitions in order; the other fields change the job (None: no change).

    `usd` is the spending since the last event; `progress` replaces the fields that it names.
    """

    path: tuple[Trigger, ...] = ()
    why: str = ""
    report: dict[str, Any] | None = None
    error: str | None = None
    losses: int | None = None
    not_before: float | None = None
    usd: float = 0.0
    progress: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The columns of the job's row to set."""
        values = {
            "report": self.report,
            "error": self.error,
            "losses": self.losses,
            "not_before": self.not_before,
        }
        return {name: value for name, value in values.items() if value is not None}


def decide_on_event(state: State, kind: str, facts: EventFacts, losses: int, now: float) -> Decision:
    """The decision on an event of the job's live run when the job is in `state`.

    An event may be late, or an earlier one may be missing: the path then includes the missing transitions. Each path
    exists in the transition table (a test covers all states and kinds).
    """
    if kind == "leased":
        return Decision(_path_to_leased(state), progress={"worker": facts.worker})
    if kind in ("phase", "step", "note"):
        return Decision(_path_to_running(state), progress=_progress(kind, facts))
    if kind == "finalizing":
        path = () if state is S.CANCELLING else (*_path_to_running(state), *_path_to_finalizing(state))
        return Decision(path, progress={"phase": "reporting"})
    if kind == "finished":
        path = (*_path_to_running(state), *_path_to_finalizing(state), T.FINISH)
        return Decision(path, report=facts.report, usd=facts.usd)
    if kind == "stopped":
        return _decide_on_stop(state, facts, losses, now)
    if kind == "failed" and not facts.is_retryable:
        return _fail(state, facts.error or "The run failed.", facts.usd)
    return decide_on_failure(state, facts.error or kind, losses, now, facts.usd)


def decide_on_failure(state: State, cause: str, losses: int, now: float, usd: float = 0.0) -> Decision:
    """The decision on a run that ended without a result (killed, crashed, drained): another attempt, or the end."""
    if state in (S.CANCELLING, S.PAUSING):
        return Decision((T.GONE,), cause, usd=usd)
    if state in (S.SUBMITTING, S.SUBMIT_UNKNOWN):  # first find out whether the platform has the job
        return Decision((T.UNANSWERED,) if state is S.SUBMITTING else (), cause, usd=usd)
    decision = next_attempt(losses, cause)
    if isinstance(decision, GiveUp):
        return _fail(state, decision.why, usd)
    return _retry((*_path_to_leased(state), T.RETRY), cause, decision, now, usd)


def decide_on_silence(
    state: State, losses: int, now: float, why: str = "the worker gave no sign of life"
) -> Decision:
    """The decision on a run without a sign of life: as on a failure, with the loss as its own transition."""
    if state in (S.CANCELLING, S.PAUSING, S.SUBMITTING):
        return Decision((T.LOSE,), why)
    if state is S.SUBMIT_UNKNOWN:
        return Decision()
    decision = next_attempt(losses, why)
    if isinstance(decision, GiveUp):
        return Decision((T.LOSE, T.FAIL), why, error=decision.why)
    return _retry((T.LOSE, T.RETRY), why, decision, now)


def _decide_on_stop(state: State, facts: EventFacts, losses: int, now: float) -> Decision:
    reason = facts.reason
    if reason == "budget" and state is not S.FINALIZING:
        why = "the budget of this job is spent"
        return Decision((*_path_to_running(state), T.OVERSPEND), why, error=why, usd=facts.usd)
    cause = "drain" if reason in ("drain", "cancel", "pause") else reason
    return decide_on_failure(state, cause, losses, now, facts.usd)


def _fail(state: State, why: str, usd: float) -> Decision:
    return Decision((*_path_to_leased(state), T.FAIL), why, error=why, usd=usd)


def _retry(path: tuple[Trigger, ...], why: str, again: TryAgain, now: float, usd: float = 0.0) -> Decision:
    return Decision(path, why, losses=again.losses, not_before=now + again.delay_s, usd=usd)


def _path_to_leased(state: State) -> tuple[Trigger, ...]:
    return (T.LEASE,) if state is S.QUEUED else ()


def _path_to_running(state: State) -> tuple[Trigger, ...]:
    catch_up: dict[State, tuple[Trigger, ...]] = {
        S.QUEUED: (T.LEASE, T.START),
        S.LEASED: (T.START,),
        S.SUBMITTING: (T.ACCEPTED,),
        S.SUBMIT_UNKNOWN: (T.ACCEPTED,),
    }
    return catch_up.get(state, ())


def _path_to_finalizing(state: State) -> tuple[Trigger, ...]:
    return () if state in (S.FINALIZING, S.CANCELLING) else (T.WRAP_UP,)


def _progress(kind: str, facts: EventFacts) -> dict[str, Any]:
    if kind == "note":
        return {"note": facts.note}
    fresh: dict[str, Any] = dict.fromkeys(PROGRESS_KEYS) if kind == "phase" else {}
    return fresh | dict(facts.progress)


DELAYS_S = (0.0, 30.0, 120.0)
"""The wait before each further attempt; after the last one the job fails."""

UNCOUNTED = frozenset({"drain", "requeue"})
"""Causes that do not count as failed attempts: the worker drains, or Redis lost the job."""


@dataclass(frozen=True)
class TryAgain:
    """Another attempt after `delay_s`; `losses` is the new count of failed attempts."""

    delay_s: float
    losses: int


@dataclass(frozen=True)
class GiveUp:
    """No further attempt; `why` is the text for the person."""

    why: str


def next_attempt(losses: int, cause: str) -> TryAgain | GiveUp:
    """What follows an attempt that ended for `cause` when `losses` attempts had failed before it."""
    if cause in UNCOUNTED:
        return TryAgain(0.0, losses)
    if losses >= len(DELAYS_S):
        return GiveUp(
            f"It was started {losses + 1} times and never came through ({cause}). Look at the worker's log, "
            "then press Retry: training goes on from the last good checkpoint."
        )
    return TryAgain(DELAYS_S[losses], losses + 1)
