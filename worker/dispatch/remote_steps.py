"""One step of one submission: the call to its platform, and what its answer means for the job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.errors import FinetuneError
from finetune.platforms.contract import (
    ENDED,
    BadKey,
    Bill,
    NoAnswer,
    NotMade,
    Platform,
    RemoteStatus,
    Stage,
)
from worker.dispatch.packing import MIN_RUN_S, Packer
from worker.dispatch.results import CORRUPT_S, Fetcher
from worker.jobs.remotes import Move, Outcome, Remote, RemoteState
from worker.jobs.states import END_STATES, State
from worker.ledger import remotes
from worker.ledger.ledger import Ledger
from worker.logs import scrub

if TYPE_CHECKING:
    from worker.dispatch.remote_controller import Connection

MAX_CREATES = 3
CLEAR_S = 1800.0
"""After this time the report names what could not be ended, fetched or erased."""
BILL_S = 120.0
LAST_WORD_S = 60.0
"""A platform may say that a job has ended before its last words can be read in the bucket."""
SILENT_S = 300.0
"""A container sends a heartbeat each minute; after this time without one the card says so."""
END_GRACE_S = 60.0
LIMIT_SLACK_S = 600.0
NO_BILL = Bill(0.0, True, "never started")

log = logging.getLogger("trainwise.jobs")


@dataclass
class Steps:
    """`take` carries out one move; `since_s` is how long this desk has seen the submission in its state.

    `seconds_since_first("ended")` is how long it has known that, counted from the first call; with a value, how long that has stayed.
    """

    ledger: Ledger
    connection: Connection
    packer: Packer
    fetcher: Fetcher
    now: float
    since_s: float
    seconds_since_first: Callable[..., float]

    def take(self, step: Move, remote: Remote) -> float | None:
        """Carries out the move; returns the seconds until the next one (None: the usual wait)."""
        if step is Move.CREATE:
            return self._create(remote)
        if step is Move.MARK_UNANSWERED:
            remotes.note_event(
                self.ledger.engine,
                remote,
                "unanswered",
                self.now,
                "its create was cut short",
                state=RemoteState.UNANSWERED,
            )
            return 0.0
        if step is Move.ABANDON:
            self._decide(remote, Outcome.CANCELLED, "nothing had been started")
            return 0.0
        if step is Move.FIND:
            return self._find(remote)
        if step is Move.LOOK:
            return self._look(remote)
        return self._clear(remote) if step is Move.CLEAR else None

    @property
    def label(self) -> str:
        """The platform's name for people."""
        return self.connection.platform.label

    def _create(self, remote: Remote) -> float | None:
        """Uploads, records the create in the ledger, and sends it once."""
        engine, job = self.ledger.engine, self.ledger.job(remote.job_id)
        if remote.limit_s < MIN_RUN_S:
            why = f"Its budget buys {remote.limit_s:.0f} s on {self.label}: give it more."
            self._decide(remote, Outcome.FAILED, why)
            return 0.0
        try:
            submission = self.packer.submission(remote, job, self.connection.platform, self.now)
            places = self.connection.adapter.upload(submission)
        except NotMade as error:
            if error.retry_after_s is None:
                self._decide(remote, Outcome.FAILED, self._safe_text(error, remote))
            return error.retry_after_s or 0.0
        except FinetuneError as error:  # the rows were erased, or the bucket does not answer
            if error.retryable and self.since_s <= CLEAR_S:
                raise
            self._decide(remote, Outcome.FAILED, self._safe_text(error, remote))
            return 0.0
        count = remote.creates + 1
        remote = remotes.change(engine, remote, state=RemoteState.CREATING, creates=count, uploads=places)
        try:
            remote_id = self.connection.adapter.create(submission)
        except BadKey as error:
            self._decide(remote, Outcome.FAILED, self._safe_text(error, remote))
            return 0.0
        except NotMade as error:
            if error.retry_after_s is None:
                self._decide(remote, Outcome.FAILED, self._safe_text(error, remote))
                return 0.0
            remotes.change(engine, remote, state=RemoteState.INTENT, creates=count - 1)
            return error.retry_after_s
        except Exception as error:  # includes a client that cannot parse an answer: the job may exist
            if not isinstance(error, NoAnswer):
                log.exception("the create of %s broke", remote.tag)
            why = f"{self.label} did not answer; looking for {remote.tag} there"
            remotes.note_event(engine, remote, "unanswered", self.now, why, state=RemoteState.UNANSWERED)
            return 0.0
        why = f"{self.label} took it as {remote_id}"
        remotes.note_event(
            engine, remote, "accepted", self.now, why, state=RemoteState.ACCEPTED, remote_id=remote_id
        )
        return 0.0

    def _find(self, remote: Remote) -> float | None:
        """Resolves an unanswered create: the job is found, or after `settle_s` it certainly does not exist."""
        engine = self.ledger.engine
        statuses = self.connection.adapter.find(remote.tag)
        if statuses:
            best = min(statuses, key=lambda one: one.stage in ENDED)
            extras = [one.remote_id for one in statuses if one is not best]
            why = f"found at {self.label} as {best.remote_id}"
            values = {"state": RemoteState.ACCEPTED, "remote_id": best.remote_id, "extras": extras}
            remotes.note_event(engine, remote, "accepted", self.now, why, **values)
            return 0.0
        if self.since_s < self.connection.platform.settle_s:
            return None
        state = self.ledger.job(remote.job_id).state
        if state is State.CANCELLING or state in END_STATES:
            self._decide(remote, Outcome.CANCELLED, f"{self.label} never had it")
        elif remote.creates >= MAX_CREATES:
            self._decide(remote, Outcome.FAILED, f"{self.label} did not take it in {remote.creates} tries.")
        else:
            why = f"{self.label} does not have it: sent again"
            remotes.note_event(engine, remote, "intent", self.now, why, state=RemoteState.INTENT)
        return 0.0

    def _look(self, remote: Remote) -> float | None:
        """Reads the job's status, passes a cancel on, and applies the limits."""
        try:
            status = self.connection.adapter.look(self.packer.reference(remote))
        except (NoAnswer, NotMade) as error:
            return self._note_unreachable(remote, error)
        remote = self._end_extras(remote)
        state = self.ledger.job(remote.job_id).state
        is_over = self.is_over(status)
        note = status.unread or status.note
        if state is State.CANCELLING and not is_over:
            note = self._ask_to_stop(remote)
        elif status.stage is Stage.WAITING:
            note = f"waiting for a machine at {self.label}"
        elif status.stage is Stage.RUNNING and status.life_at is not None:
            silent_s = self.seconds_since_first("life", status.life_at)
            note = note or (silence(self.label, silent_s) if silent_s >= SILENT_S else "")
        remote = remotes.note_status(self.ledger.engine, remote, status, note, self.now)
        if state is State.CANCELLING:
            if is_over:
                self._decide(remote, Outcome.CANCELLED, f"{self.label} has ended it", ended_at=self.now)
            return 0.0 if is_over else None
        return self._decide_on(remote, status)

    def _decide_on(self, remote: Remote, status: RemoteStatus) -> float | None:
        end = status.end or {}
        kind, data = str(end.get("kind", "")), end.get("data")
        facts = data if isinstance(data, dict) else {}
        if kind == "finished":
            self._decide(remote, Outcome.FINISHED, f"{self.label}: done")
        elif kind == "stopped" and facts.get("reason") == "budget":
            self._decide(remote, Outcome.BUDGET, "the budget of this job is spent")
        elif kind == "failed" and not facts.get("retryable"):
            self._decide(remote, Outcome.FAILED, scrub(str(facts.get("error") or "The run failed."))[:2000])
        elif kind:
            self._decide(
                remote, Outcome.LOST, scrub(str(facts.get("error") or f"the run {kind} there"))[:2000]
            )
        elif status.refusal:
            if self.seconds_since_first("refused") < CORRUPT_S:
                return None
            self._decide(remote, Outcome.FAILED, status.refusal)
        elif status.stage is Stage.TIMED_OUT:
            self._decide(
                remote, Outcome.BUDGET, f"{self.label} ended it at its time limit, which its budget set"
            )
        elif status.stage in ENDED:
            patience_s = LAST_WORD_S if status.stage is Stage.SUCCEEDED else 0.0
            if self.seconds_since_first("ended") < (CLEAR_S if status.unread else patience_s):
                return None
            self._decide(remote, Outcome.LOST, f"ended by {self.label} ({status.word or status.stage})")
        elif status.stage is Stage.WAITING and self.since_s > self.connection.platform.queue_s:
            hours = self.connection.platform.queue_s / 3600
            self._decide(
                remote, Outcome.FAILED, f"{self.label} had no {remote.machine} for {hours:.0f} hours."
            )
        elif (status.ran_s or 0.0) > remote.limit_s + LIMIT_SLACK_S:
            self._decide(remote, Outcome.BUDGET, "the time that its budget buys is over")
        else:
            return None
        return 0.0

    def _ask_to_stop(self, remote: Remote) -> str:
        """Asks the platform to end the job; returns the note for the card."""
        try:
            self.connection.adapter.cancel(self.packer.reference(remote))
        except (NoAnswer, NotMade) as error:
            return f"{self.label} did not take the request to stop: {self._safe_text(error, remote)}"[:300]
        return f"asked {self.label} to stop, still billing"

    def _note_unreachable(self, remote: Remote, error: Exception) -> float | None:
        """The platform cannot be asked: notes it on the card; after all limits the job fails and its report names the job there."""
        note = f"{self.label} cannot be asked: {self._safe_text(error, remote)}"
        empty_status = RemoteStatus(remote.remote_id, Stage.RUNNING, remote.word, cursor=remote.cursor)
        remote = remotes.note_status(self.ledger.engine, remote, empty_status, note[:300], self.now)
        if self.since_s > remote.limit_s + self.connection.platform.queue_s:
            self._decide(remote, Outcome.FAILED, note[:300])
            return 0.0
        return None

    def _end_extras(self, remote: Remote) -> Remote:
        """Ends other jobs with the same tag; they train nothing, as another one holds the claim."""
        rest = []
        for extra in remote.extras:
            duplicate = self.packer.reference(remote, extra)
            if not self.is_over(self.connection.adapter.look(duplicate)):
                self.connection.adapter.cancel(duplicate)
                rest.append(extra)
        return remote if rest == remote.extras else remotes.change(self.ledger.engine, remote, extras=rest)

    def _clear(self, remote: Remote) -> float | None:
        """Fetches the result, confirms the end at the platform, reads the bill, erases the files, and closes the submission."""
        is_late = self.since_s > CLEAR_S
        leftovers: list[str] = []
        if self.connection.platform.restarts:  # it is billed until it is ended, so end it before the fetch
            with suppress(NoAnswer, NotMade):
                remote, _ = self._confirm_end(remote)
        remote = self.fetcher.fetch(remote, self.since_s, self.now)
        try:
            remote, has_ended = self._confirm_end(remote)
            if not has_ended:
                if not is_late:
                    return None
                leftovers.append(self._still_running_note(remote))
            bill = self._bill(remote, is_late)
            if (bill is None or not bill.is_final) and self.since_s < BILL_S:
                return None
            places = self.connection.adapter.erase(
                self.packer.reference(remote, keeps_checkpoints=self._will_resume(remote))
            )
            leftovers += [f"Not erased: {place}." for place in places]
        except (NoAnswer, NotMade) as error:
            if not is_late:
                raise
            bill = None
            leftovers = [f"Not erased at {self.label}: {remote.tag}. {self._safe_text(error, remote)}"]
            leftovers += (
                [self._still_running_note(remote)] if remote.ended_at is None and remote.remote_id else []
            )
        usd = max(remote.usd, bill.usd if bill else 0.0)
        usd += self.fetcher.measuring_usd(replace(remote, usd=usd))
        is_erased = not leftovers and not self._will_resume(remote)
        values = {"usd": usd, "leftovers": leftovers, "erased_at": self.now if is_erased else None}
        most_losses = self.connection.platform.most_losses
        remotes.close(self.ledger.engine, remote, leftovers, self.now, most_losses, **values)
        return None

    def _will_resume(self, remote: Remote) -> bool:
        """Whether the next submission of the job resumes from this one's checkpoints."""
        platform, job = self.connection.platform, self.ledger.job(remote.job_id)
        return platform.resumes and remotes.attempt_after(job, remote, platform.most_losses) is not None

    def _bill(self, remote: Remote, is_late: bool) -> Bill | None:
        """The platform's bill; None where it refuses or does not answer for too long: the rows are erased anyway."""
        if not remote.remote_id:
            return NO_BILL
        try:
            return self.connection.adapter.bill(self.packer.reference(remote))
        except (NoAnswer, NotMade) as error:
            may_come = isinstance(error, NoAnswer) or error.retry_after_s is not None
            if may_come and not is_late:
                raise
            log.info("%s tells no bill of %s: %s", self.label, remote.tag, self._safe_text(error, remote))
            return None

    def _confirm_end(self, remote: Remote) -> tuple[Remote, bool]:
        """Ends every job with the tag; True once the platform shows that none of them runs."""
        running = []
        if remote.creates:
            running = [one for one in self.connection.adapter.find(remote.tag) if not self.is_over(one)]
        for one in running:
            is_own_end = one.remote_id == remote.remote_id and remote.outcome == Outcome.FINISHED
            if is_own_end and self.since_s < END_GRACE_S and not self.connection.platform.restarts:
                continue  # its container is just leaving
            self.connection.adapter.cancel(self.packer.reference(remote, one.remote_id))
        if remote.remote_id and remote.ended_at is None:
            status = self.connection.adapter.look(self.packer.reference(remote))
            if self.is_over(status):
                remote = remotes.note_status(self.ledger.engine, remote, status, "", self.now)
                remote = remotes.change(self.ledger.engine, remote, ended_at=self.now)
        return remote, not running and (not remote.remote_id or remote.ended_at is not None)

    def _still_running_note(self, remote: Remote) -> str:
        return f"{remote.remote_id or remote.tag} may still run at {self.label} and bill: end it there."

    def _decide(self, remote: Remote, outcome: Outcome, why: str, **columns: float) -> None:
        remotes.decide_outcome(self.ledger.engine, remote, outcome, why, self.now, **columns)

    def is_over(self, status: RemoteStatus) -> bool:
        """Whether the platform has stopped billing for it."""
        return has_stopped_billing(self.connection.platform, status)

    def _safe_text(self, error: Exception, remote: Remote) -> str:
        """The error text without secrets: a platform may repeat what it was sent, including the run's key."""
        return scrub(str(error), [self.packer.key.run_secret(remote.tag)])[:500]


def silence(label: str, seconds: float) -> str:
    """The card's note on a machine without heartbeat whose platform reports it as running."""
    return (
        f"{label} says that it runs, but it has shown no sign of life for {seconds // 60:.0f} minutes; it is still billed: cancel "
        "it if that goes on"
    )


def has_stopped_billing(platform: Platform, status: RemoteStatus) -> bool:
    """Whether billing has stopped: at the job's end, or, where ended containers may restart, once the job is gone."""
    return status.stage is Stage.GONE if platform.restarts else status.stage in ENDED
