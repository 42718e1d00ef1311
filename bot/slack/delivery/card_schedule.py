"""Which job cards are shown next, and when: the rate of a card, its waits after failures, its age."""

from __future__ import annotations

from collections.abc import Callable

from worker.jobs.records import StaleCard
from worker.jobs.states import ACTIVE_STATES, END_STATES, State
from worker.ledger.ledger import Ledger

NEVER = float("-inf")
AGING_S = 30.0
"""A running job's card is not left alone for longer: it tells how long the job has run."""
REMEMBERED_S = 3600.0
IN_LINE = (State.QUEUED, State.RETRY_WAIT)


class CardSchedule:
    """Times are ticks in seconds; a card changes at most every `interval_s`, at once when its job ends."""

    def __init__(
        self,
        ledger: Ledger,
        interval_s: float,
        queue_up: Callable[[], bool],
        tick: Callable[[], float],
    ) -> None:
        self._ledger, self._interval_s, self._queue_up, self._tick = ledger, interval_s, queue_up, tick
        self._shown_at: dict[str, float] = {}
        self._waits: dict[str, tuple[float, int]] = {}  # until when, after how many tries
        self._queue_was: bool | None = None
        self._aging_at = NEVER

    def changed_by_queue(self) -> list[StaleCard]:
        """Cards of jobs in line that are out of date because the queue went away or came back."""
        up, was = self._queue_up(), self._queue_was
        self._queue_was = up
        if was is None or up == was:
            return []
        waiting = [job for job in self._ledger.jobs(states=IN_LINE, limit=200) if job.card_ts]
        for job in waiting:
            self._shown_at.pop(job.id, None)
        return [StaleCard(job.id, job.state, job.card_ts) for job in waiting]

    def aging(self) -> list[StaleCard]:
        """Cards of running jobs that tell nothing new but the time: shown again, or it would stand still."""
        if self._tick() < self._aging_at:
            return []
        self._aging_at = self._tick() + AGING_S / 3
        running = [job for job in self._ledger.jobs(states=ACTIVE_STATES, limit=200) if job.card_ts]
        old = [job for job in running if self._tick() - self._shown_at.get(job.id, float("-inf")) >= AGING_S]
        return [StaleCard(job.id, job.state, job.card_ts) for job in old]

    def urgency(self, card: StaleCard) -> tuple[bool, bool, float]:
        """Ended jobs first, then jobs without a card, then the card shown longest ago."""
        return card.state not in END_STATES, bool(card.card_ts), self._shown_at.get(card.id, NEVER)

    def is_due(self, card: StaleCard) -> bool:
        """Whether the card may be shown now."""
        now = self._tick()
        if now < self._waits.get(card.id, (now, 0))[0]:
            return False
        return card.state in END_STATES or now - self._shown_at.get(card.id, NEVER) >= self._interval_s

    def note_shown(self, job_id: str) -> None:
        """The card stands in Slack as of now."""
        self._shown_at[job_id] = self._tick()
        self._waits.pop(job_id, None)

    def tries(self, job_id: str) -> int:
        """How often showing this card has failed since it was last shown."""
        return self._waits.get(job_id, (0.0, 0))[1]

    def put_off(self, job_id: str, wait_s: float) -> None:
        """The card could not be shown; not before `wait_s` from now."""
        self._waits[job_id] = (self._tick() + wait_s, self.tries(job_id) + 1)

    def try_at_once(self, job_id: str) -> None:
        """The card goes elsewhere: its earlier failures count no more."""
        self._waits.pop(job_id, None)

    def forget_old(self) -> None:
        """Drops the times of cards that were shown long ago."""
        now = self._tick()
        self._shown_at = {key: at for key, at in self._shown_at.items() if now - at < REMEMBERED_S}
