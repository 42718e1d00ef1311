"""The ledger: every job, its history, and the outboxes to the queue and to Slack, in one database.

Only the bot writes it; workers never open it. All times are Unix seconds (UTC).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from finetune.platforms import PLATFORMS
from finetune.progress import FINISH
from worker.errors import UnknownJob, WorkerError
from worker.jobs.records import (
    Event,
    HistoryLine,
    Job,
    JobRequest,
    Post,
    StaleCard,
    columns_of,
    event_of,
    job_of,
)
from worker.jobs.states import ACTIVE_STATES, END_STATES, State, Trigger
from worker.kinds import UNLISTED
from worker.ledger import outbox, tables, threads
from worker.ledger.approvals import ask_approval, decision
from worker.ledger.budgets import enforce_budget
from worker.ledger.database import open_database, reading, writing
from worker.ledger.drafts import draft_of
from worker.ledger.notifications import card_recipient
from worker.ledger.transitions import enqueue_order, locked_job, move, new_attempt, record

APPROVAL_S = 24 * 3600.0


class Ledger:
    """Opens (and creates) the ledger at `url`: a path, sqlite:///..., or postgresql://...

    `on_order` is called after each commit that enqueues an order, so that it is sent at once.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.time,
        on_order: Callable[[], None] | None = None,
    ) -> None:
        self.engine: Engine = open_database(url)
        self.clock = clock
        self.on_order = on_order

    def close(self) -> None:
        """Closes the database."""
        self.engine.dispose()

    def submit(self, request: JobRequest) -> Job:
        """Accepts a job: from now on it ends with exactly one report, whatever crashes.

        Idempotent by the request's key: the same key gives the job that the first call made. With `approval`
        nothing is queued yet. OverBudget when the team's month has no room for it.
        """
        now = self.clock()
        job = draft_of(request, now)
        try:
            with writing(self.engine) as connection:
                job = replace(job, card_channel=card_recipient(connection, request.channel, request.by))
                row = {"request_key": request.request_key, **columns_of(job)}
                connection.execute(insert(tables.jobs).values(row))
                self._accept(connection, job, now, request)
                if request.month_limit_usd is not None:
                    enforce_budget(connection, request.team, job.month, request.month_limit_usd)
        except IntegrityError:
            return self._by_request_key(request.request_key)
        self._notify_order()
        return self.job(job.id)

    def job(self, job_id: str) -> Job:
        """The job, or UnknownJob."""
        with reading(self.engine) as connection:
            row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job_id)).mappings().first()
        if row is None:
            raise UnknownJob(job_id)
        return job_of(row)

    def jobs(
        self,
        states: Collection[State] | None = None,
        channel: str | None = None,
        by: str | None = None,
        limit: int = 50,
        kind: str | None = None,
        dataset: str | None = None,
    ) -> list[Job]:
        """Jobs by these filters, newest first; unlisted kinds only where `kind` names one."""
        query = select(tables.jobs).order_by(tables.jobs.c.created_at.desc(), tables.jobs.c.id).limit(limit)
        if states is not None:
            query = query.where(tables.jobs.c.state.in_(list(states)))
        if channel is not None:
            query = query.where(tables.jobs.c.channel == channel)
        if by is not None:
            query = query.where(tables.jobs.c.by == by)
        if dataset is not None:
            query = query.where(tables.jobs.c.dataset == dataset)
        query = query.where(tables.jobs.c.kind == kind if kind else tables.jobs.c.kind.not_in(UNLISTED))
        with reading(self.engine) as connection:
            return [job_of(row) for row in connection.execute(query).mappings()]

    def open_job_count(self, by: str) -> int:
        """The number of this person's unfinished jobs, without unlisted kinds."""
        jobs = tables.jobs
        mine = (jobs.c.by == by) & jobs.c.state.not_in(list(END_STATES)) & jobs.c.kind.not_in(UNLISTED)
        with reading(self.engine) as connection:
            return connection.execute(select(func.count()).where(mine)).scalar_one()

    def history(self, job_id: str) -> list[Event]:
        """The job's events, oldest first: the audit log."""
        query = select(tables.events).where(tables.events.c.job_id == job_id).order_by(tables.events.c.id)
        with reading(self.engine) as connection:
            return [event_of(row) for row in connection.execute(query).mappings()]

    def plots(self, job_id: str) -> dict[str, bytes]:
        """The report's pictures (PNG) by file name."""
        query = select(tables.plots).where(tables.plots.c.job_id == job_id)
        with reading(self.engine) as connection:
            return {row["name"]: row["png"] for row in connection.execute(query).mappings()}

    def position(self, job_id: str) -> int | None:
        """The number of queued jobs before this one (0 = next); None when it is not queued."""
        job = self.job(job_id)
        if job.state is not State.QUEUED:
            return None
        ahead = (tables.jobs.c.state == State.QUEUED) & (tables.jobs.c.created_at < job.created_at)
        with reading(self.engine) as connection:
            return connection.execute(select(func.count()).where(ahead)).scalar_one()

    def request_cancel(self, job_id: str, by: str, why: str) -> Job:
        """Cancels the job: at once when nothing runs, else as soon as its last process has ended.

        Idempotent; IllegalTransition when the job has ended already.
        """
        return self._ask(job_id, Trigger.CANCEL, State.CANCELLING, by, why, "cancel")

    def request_finish(self, job_id: str, by: str, why: str = "") -> Job:
        """Ends the training of a running fine-tune early; its best weights so far are evaluated and reported.

        Idempotent; WorkerError when it does not run, or where its platform cannot signal it.
        """
        now = self.clock()
        with writing(self.engine) as connection:
            job = locked_job(connection, job_id)
            if job.state != State.RUNNING:
                raise WorkerError(f"Job {job_id} is not running, so there is no training to end early.")
            platform = PLATFORMS.get(job.platform or "")
            if platform is not None and not platform.can_end_early:
                raise WorkerError(
                    f"{platform.label} trains job {job_id} to its end: cancel it, or let it go on."
                )
            enqueue_order(connection, "stop", job_id, job.attempt, now, now, FINISH)
            record(connection, HistoryLine(job_id, now, by, "finish early", why, attempt=job.attempt))
        self._notify_order()
        return self.job(job_id)

    def request_pause(self, job_id: str, by: str, why: str = "") -> Job:
        """Pauses: at once when nothing runs, else after the next checkpoint (seconds); refused on platforms, which would keep billing."""
        return self._ask(job_id, Trigger.PAUSE, State.PAUSING, by, why, "pause")

    def resume(self, job_id: str, by: str, why: str = "") -> Job:
        """Queues a paused job again; it resumes from its last checkpoint."""
        return self._requeue(job_id, Trigger.RESUME, by, why)

    def approve(self, job_id: str, by: str, why: str = "", by_name: str = "") -> Job:
        """Queues a job that a second person approves; refused for the requester and after expiry."""
        job = self.job(job_id)
        if job.by == by:
            raise WorkerError("You launched this job, so someone else must approve it.")
        if job.approval_expires is not None and self.clock() > job.approval_expires:
            raise WorkerError("This request has expired; launch the job again.")
        verdict = decision(by, by_name, why, self.clock(), yes=True)
        return self._requeue(job_id, Trigger.APPROVE, by, why, approved_by=by, decision=verdict)

    def reject(self, job_id: str, by: str, why: str, by_name: str = "") -> Job:
        """Ends the job as rejected by a second person or by expiry, with the reason in its report."""
        error = f"{by_name}: {why}" if by_name else why
        verdict = decision(by, by_name, why, self.clock(), yes=False) if by != "clock" else None
        with writing(self.engine) as connection:
            job = locked_job(connection, job_id)
            move(connection, job, Trigger.REJECT, self.clock(), by, error, error=error, decision=verdict)
        return self.job(job_id)

    def retry(
        self,
        job_id: str,
        by: str,
        by_name: str,
        request_key: str,
        approval: str | None = None,
        month_limit_usd: float | None = None,
        approvers: tuple[str, ...] = (),
    ) -> Job:
        """A new job that repeats an ended one with the same recipe, from its last good checkpoint."""
        old = self.job(job_id)
        if old.state not in END_STATES:
            raise WorkerError(f"Job {old.id} has not ended yet ({old.state}); cancel it first or wait.")
        request = JobRequest(
            kind=old.kind,
            spec=old.spec,
            dataset=old.dataset,
            by=by,
            by_name=by_name,
            team=old.team,
            channel=old.channel,
            thread_ts=old.thread_ts,
            request_key=request_key,
            estimate_usd=old.estimate_usd,
            approval=approval,
            retry_of=old,
            month_limit_usd=month_limit_usd,
            approvers=approvers,
            platform=old.platform,
            machine=old.machine,
        )
        return self.submit(request)

    def first_time(self, key: str) -> bool:
        """True exactly once for each `key`: how a repeated Slack delivery is recognised."""
        return threads.first_time(self.engine, key, self.clock())

    def thread(self, channel: str, ts: str) -> dict[str, Any] | None:
        """What was saved for this Slack thread, or None."""
        return threads.thread(self.engine, channel, ts)

    def save_thread(self, channel: str, ts: str, state: Mapping[str, Any]) -> None:
        """Stores `state` (JSON) for this Slack thread."""
        threads.save_thread(self.engine, channel, ts, state, self.clock())

    def stale_cards(self) -> list[StaleCard]:
        """Jobs whose card in Slack is older than the job, longest unchanged first."""
        return outbox.stale_cards(self.engine)

    def forget_card(self, job_id: str) -> None:
        """Records that the job's card was deleted in Slack, so that it is posted again."""
        outbox.forget_card(self.engine, job_id)

    def record_card(self, job_id: str, ts: str, version: int) -> None:
        """The card `ts` now shows the job as of `version`."""
        outbox.record_card(self.engine, job_id, ts, version)

    def mark_card_stale(self, job_id: str) -> None:
        """Marks the card as out of date: it may show an older state than recorded."""
        outbox.mark_card_stale(self.engine, job_id)

    def set_card_channel(self, job_id: str, channel: str | None) -> None:
        """The job's card goes to `channel`; None: to the job's own."""
        outbox.set_card_channel(self.engine, job_id, channel)

    def set_post_channel(self, post_id: int, channel: str) -> None:
        """Redirects the message to `channel`, the opened direct conversation of its recipient."""
        outbox.set_post_channel(self.engine, post_id, channel)

    def due_posts(self, now: float | None = None, limit: int = 20) -> list[Post]:
        """Messages to send now; each is reserved for this caller for a minute (see worker.ledger.outbox)."""
        return outbox.due_posts(self.engine, self.clock() if now is None else now, limit)

    def complete_post(self, post_id: int, ts: str) -> None:
        """Records that the message is in Slack as `ts`."""
        outbox.complete_post(self.engine, post_id, ts, self.clock())

    def retry_post(self, post_id: int, retry_at: float, error: str) -> None:
        """Records that Slack refused the message; it is due again at `retry_at`."""
        outbox.retry_post(self.engine, post_id, retry_at, error)

    def postpone_post(self, post_id: int, at: float) -> None:
        """Postpones a message that was not tried (rate limit, no thread yet) to `at`."""
        outbox.postpone_post(self.engine, post_id, at)

    def move_job(self, job_id: str, channel: str, why: str) -> None:
        """Moves the job's card and reports to `channel`, as its own channel is gone."""
        outbox.move_job(self.engine, job_id, channel, why, self.clock())

    def _accept(self, connection: Connection, draft: Job, now: float, request: JobRequest) -> None:
        approval = request.approval
        record(connection, HistoryLine(draft.id, now, draft.by, "request", to_state=State.DRAFT))
        if approval is None:
            job = move(connection, draft, Trigger.SUBMIT, now, draft.by)
            new_attempt(connection, job, now, due_at=now)
            return
        job = move(
            connection,
            draft,
            Trigger.ASK_APPROVAL,
            now,
            draft.by,
            approval,
            approval_reason=approval,
            approval_expires=now + APPROVAL_S,
        )
        ask_approval(connection, job, now, approval, request.approvers)

    def _ask(self, job_id: str, trigger: Trigger, under_way: State, by: str, why: str, reason: str) -> Job:
        now = self.clock()
        with writing(self.engine) as connection:
            job = locked_job(connection, job_id)
            if trigger is Trigger.PAUSE and job.platform and job.state in ACTIVE_STATES:
                raise WorkerError(
                    f"Job {job_id} runs on a platform, which bills a machine that pauses. Cancel it, and launch it again later."
                )
            if job.state != under_way:
                job = move(connection, job, trigger, now, by, why)
                if job.state == under_way:
                    enqueue_order(connection, "stop", job_id, job.attempt, now, now, reason)
        self._notify_order()
        return self.job(job_id)

    def _requeue(self, job_id: str, trigger: Trigger, by: str, why: str, **columns: Any) -> Job:
        now = self.clock()
        with writing(self.engine) as connection:
            job = move(connection, locked_job(connection, job_id), trigger, now, by, why, **columns)
            new_attempt(connection, job, now, due_at=now)
        self._notify_order()
        return self.job(job_id)

    def _by_request_key(self, request_key: str) -> Job:
        query = select(tables.jobs).where(tables.jobs.c.request_key == request_key)
        with reading(self.engine) as connection:
            return job_of(connection.execute(query).mappings().one())

    def _notify_order(self) -> None:
        if self.on_order is not None:
            self.on_order()
