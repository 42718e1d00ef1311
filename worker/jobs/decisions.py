"""What a worker's event means for a job, as a pure decision: which transitions, which progress, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.jobs.states import State, Trigger

S, T = State, Trigger
PROGRESS_KEYS = ("phase", "step", "steps", "loss", "eta_s")


@dataclass(frozen=True)
class Meaning:
    """`path`: the transitions to take, in order; `columns`: what else changes in the job's row."""

    path: tuple[Trigger, ...] = ()
    why: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)


def meaning(state: State, kind: str, data: Mapping[str, Any], losses: int, now: float) -> Meaning:
    """What to do with an event of the job's live run when the job is in `state`.

    Events may arrive late or with one missing before them; the path then catches up. A path never needs
    an edge that the table lacks, whatever the event (held by a test over all states and kinds).
    """
    if kind == "leased":
        return Meaning(_to_held(state), progress={"worker": data.get("worker")})
    if kind in ("phase", "step", "note"):
        return Meaning(_to_running(state), progress=_progress(kind, data))
    if kind == "finalizing":
        path = () if state is S.CANCELLING else (*_to_running(state), *_wrap_up(state))
        return Meaning(path, progress={"phase": "reporting"})
    if kind == "finished":
        columns = {"report": data.get("report"), **_spent(data)}
        return Meaning((*_to_running(state), *_wrap_up(state), T.FINISH), columns=columns)
    if kind == "stopped":
        return _stopped(state, data, losses, now)
    if kind == "failed" and not data.get("retryable"):
        return _given_up(state, str(data.get("error") or "The run failed."), data)
    return ended_badly(state, str(data.get("error") or kind), losses, now, data)


def ended_badly(
    state: State, cause: str, losses: int, now: float, data: Mapping[str, Any] | None = None
) -> Meaning:
    """The run ended without a result (killed, crashed, sent away): another attempt, or the end."""
    spent = _spent(data or {})
    if state in (S.CANCELLING, S.PAUSING):
        return Meaning((T.GONE,), cause, columns=spent)
    if state in (S.SUBMITTING, S.SUBMIT_UNKNOWN):  # whether the platform has it must be found out first
        return Meaning((T.UNANSWERED,) if state is S.SUBMITTING else (), cause, spent)
    decision = after_loss(losses, cause)
    if isinstance(decision, GiveUp):
        return _given_up(state, decision.why, data or {})
    columns = {"losses": decision.losses, "not_before": now + decision.delay_s, **spent}
    return Meaning((*_to_held(state), T.RETRY), cause, columns)


def vanished(state: State, losses: int, now: float, why: str = "the worker gave no sign of life") -> Meaning:
    """No sign of life of the run: as `ended_badly`, but the loss itself is a step of the history."""
    if state in (S.CANCELLING, S.PAUSING, S.SUBMITTING):
        return Meaning((T.LOSE,), why)
    if state is S.SUBMIT_UNKNOWN:
        return Meaning()
    decision = after_loss(losses, why)
    if isinstance(decision, GiveUp):
        return Meaning((T.LOSE, T.FAIL), why, {"error": decision.why})
    columns = {"losses": decision.losses, "not_before": now + decision.delay_s}
    return Meaning((T.LOSE, T.RETRY), why, columns)


def _stopped(state: State, data: Mapping[str, Any], losses: int, now: float) -> Meaning:
    reason = str(data.get("reason"))
    if reason == "budget" and state is not S.FINALIZING:
        why = "the budget of this job is spent"
        return Meaning((*_to_running(state), T.OVERSPEND), why, {"error": why, **_spent(data)})
    cause = "drain" if reason in ("drain", "cancel", "pause") else reason
    return ended_badly(state, cause, losses, now, data)


def _given_up(state: State, why: str, data: Mapping[str, Any]) -> Meaning:
    return Meaning((*_to_held(state), T.FAIL), why, {"error": why, **_spent(data)})


def _to_held(state: State) -> tuple[Trigger, ...]:
    return (T.LEASE,) if state is S.QUEUED else ()


def _to_running(state: State) -> tuple[Trigger, ...]:
    catch_up: dict[State, tuple[Trigger, ...]] = {
        S.QUEUED: (T.LEASE, T.START),
        S.LEASED: (T.START,),
        S.SUBMITTING: (T.ACCEPTED,),
        S.SUBMIT_UNKNOWN: (T.ACCEPTED,),
    }
    return catch_up.get(state, ())


def _wrap_up(state: State) -> tuple[Trigger, ...]:
    return () if state in (S.FINALIZING, S.CANCELLING) else (T.WRAP_UP,)


def _progress(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "note":
        return {"note": str(data.get("text", ""))[:300]}
    fresh: dict[str, Any] = (
        {"step": None, "steps": None, "loss": None, "eta_s": None} if kind == "phase" else {}
    )
    return fresh | {key: data[key] for key in PROGRESS_KEYS if key in data}


def _spent(data: Mapping[str, Any]) -> dict[str, Any]:
    usd = data.get("usd")
    return {"add_usd": float(usd)} if isinstance(usd, int | float) and 0 <= usd < 1e6 else {}


DELAYS_S = (0.0, 30.0, 120.0)
"""Pause before each repeat; after the last one the job is given up."""

UNCOUNTED = frozenset({"drain", "requeue"})
"""Causes that are nobody's failure: the machine was wanted back, or Redis forgot the job."""


@dataclass(frozen=True)
class Again:
    """Run it once more after `delay_s`; `losses` is the new count of failed attempts."""

    delay_s: float
    losses: int


@dataclass(frozen=True)
class GiveUp:
    """No further attempt; `why` is what the person reads."""

    why: str


def after_loss(losses: int, cause: str) -> Again | GiveUp:
    """What follows an attempt that ended for `cause` when `losses` attempts had failed before it."""
    if cause in UNCOUNTED:
        return Again(0.0, losses)
    if losses >= len(DELAYS_S):
        return GiveUp(
            f"It was started {losses + 1} times and never came through ({cause}). Look at the worker's log, "
            "then press Retry: training goes on from the last good checkpoint."
        )
    return Again(DELAYS_S[losses], losses + 1)
