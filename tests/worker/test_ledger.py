"""The ledger alone: jobs, outboxes, stored state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from worker.errors import IllegalTransition, UnknownJob, WorkerError
from worker.jobs.records import Job, JobRequest
from worker.jobs.states import State
from worker.ledger import outbox, tables
from worker.ledger.apply_events import apply_each, apply_events
from worker.ledger.budgets import OverBudget, month_of_team, set_budget
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.threads import cursor
from worker.runtime.job_process import StopSignal
from worker.transport.events import WorkerEvent


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    here = Ledger(str(tmp_path / "ledger.db"), clock=Clock())
    yield here
    here.close()


def submit(ledger: Ledger, key: str = "k1", by: str = "U1", **more: object) -> Job:
    return ledger.submit(JobRequest("tiny", {"steps": 1}, "ds", by, "maya", "T1", "C1", None, key, **more))  # type: ignore[arg-type]


def test_the_same_request_twice_is_one_job_and_one_enqueue(ledger: Ledger) -> None:
    """A modal that Slack delivers twice launches once."""
    assert submit(ledger).id == submit(ledger).id
    assert len(outbox.due_orders(ledger.engine, ledger.clock(), None)) == 1


def test_an_end_state_enqueues_one_report_and_ends_the_reservation(ledger: Ledger) -> None:
    """The report is in the same transaction as the end; the budget is free again."""
    job = submit(ledger, estimate_usd=3.0)
    assert month_of_team(ledger.engine, "T1", job.month).reserved_usd == 3.0
    end = ledger.request_cancel(job.id, "U1", "no")
    assert end.state is State.CANCELLED
    assert [post.dedupe_key for post in ledger.due_posts()] == [f"{job.id}:cancelled"]
    assert month_of_team(ledger.engine, "T1", job.month).reserved_usd == 0.0
    with pytest.raises(IllegalTransition):
        ledger.request_cancel(job.id, "U1", "again")


def test_a_message_has_one_sender_and_is_requeued_if_unconfirmed(ledger: Ledger) -> None:
    """Two bots do not send it twice; a sender that died does not lose it; a repeat says that it is one."""
    ledger.request_cancel(submit(ledger).id, "U1", "no")
    (post,) = ledger.due_posts()
    assert post.tries == 0
    assert ledger.due_posts() == []
    (again,) = ledger.due_posts(ledger.clock() + 61)
    assert again.tries == 1
    ledger.complete_post(post.id, "1.2")
    assert ledger.due_posts(ledger.clock() + 1000) == []


def test_an_approval_needs_a_second_person_and_in_time(ledger: Ledger) -> None:
    """Nothing is queued before; the requester cannot approve; rejecting ends with a report."""
    job = submit(ledger, approval="costs $90")
    assert job.state is State.AWAITING_APPROVAL
    assert outbox.due_orders(ledger.engine, ledger.clock(), None) == []
    with pytest.raises(WorkerError, match="someone else"):
        ledger.approve(job.id, "U1")
    assert ledger.approve(job.id, "U2").state is State.QUEUED
    other = submit(ledger, "k2", approval="costs $90")
    ledger.clock.now += 25 * 3600  # type: ignore[attr-defined]
    assert outbox.expired_approvals(ledger.engine, ledger.clock()) == [other.id]
    assert ledger.reject(other.id, "U2", "too dear").state is State.REJECTED


def test_a_persons_further_jobs_wait_until_one_of_theirs_is_done(ledger: Ledger) -> None:
    """With one job each, two people have two jobs out, not three."""
    for key, by in (("a", "U1"), ("b", "U1"), ("c", "U2")):
        submit(ledger, key, by)
    assert len(outbox.due_orders(ledger.engine, ledger.clock(), per_user=1)) == 2


def test_retry_makes_a_new_job_of_the_same_root(ledger: Ledger) -> None:
    """Checkpoints are kept under the first job of the chain; a job that still runs is not repeated."""
    job = submit(ledger)
    with pytest.raises(WorkerError, match="not ended"):
        ledger.retry(job.id, "U1", "maya", "r1")
    ledger.request_cancel(job.id, "U1", "no")
    again = ledger.retry(job.id, "U2", "ravi", "r1")
    assert (again.retry_of, again.root, again.by) == (job.id, job.id, "U2")
    assert ledger.retry(job.id, "U2", "ravi", "r1").id == again.id


def test_a_message_put_off_is_no_try_and_a_clock_put_back_does_not_hold_it_up(ledger: Ledger) -> None:
    """Waiting for one's turn leaves no doubt whether it was sent; due times far ahead are due now."""
    ledger.request_cancel(submit(ledger).id, "U1", "no")
    (post,) = ledger.due_posts()
    ledger.postpone_post(post.id, ledger.clock() + 1.0)
    (again,) = ledger.due_posts(ledger.clock() + 2.0)
    assert (again.id, again.tries) == (post.id, 0)
    (third,) = ledger.due_posts(ledger.clock() - 86_400)
    assert third.tries == 1


