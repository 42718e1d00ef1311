"""Random job histories: late, repeated, reordered and fenced events; the invariants always hold."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select

from worker.errors import IllegalTransition, WorkerError
from worker.jobs.decisions import decide_on_silence
from worker.jobs.records import JobRequest
from worker.jobs.states import END_STATES, State
from worker.ledger import outbox, tables
from worker.ledger.apply_events import apply_events
from worker.ledger.ledger import Ledger
from worker.ledger.queue_position import update_queue_positions
from worker.transport.events import KINDS, WorkerEvent

REASONS = st.sampled_from(["cancel", "pause", "lost", "drain", "budget"])


class JobLifecycle(RuleBasedStateMachine):
    """One job after another, everything that can happen to them, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1e6
        self.ledger = Ledger(str(Path(self.folder.name) / "l.db"), clock=lambda: self.now)
        self.ends: dict[str, tuple[State, object]] = {}
        self.history: dict[str, int] = {}
        self.events: list[WorkerEvent] = []
        self.receipts: set[int] = set()
        self.job = self.submit("first")

    def submit(self, key: str) -> str:
        return self.ledger.submit(JobRequest("tiny", {}, "d", "U1", "m", "T", "C", None, key)).id

    @rule(n=st.integers(0, 10**6))
    def another_job(self, n: int) -> None:
        self.job = self.submit(f"k{n}")

    @rule(
        kind=st.sampled_from(sorted(KINDS)),
        reason=REASONS,
        retryable=st.booleans(),
        run=st.sampled_from(["r1", "r2"]),
        seq=st.integers(0, 30),
        back=st.integers(0, 2),
        fake=st.booleans(),
    )
    def event(
        self, kind: str, reason: str, retryable: bool, run: str, seq: int, back: int, fake: bool
    ) -> None:
        attempts = select(tables.attempts).where(tables.attempts.c.job_id == self.job)
        with self.ledger.engine.connect() as connection:
            rows = list(connection.execute(attempts.order_by(tables.attempts.c.attempt.desc())).mappings())
        row = rows[min(back, len(rows) - 1)]
        fence = "wrong" if fake else row["fence"]
        data = {"reason": reason, "retryable": retryable, "report": {"run": run, "seq": seq}, "usd": 0.5}
        event = WorkerEvent(self.job, row["attempt"], fence, run, seq, kind, 0.0, data, "w")
        self.events.append(event)
        apply_events(self.ledger.engine, [event], ("c", "0"), self.now)

    @rule(data=st.data())
    def old_events_once_more(self, data: st.DataObject) -> None:
        if self.events:
            again = data.draw(st.lists(st.sampled_from(self.events), max_size=4))
            apply_events(self.ledger.engine, again, ("c", "0"), self.now)

    @rule(what=st.sampled_from(["request_cancel", "request_pause", "resume", "approve"]))
    def a_person_acts(self, what: str) -> None:
        with contextlib.suppress(IllegalTransition, WorkerError):
            getattr(self.ledger, what)(self.job, "U2", "because")

    @rule(seconds=st.floats(0, 200))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for job_id in outbox.jobs_to_requeue(self.ledger.engine, self.now):
            outbox.requeue_job(self.ledger.engine, job_id, self.now)

    @rule(seconds=st.floats(-90_000, 90_000))
    def the_clock_jumps(self, seconds: float) -> None:
        self.now = max(1.0, self.now + seconds)

    @rule()
    def the_line_is_told(self) -> None:
        update_queue_positions(self.ledger.engine, self.now)

    @rule()
    def the_bot_starts_again(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(str(Path(self.folder.name) / "l.db"), clock=lambda: self.now)

    @rule(success=st.booleans())
    def slack_is_paid(self, success: bool) -> None:
        for post in self.ledger.due_posts():
            if not success:
                self.ledger.retry_post(post.id, self.now + 30, "500")
                continue
            assert post.id not in self.receipts, "handed out again after it was paid"
            self.receipts.add(post.id)
            self.ledger.complete_post(post.id, "1.1")

    @rule()
    def the_worker_vanishes(self) -> None:
        for attempt in outbox.held_attempts(self.ledger.engine):
            decide = decide_on_silence(attempt.job.state, attempt.job.losses, self.now)
            outbox.give_up_attempt(self.ledger.engine, attempt, self.now, decide)

    @rule()
    def orders_go_out_and_redis_forgets(self) -> None:
        for order in outbox.due_orders(self.ledger.engine, self.now, None):
            outbox.complete_order(self.ledger.engine, order, self.now)
        for attempt in outbox.queued_attempts(self.ledger.engine):
            outbox.replace_attempt(self.ledger.engine, attempt, self.now, "gone")

    @invariant()
    def an_end_is_final_and_reported_once(self) -> None:
        posts, job = tables.posts, tables.jobs
        with self.ledger.engine.connect() as connection:
            rows = list(connection.execute(select(job)).mappings())
            for row in rows:
                mine = (posts.c.job_id == row["id"]) & (posts.c.kind == "final_report")
                owed = connection.execute(select(func.count()).where(mine)).scalar_one()
                assert owed == (1 if row["state"] in END_STATES else 0)
                if row["id"] in self.ends:
                    assert self.ends[row["id"]] == (row["state"], row["report"])
                elif row["state"] in END_STATES:
                    self.ends[row["id"]] = (row["state"], row["report"])

    @invariant()
    def at_most_one_attempt_is_live_and_none_after_the_end(self) -> None:
        attempts, jobs = tables.attempts, tables.jobs
        with self.ledger.engine.connect() as connection:
            for row in connection.execute(select(jobs)).mappings():
                mine = (attempts.c.job_id == row["id"]) & attempts.c.live
                live = list(connection.execute(select(attempts).where(mine)).mappings())
                assert len(live) <= (0 if row["state"] in END_STATES else 1)
                if row["state"] == State.QUEUED:
                    assert len(live) == 1

    @invariant()
    def history_only_grows(self) -> None:
        count = len(self.ledger.history(self.job))
        assert count >= self.history.get(self.job, 0)
        self.history[self.job] = count

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


JobLifecycle.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestLife = JobLifecycle.TestCase
