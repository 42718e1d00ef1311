"""A submission to a platform as the ledger stores it, and the decision on its next move. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from worker.jobs.states import END_STATES, State, Trigger

S, T = State, Trigger


class RemoteState(StrEnum):
    """The state of a submission: stored before its create, closed once the platform has nothing of it."""

    INTENT = "intent"
    CREATING = "creating"
    UNANSWERED = "unanswered"
    ACCEPTED = "accepted"
    CLEARING = "clearing"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a submission ended; decided before its clean-up."""

    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    BUDGET = "budget"


@dataclass(frozen=True)
class Remote:
    """One submission: number `number` of the jobs of `root`; its tag names it at the platform.

    `extras` are jobs with the same tag that must not run; `creates` counts creates sent; `leftovers` says what could not be
    ended or erased. `limit_s` is the time that the platform may bill, `usd` what it has billed so far.
    """

    root: str
    number: int
    job_id: str
    attempt: int
    platform: str
    machine: str
    tag: str
    state: RemoteState
    version: int
    limit_s: float
    usd_per_hour: float
    created_at: float
    remote_id: str = ""
    extras: list[str] = field(default_factory=list)
    creates: int = 0
    uploads: list[str] = field(default_factory=list)
    cursor: int = 0
    word: str = ""
    usd: float = 0.0
    outcome: str = ""
    why: str = ""
    report: dict[str, Any] | None = None
    leftovers: list[str] = field(default_factory=list)
    life_at: float | None = None
    ended_at: float | None = None
    erased_at: float | None = None


def remote_of(row: Mapping[Any, Any]) -> Remote:
    """A Remote from a row of the table `remotes`."""
    values = {one.name: row[one.name] for one in fields(Remote)}
    return Remote(**{**values, "state": RemoteState(values["state"])})


class Move(StrEnum):
    """What the controller does next with a submission."""

    CREATE = "create"
    MARK_UNANSWERED = "doubt"
    FIND = "find"
    LOOK = "look"
    CLEAR = "clear"
    ABANDON = "drop"
    WAIT = "rest"


CREATE_S = 90.0
"""A create that takes longer counts as unanswered; each client gives up earlier."""


def next_move(remote: Remote, job: State, since_s: float) -> Move:
    """What to do now; `since_s`: how long this controller has seen the submission in this state."""
    is_unwanted = job is S.CANCELLING or job in END_STATES
    if remote.state is RemoteState.INTENT:
        return Move.ABANDON if is_unwanted else Move.CREATE
    if remote.state is RemoteState.CREATING:
        return Move.MARK_UNANSWERED if since_s >= CREATE_S else Move.WAIT
    if remote.state is RemoteState.UNANSWERED:
        return Move.FIND
    if remote.state is RemoteState.ACCEPTED:
        return Move.LOOK
    return Move.CLEAR if remote.state is RemoteState.CLEARING else Move.WAIT


def path_to_running(state: State) -> tuple[Trigger, ...]:
    """The transitions of a job whose submission is at its platform."""
    if state is S.LEASED:
        return (T.SUBMIT_REMOTE, T.ACCEPTED)
    return (T.ACCEPTED,) if state in (S.SUBMITTING, S.SUBMIT_UNKNOWN) else ()


def path_of(event: str, state: State) -> tuple[Trigger, ...]:
    """The transitions that *intent*, *accepted*, *unanswered* or *seen* means for the job; none where it has moved on."""
    if event == "intent":
        paths = {S.QUEUED: (T.LEASE, T.SUBMIT_REMOTE), S.LEASED: (T.SUBMIT_REMOTE,)}
        return paths.get(state, (T.SUBMIT_REMOTE,) if state is S.SUBMIT_UNKNOWN else ())
    if event == "unanswered":
        return (T.UNANSWERED,) if state is S.SUBMITTING else ()
    return path_to_running(state)


def path_to_end(outcome: Outcome, state: State) -> tuple[Trigger, ...]:
    """The transitions of a job whose submission is closed; LOST follows the rules for another attempt."""
    if state in END_STATES:
        return ()
    if state is S.CANCELLING:
        return (T.GONE,)
    if outcome is Outcome.FINISHED:
        return (*path_to_running(state), *(() if state is S.FINALIZING else (T.WRAP_UP,)), T.FINISH)
    if outcome is Outcome.BUDGET and state is not S.FINALIZING:
        return (*path_to_running(state), T.OVERSPEND)
    return (T.FAIL,)
