"""The states of a job and the table of transitions between them."""

from __future__ import annotations

from enum import StrEnum

from worker.errors import IllegalTransition


class State(StrEnum):
    """The state of a job; the five in `END_STATES` are final."""

    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    REJECTED = "rejected"
    QUEUED = "queued"
    LEASED = "leased"
    SUBMITTING = "submitting"
    SUBMIT_UNKNOWN = "submit_unknown"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    LOST = "lost"
    RETRY_WAIT = "retry_wait"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BUDGET_STOPPED = "budget_stopped"


class Trigger(StrEnum):
    """What moves a job from one state to the next; the labels on the diagram's edges."""

    SUBMIT = "submit"
    ASK_APPROVAL = "ask approval"
    APPROVE = "approve"
    REJECT = "reject or expire"
    LEASE = "a worker takes it"
    START = "work starts"
    SUBMIT_REMOTE = "create on platform"
    ACCEPTED = "platform accepts"
    UNANSWERED = "create timed out"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    GONE = "last process gone"
    LOSE = "no sign of life"
    RETRY = "try again later"
    REQUEUE = "back in line"
    WRAP_UP = "report written"
    FINISH = "report received"
    FAIL = "give up"
    OVERSPEND = "budget spent"


S, T = State, Trigger

END_STATES = frozenset({S.REJECTED, S.SUCCEEDED, S.FAILED, S.CANCELLED, S.BUDGET_STOPPED})
"""The final states; entering one enqueues the job's report."""

ACTIVE_STATES = frozenset(
    {S.LEASED, S.SUBMITTING, S.SUBMIT_UNKNOWN, S.RUNNING, S.PAUSING, S.CANCELLING, S.FINALIZING}
)
"""A worker holds the job and renews its lease, or the remote controller polls the job's platform."""

TRANSITIONS: dict[State, dict[Trigger, State]] = {
    S.DRAFT: {T.SUBMIT: S.QUEUED, T.ASK_APPROVAL: S.AWAITING_APPROVAL, T.CANCEL: S.CANCELLED},
    S.AWAITING_APPROVAL: {T.APPROVE: S.QUEUED, T.REJECT: S.REJECTED, T.CANCEL: S.CANCELLED},
    S.QUEUED: {T.LEASE: S.LEASED, T.PAUSE: S.PAUSED, T.CANCEL: S.CANCELLED, T.FAIL: S.FAILED},
    S.LEASED: {
        T.START: S.RUNNING,
        T.SUBMIT_REMOTE: S.SUBMITTING,
        T.PAUSE: S.PAUSING,
        T.CANCEL: S.CANCELLING,
        T.LOSE: S.LOST,
        T.RETRY: S.RETRY_WAIT,
        T.FAIL: S.FAILED,
    },
    S.SUBMITTING: {
        T.ACCEPTED: S.RUNNING,
        T.UNANSWERED: S.SUBMIT_UNKNOWN,
        T.CANCEL: S.CANCELLING,
        T.LOSE: S.SUBMIT_UNKNOWN,
        T.FAIL: S.FAILED,
    },
    S.SUBMIT_UNKNOWN: {
        T.ACCEPTED: S.RUNNING,
        T.SUBMIT_REMOTE: S.SUBMITTING,
        T.CANCEL: S.CANCELLING,
        T.FAIL: S.FAILED,
    },
    S.RUNNING: {
        T.WRAP_UP: S.FINALIZING,
        T.PAUSE: S.PAUSING,
        T.CANCEL: S.CANCELLING,
        T.LOSE: S.LOST,
        T.RETRY: S.RETRY_WAIT,
        T.FAIL: S.FAILED,
        T.OVERSPEND: S.BUDGET_STOPPED,
    },
    S.PAUSING: {
        T.GONE: S.PAUSED,
        T.LOSE: S.PAUSED,
        T.RETRY: S.PAUSED,
        T.CANCEL: S.CANCELLING,
        T.WRAP_UP: S.FINALIZING,
        T.FAIL: S.FAILED,
        T.OVERSPEND: S.BUDGET_STOPPED,
    },
    S.PAUSED: {T.RESUME: S.QUEUED, T.CANCEL: S.CANCELLED},
    S.CANCELLING: {
        T.GONE: S.CANCELLED,
        T.LOSE: S.CANCELLED,
        T.RETRY: S.CANCELLED,
        T.FAIL: S.CANCELLED,
        T.OVERSPEND: S.CANCELLED,
        T.FINISH: S.CANCELLED,
    },
    S.LOST: {T.RETRY: S.RETRY_WAIT, T.CANCEL: S.CANCELLED, T.FAIL: S.FAILED},
    S.RETRY_WAIT: {T.REQUEUE: S.QUEUED, T.PAUSE: S.PAUSED, T.CANCEL: S.CANCELLED, T.FAIL: S.FAILED},
    S.FINALIZING: {T.FINISH: S.SUCCEEDED, T.LOSE: S.LOST, T.RETRY: S.RETRY_WAIT, T.FAIL: S.FAILED},
    S.REJECTED: {},
    S.SUCCEEDED: {},
    S.FAILED: {},
    S.CANCELLED: {},
    S.BUDGET_STOPPED: {},
}


def next_state(state: State, trigger: Trigger) -> State:
    """The state after `trigger`; raises IllegalTransition when the table has no such edge."""
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise IllegalTransition(_refusal(state, trigger)) from None


def allows(state: State, trigger: Trigger) -> bool:
    """Whether the table has an edge for `trigger` out of `state`."""
    return trigger in TRANSITIONS[state]


def mermaid() -> str:
    """The table as a mermaid state diagram with labelled edges, for docs/architecture.md."""
    lines = ["stateDiagram-v2", f"    [*] --> {S.DRAFT}"]
    for state, edges in TRANSITIONS.items():
        by_target: dict[State, list[str]] = {}
        for trigger, target in edges.items():
            by_target.setdefault(target, []).append(trigger)
        lines += [f"    {state} --> {target}: {' / '.join(names)}" for target, names in by_target.items()]
    lines += [f"    {state} --> [*]" for state in State if state in END_STATES]
    return "\n".join(lines)


def _refusal(state: State, trigger: Trigger) -> str:
    if state in END_STATES:
        return f"This job has already ended ({state.replace('_', ' ')}); launch it again with Retry."
    if trigger is T.CANCEL and state is S.CANCELLING:
        return "This job is already being cancelled; it ends as soon as its last process is gone."
    if trigger is T.CANCEL and state is S.FINALIZING:
        return "Training is over and the report is being filed; there is nothing left to cancel."
    return f"A job that is {state.replace('_', ' ')} cannot do this now ({trigger}); look at its card again."
