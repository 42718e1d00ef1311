"""Submissions to platforms: their states have owners, their decisions only edges that exist."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from sqlalchemy import update

from finetune.platforms.contract import RemoteStatus, Stage
from tests.platforms.harness import SPEC
from worker.dispatch.packing import Packer, limit_of
from worker.dispatch.remote_controller import RemoteController
from worker.errors import WorkerError
from worker.jobs.records import JobRequest
from worker.jobs.remotes import Move, Outcome, Remote, RemoteState, next_move, path_of, path_to_end
from worker.jobs.states import END_STATES, State, next_state
from worker.ledger import outbox, tables
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.remotes import Terms, change, note_event, note_status, remotes_of, write_intent
from worker.ledger.transitions import StaleVersion
from worker.transport import signing

HELD = (
    State.LEASED,
    State.SUBMITTING,
    State.SUBMIT_UNKNOWN,
    State.RUNNING,
    State.CANCELLING,
    State.FINALIZING,
)
TERMS = Terms("tw-000000-", 3600.0, 2.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(str(tmp_path / "l.db"), clock=lambda: 1000.0)


def submit(ledger: Ledger, key: str = "k") -> str:
    """A job for the platform `p`."""
    request = JobRequest("finetune", SPEC, "few", "U1", "m", "T", "C", None, key, platform="p", machine="big")
    return ledger.submit(request).id


def intend(ledger: Ledger) -> Remote:
    """The submission of the one job that is owed."""
    (order,) = outbox.due_orders(ledger.engine, 1000.0, None, remote=True)
    remote = write_intent(ledger.engine, order, TERMS, 1000.0)
    assert remote is not None
    return remote


def test_the_queue_never_gets_a_job_of_a_platform(ledger: Ledger) -> None:
    """Workers get their own jobs, the remote controller its own."""
    submit(ledger)
    assert outbox.due_orders(ledger.engine, 1000.0, None) == []
    assert len(outbox.due_orders(ledger.engine, 1000.0, None, remote=True)) == 1


def test_the_intent_is_in_the_ledger_before_anything_is_sent(ledger: Ledger) -> None:
    """Its tag is the job's root and the submission's number; the job is being submitted."""
    job = submit(ledger)
    remote = intend(ledger)
    assert (remote.tag, remote.state) == (f"tw-000000-{job}-1", RemoteState.INTENT)
    assert ledger.job(job).state is State.SUBMITTING
    assert "intent" in {event.what for event in ledger.history(job)}


def test_only_one_controller_changes_a_submission(ledger: Ledger) -> None:
    """Who read an older version is refused: two controllers cannot both send the create."""
    submit(ledger)
    remote = intend(ledger)
    change(ledger.engine, remote, state=RemoteState.CREATING)
    with pytest.raises(StaleVersion):
        change(ledger.engine, remote, state=RemoteState.CREATING)


def test_a_lost_answer_and_its_resolution_are_states_of_the_job(ledger: Ledger) -> None:
    """NoAnswer, sent again after the settling time, accepted, and shown running."""
    job = submit(ledger)
    remote = note_event(ledger.engine, intend(ledger), "unanswered", 1.0, state=RemoteState.UNANSWERED)
    assert ledger.job(job).state is State.SUBMIT_UNKNOWN
    remote = note_event(ledger.engine, remote, "intent", 2.0, state=RemoteState.INTENT)
    assert ledger.job(job).state is State.SUBMITTING
    note_event(ledger.engine, remote, "accepted", 3.0, state=RemoteState.ACCEPTED, remote_id="x")
    assert ledger.job(job).state is State.RUNNING
    assert ledger.job(job).attempt == 1


def test_dollars_never_fall_and_a_look_that_shows_nothing_new_writes_nothing(ledger: Ledger) -> None:
    """The platform's seconds at the price of the offer; fewer seconds than before change nothing."""
    job = submit(ledger)
    remote = note_event(
        ledger.engine, intend(ledger), "accepted", 3.0, state=RemoteState.ACCEPTED, remote_id="x"
    )
    remote = note_status(
        ledger.engine, remote, RemoteStatus("x", Stage.RUNNING, "RUNNING", ran_s=1800.0), "", 4.0
    )
    assert ledger.job(job).spent_usd == pytest.approx(1.0)
    version = ledger.job(job).version
    note_status(ledger.engine, remote, RemoteStatus("x", Stage.RUNNING, "RUNNING", ran_s=60.0), "", 5.0)
    assert (ledger.job(job).spent_usd, ledger.job(job).version) == (pytest.approx(1.0), version)


def test_a_job_on_a_platform_is_not_paused(ledger: Ledger) -> None:
    """A machine that pauses is billed: the person is told to cancel."""
    job = submit(ledger)
    intend(ledger)
    with pytest.raises(WorkerError, match="Cancel it"):
        ledger.request_pause(job, "U1")


def test_a_pause_that_meets_the_submission_is_refused_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job was still in line when the person pressed the button: what counts is the row under its lock."""
    job = submit(ledger)
    seen = ledger.job(job)
    intend(ledger)
    monkeypatch.setattr(ledger, "job", lambda job_id: seen)
    with pytest.raises(WorkerError, match="Cancel it"):
        ledger.request_pause(job, "U1")


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("remote_state", [s for s in RemoteState if s is not RemoteState.CLOSED])
def test_every_state_has_someone_who_acts_on_it(
    ledger: Ledger, state: State, remote_state: RemoteState
) -> None:
    """Whatever a crash leaves: the controller's next move is one that leads on, at once or after the create's longest wait."""
    submit(ledger)
    remote = change(ledger.engine, intend(ledger), state=remote_state)
    with writing(ledger.engine) as connection:
        connection.execute(update(tables.jobs).values(state=state))
    assert next_move(remote, state, since_s=1e6) is not Move.WAIT


def test_what_an_event_and_an_outcome_mean_needs_only_edges_that_exist() -> None:
    """For every state that a job on a platform can be in."""
    for state, event in itertools.product(State, ("intent", "accepted", "unanswered", "seen")):
        here = state
        for trigger in path_of(event, state):
            here = next_state(here, trigger)
    for state, outcome in itertools.product([*HELD, *END_STATES], Outcome):
        here = state
        for trigger in path_to_end(outcome, state):
            here = next_state(here, trigger)
        assert here in END_STATES


def test_a_platform_that_is_not_configured_any_more_ends_the_job_in_words(
    ledger: Ledger, tmp_path: Path
) -> None:
    """It says what to do."""
    job = submit(ledger)
    packer = Packer(signing.bot_key(tmp_path), lambda digest: pytest.fail("no rows"), {})
    RemoteController(ledger, {}, packer, tmp_path).step(1000.0, 0.0)
    assert "not configured" in (ledger.job(job).error or "")
    assert remotes_of(ledger.engine, job) == []


def test_the_budget_sets_the_time_limit(ledger: Ledger) -> None:
    """What is left of it at the offer's price, at most what the platform allows."""
    job = ledger.job(submit(ledger))
    assert limit_of(job, 25.0, 86400.0) == pytest.approx(2 * 3600)
    assert limit_of(job, 0.5, 86400.0) == 86400.0
    assert limit_of(job, 0.0, 86400.0) == 86400.0