def test_a_job_of_a_deleted_channel_moves_with_its_card_and_messages(ledger: Ledger) -> None:
    """Card and report begin anew in the other conversation, and the move is in the history."""
    job = submit(ledger)
    ledger.record_card(job.id, "1.1", job.version)
    ledger.request_cancel(job.id, "U1", "no")
    ledger.move_job(job.id, "D1", "the channel was archived")
    after = ledger.job(job.id)
    assert (after.channel, after.card_ts, after.thread_ts) == ("D1", None, None)
    assert [stale.id for stale in ledger.stale_cards()] == [job.id]
    assert [post.channel for post in ledger.due_posts()] == ["D1"]
    assert ledger.history(job.id)[-1].why == "the channel was archived"


def test_a_cancel_is_not_held_up_by_a_long_line_of_the_same_person(ledger: Ledger) -> None:
    """Stops go first, and one person's waiting jobs do not hide another's behind the limit."""
    first = submit(ledger)
    for n in range(30):
        submit(ledger, f"more{n}")
    other = submit(ledger, "other", by="U2")
    (enqueue,) = outbox.due_orders(ledger.engine, ledger.clock(), per_user=1, limit=1)
    outbox.complete_order(ledger.engine, enqueue, ledger.clock())
    event = WorkerEvent(first.id, 1, fence_of(ledger, first.id), "r", 0, "leased", 0.0, {}, "w")
    apply_events(ledger.engine, [event], ("c", "1"), ledger.clock())
    ledger.request_cancel(first.id, "U1", "enough")
    due = outbox.due_orders(ledger.engine, ledger.clock(), per_user=1, limit=2)
    assert [(order.what, order.job_id) for order in due] == [("stop", first.id), ("enqueue", other.id)]


def test_an_event_that_the_database_refuses_does_not_block_the_others(ledger: Ledger) -> None:
    """A stolen worker's odd report is left out; the next job's events count."""
    bad, good = submit(ledger), submit(ledger, "k2")
    odd = {"worker": "w", "pid": 2**70}
    batch = [
        WorkerEvent(bad.id, 1, fence_of(ledger, bad.id), "r", 0, "leased", 0.0, odd, "w"),
        WorkerEvent(good.id, 1, fence_of(ledger, good.id), "r2", 0, "leased", 0.0, {"pid": 1}, "w"),
    ]
    with pytest.raises(Exception, match="too large"):
        apply_events(ledger.engine, batch, ("c", "1"), ledger.clock())
    apply_each(ledger.engine, batch, ("c", "1"), ledger.clock())
    assert (ledger.job(bad.id).state, ledger.job(good.id).state) == (State.QUEUED, State.LEASED)
    assert cursor(ledger.engine, "c") == "1"


