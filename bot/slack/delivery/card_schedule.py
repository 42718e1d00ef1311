"""Decides which job cards are updated next and when: interval, backoff after failures, refresh of running jobs."""

from __future__ import annotations

from collections.abc import Callable

from worker.jobs.records import StaleCard
from worker.jobs.states import ACTIVE_STATES, END_STATES, State
from worker.ledger.ledger import Ledger

NEVER = float("-inf")
REFRESH_S = 30.0
"""The card of a running job is updated at least this often, because it shows the time the job has run."""
FORGET_AFTER_S = 3600.0
WAITING_STATES = (State.QUEUED, State.RETRY_WAIT)


class CardSchedule:
    """Times are ticks in seconds; a card changes at most every `interval_s`, at once when its job ends."""

    def __init__(
        self,
        ledger: Ledger,
        interval_s: float,
        is_queue_up: Callable[[], bool],
        tick: Callable[[], float],
    ) -> None:
        self._ledger, self._interval_s, self._is_queue_up, self._tick = ledger, interval_s, is_queue_up, tick
        self._shown_at: dict[str, float] = {}
        self._backoffs: dict[str, tuple[float, int]] = {}  # until when, after how many tries
        self._was_queue_up: bool | None = None
        self._refresh_at = NEVER

    def cards_after_queue_change(self) -> list[StaleCard]:
        """The cards of waiting jobs, when the queue went down or came back since the last call."""
        up, was = self._is_queue_up(), self._was_queue_up
        self._was_queue_up = up
        if was is None or up == was:
            return []
        waiting = [job for job in self._ledger.jobs(states=WAITING_STATES, limit=200) if job.card_ts]
        for job in waiting:
            self._shown_at.pop(job.id, None)
        return [StaleCard(job.id, job.state, job.card_ts) for job in waiting]

    def running_cards(self) -> list[StaleCard]:
        """The cards of running jobs whose displayed run time is older than REFRESH_S."""
        if self._tick() < self._refresh_at:
            return []
        self._refresh_at = self._tick() + REFRESH_S / 3
        running = [job for job in self._ledger.jobs(states=ACTIVE_STATES, limit=200) if job.card_ts]
        old = [
            job for job in running if self._tick() - self._shown_at.get(job.id, float("-inf")) >= REFRESH_S
        ]
        return [StaleCard(job.id, job.state, job.card_ts) for job in old]

    def urgency(self, card: StaleCard) -> tuple[bool, bool, float]:
        """Ended jobs first, then jobs without a card, then the card shown longest ago."""
        return card.state not in END_STATES, bool(card.card_ts), self._shown_at.get(card.id, NEVER)

    def is_due(self, card: StaleCard) -> bool:
        """Whether the card may be updated now."""
        now = self._tick()
        if now < self._backoffs.get(card.id, (now, 0))[0]:
            return False
        return card.state in END_STATES or now - self._shown_at.get(card.id, NEVER) >= self._interval_s

    def record_shown(self, job_id: str) -> None:
        """Notes that the card was updated in Slack now."""
        self._shown_at[job_id] = self._tick()
        self._backoffs.pop(job_id, None)

    def tries(self, job_id: str) -> int:
        """The number of failed updates since the last successful one."""
        return self._backoffs.get(job_id, (0.0, 0))[1]

    def postpone(self, job_id: str, wait_s: float) -> None:
        """Notes a failed update; the card is due again after `wait_s`."""
        self._backoffs[job_id] = (self._tick() + wait_s, self.tries(job_id) + 1)

    def clear_backoff(self, job_id: str) -> None:
        """Forgets earlier failures, for a card that moved to another channel."""
        self._backoffs.pop(job_id, None)

    def forget_old(self) -> None:
        """Drops the times of cards that were not updated for FORGET_AFTER_S."""
        now = self._tick()
        self._shown_at = {key: at for key, at in self._shown_at.items() if now - at < FORGET_AFTER_S}