def fence_of(ledger: Ledger, job_id: str) -> str:
    with ledger.engine.connect() as connection:
        query = "select fence from attempts where job_id = ? and live"
        return connection.exec_driver_sql(query, (job_id,)).scalar_one()


def test_cards_deliveries_and_threads_are_remembered(ledger: Ledger) -> None:
    """A card is stale until posted at the job's version; a delivery is new once; a thread keeps its state."""
    job = submit(ledger)
    assert [stale.id for stale in ledger.stale_cards()] == [job.id]
    ledger.record_card(job.id, "1.1", job.version)
    assert ledger.stale_cards() == []
    assert (ledger.first_time("Ev1"), ledger.first_time("Ev1")) == (True, False)
    ledger.save_thread("C1", "1.1", {"a": 1})
    ledger.save_thread("C1", "1.1", {"a": 2})
    assert (ledger.thread("C1", "1.1"), ledger.thread("C1", "9")) == ({"a": 2}, None)
    with pytest.raises(UnknownJob):
        ledger.job("nope")


def test_a_months_budget_set_anew_replaces_the_old_one(ledger: Ledger) -> None:
    """For its team and month only."""
    set_budget(ledger.engine, "T1", "2026-11", 40.0, "U9", 0.0)
    set_budget(ledger.engine, "T1", "2026-11", 60.0, "U9", 0.0)
    assert month_of_team(ledger.engine, "T1", "2026-11").left == 60.0
    assert month_of_team(ledger.engine, "T1", "2026-12").limit is None
    assert month_of_team(ledger.engine, "T2", "2026-11").limit is None


def test_the_month_budget_counts_reservations_and_releases_unused_money(ledger: Ledger) -> None:
    """The job that would go over is refused whole; a cancelled one gives its reservation back."""
    first = submit(ledger, "a", estimate_usd=6.0, month_limit_usd=10.0)
    with pytest.raises(OverBudget, match="smaller budget"):
        submit(ledger, "b", estimate_usd=5.0, month_limit_usd=10.0)
    assert [job.id for job in ledger.jobs()] == [first.id]
    assert (ledger.open_job_count("U1"), ledger.open_job_count("U2")) == (1, 0)
    ledger.request_cancel(first.id, "U1", "no")
    assert submit(ledger, "b", estimate_usd=5.0, month_limit_usd=10.0).state is State.QUEUED
    set_budget(ledger.engine, "T1", first.month, 5.5, "U9", 0.0)
    with pytest.raises(OverBudget, match=r"\$5.50"):
        ledger.retry(first.id, "U1", "maya", "r", month_limit_usd=10.0)


def test_a_database_that_does_not_open_says_so_without_its_password() -> None:
    """The address is shown with the password starred out."""
    with pytest.raises(WorkerError) as e:
        Ledger("postgresql://u:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(e.value)


def test_only_a_running_job_can_be_ended_early_and_twice_is_once(ledger: Ledger) -> None:
    """A stop order with the reason "finish"; the job's state stays, since its report is still to come."""
    job = submit(ledger)
    with pytest.raises(WorkerError, match="not running"):
        ledger.request_finish(job.id, "U1")
    with writing(ledger.engine) as connection:
        connection.execute(update(tables.jobs).values(state=State.RUNNING))
    assert ledger.request_finish(job.id, "U1").state is State.RUNNING
    ledger.request_finish(job.id, "U1")
    reasons = [order.reason for order in outbox.due_orders(ledger.engine, ledger.clock(), None)]
    assert reasons.count("finish") == 1


def test_a_cancel_takes_the_place_of_a_request_to_end_early() -> None:
    """In the job's own process, where the first reason otherwise stays."""
    flags = iter(["finish", "cancel", "pause"])
    stop = StopSignal(lambda: next(flags))
    reasons = []
    for _ in range(3):
        stop.look()
        reasons.append(stop.reason)
    assert reasons == ["finish", "cancel", "cancel"]
